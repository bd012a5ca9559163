//! What an engine is started with.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::retention::Retention;

/// Bytes in use and in all of the disk the store is on, if known.
pub type DiskUsage = Arc<dyn Fn() -> Option<(u64, u64)> + Send + Sync>;

/// Fills bytes with randomness nobody can guess: leases' tokens are made of it.
pub type Randomness = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Settings and limits of the engine, each with its default.
#[derive(Clone)]
pub struct Options {
    /// How long what is kept.
    pub retention: Retention,
    /// How full the disk is; asked before each sweep.
    pub disk: DiskUsage,
    /// Where random numbers come from: the operating system, unless a test wants to meet the same ones again.
    pub randomness: Randomness,
    /// Most lease requests parked at once; one more is answered empty at once.
    pub parked: usize,
    /// Most callers waiting for a task's end at once; one more is answered at once.
    pub waits: usize,
    /// Most streams of events and logs open at once; one more is refused.
    pub streams: usize,
    /// Most workers remembered.
    pub workers: usize,
    /// Most lease requests remembered by their name.
    pub requests: usize,
    /// Most due tasks moved in one commit.
    pub due_batch: usize,
    /// Most rows one step of the sweep examines.
    pub sweep_batch: usize,
    /// How long an endpoint of a webhook may fail before it is disabled.
    pub endpoint_patience: Duration,
    /// The longest sleep of the loop that moves what is due: the floor under lost hints.
    pub due_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            disk: Arc::new(|| None),
            randomness: Arc::new(|bytes| {
                getrandom::fill(bytes).expect("the operating system gives randomness to every process");
            }),
            parked: 20_000,
            waits: 20_000,
            streams: 1_000,
            workers: 10_000,
            requests: 10_000,
            due_batch: 1_000,
            sweep_batch: 2_000,
            endpoint_patience: Duration::from_secs(5 * 24 * 3600),
            due_every: Duration::from_secs(1),
        }
    }
}
