//! Lease requests known by a name the worker gave them: asked again within the lease time, the same unreported tasks are
//! the answer, so that a worker whose answer was lost on the way need not wait for its own leases to run out.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::lease::{LeaseKey, Leased};
use tokio::time::Instant;

use crate::facts::HeldFacts;
use crate::inside::lock;

/// Most bytes of payloads that are remembered. Beyond them a request is not, as beyond their number.
const BYTES: usize = 256 << 20;

pub(crate) struct Requests {
    most: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    given: HashMap<Name, Given>,
    bytes: usize,
}

/// Worker and request.
type Name = (Arc<str>, Box<str>);

struct Given {
    tasks: Vec<Leased>,
    until: Instant,
}

impl Requests {
    pub fn new(most: usize) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// What this request got before.
    pub fn given(&self, worker: &Arc<str>, request: &str, now: Instant) -> Vec<Leased> {
        let key = (Arc::clone(worker), Box::from(request));
        lock(&self.known).given.get(&key).filter(|it| it.until > now).map(|it| it.tasks.clone()).unwrap_or_default()
    }

    /// Remembers what it got for as long as the lease lasts. `false`: it is over the limits and not remembered, which costs
    /// a worker whose answer is lost the time of a lease.
    pub fn remember(&self, worker: &Arc<str>, request: &str, tasks: &[Leased], length: Duration) -> bool {
        let mut known = lock(&self.known);
        let bytes = size(tasks);
        let is_room = known.given.len() < self.most && known.bytes + bytes <= BYTES;
        if is_room {
            let given = Given { tasks: tasks.to_vec(), until: Instant::now() + length };
            known.bytes += bytes;
            known.given.insert((Arc::clone(worker), request.into()), given);
        }
        is_room
    }

    /// Forgets what is over or settled: in a long drain that is nearly all of it.
    pub fn forget_old(&self, now: Instant, facts: &HeldFacts) {
        let keys: Vec<LeaseKey> =
            lock(&self.known).given.values().flat_map(|it| it.tasks.iter().map(Leased::key)).collect();
        let settled: HashSet<LeaseKey> = facts.unknown(&keys).into_iter().collect();
        let mut known = lock(&self.known);
        known.given.retain(|_, given| {
            given.tasks.retain(|task| !settled.contains(&task.key()));
            given.until > now && !given.tasks.is_empty()
        });
        known.bytes = known.given.values().map(|it| size(&it.tasks)).sum();
    }
}

/// Bytes that tasks hold, about.
fn size(tasks: &[Leased]) -> usize {
    tasks.iter().map(|task| size_of::<Leased>() + task.payload.len()).sum()
}
