//! How much a runner does at once, and how long it waits for what.

use std::time::Duration;

use tasklane_core::limit;

/// How much a runner does at once, and how long it waits for what. [`Options::default`] suits a worker whose handlers
/// wait more than they compute; one that is to drain a long queue of short tasks wants slots for three batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Most tasks held at once: leased and not yet reported. At least 1.
    pub slots: usize,
    /// Most tasks asked for in one exchange, 1 to [`limit::LEASE_TASKS`].
    pub batch: usize,
    /// Exchanges in flight at once. At least 2: one may wait for work while another reports.
    pub exchanges: usize,
    /// Hands that begin tasks, each on a core where there is one. At least 1.
    pub hands: usize,
    /// How long a lease lasts without renewal, where the lease itself does not say; within [`limit::LEASE`].
    pub lease: Duration,
    /// How long the source may wait for work before it answers with none; one second to [`limit::LEASE_WAIT`], and at most
    /// two thirds of [`Options::lease`]: what it brings may have been leased when the wait began.
    pub wait: Duration,
    /// From telling an attempt that somebody asked to cancel it until it is dropped; shorter than
    /// [`limit::CANCEL_GRACE`], so that the report still finds the lease.
    pub cancel_grace: Duration,
    /// From telling an attempt to stop for another reason (lease lost, drain) until it is dropped.
    pub stop_grace: Duration,
    /// How long an exchange may take beyond the wait it asked for.
    pub exchange_timeout: Duration,
    /// What the jitter of back-offs is made of; `None`: something else for every runner.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slots: 100,
            batch: 500,
            exchanges: 3,
            hands: std::thread::available_parallelism().map_or(1, usize::from),
            lease: Duration::from_secs(30),
            wait: Duration::from_secs(20),
            cancel_grace: limit::CANCEL_GRACE - Duration::from_secs(1),
            stop_grace: Duration::from_secs(3),
            exchange_timeout: Duration::from_secs(30),
            seed: None,
        }
    }
}

impl Options {
    /// The same, with every number moved into the range its field names.
    pub(crate) fn within_limits(mut self) -> Self {
        self.slots = self.slots.max(1);
        self.batch = self.batch.clamp(1, limit::LEASE_TASKS);
        self.exchanges = self.exchanges.max(2);
        self.hands = self.hands.max(1);
        self.lease = self.lease.clamp(*limit::LEASE.start(), *limit::LEASE.end());
        self.wait = self.wait.clamp(Duration::from_secs(1), limit::LEASE_WAIT).min(self.lease * 2 / 3);
        self
    }

    /// The longest span of the back-off after failed exchanges: short against a lease, which is to outlive an outage.
    pub(crate) fn back_off_max(&self) -> Duration {
        (self.lease / 10).clamp(BACK_OFF, BACK_OFF_MAX)
    }
}

/// Most outcomes one exchange carries.
pub(crate) const REPORT_OUTCOMES: usize = 1000;
/// Most bytes of results, failures and progress one exchange carries; a single larger outcome still goes, alone.
pub(crate) const REPORT_BYTES: usize = 8 << 20;
/// Most bytes of an exchange that renews leases besides, as it must not take long.
pub(crate) const RENEWING_BYTES: usize = 1 << 20;
/// Most renewals, and most signs of life, of one exchange: a source over HTTP takes 10 000 items of a list.
pub(crate) const REPORT_ITEMS: usize = 10_000;
/// Most lines and checkpoints of one exchange; what the attempt that passes it has still goes. A source over HTTP takes
/// 10 000 items of a list.
pub(crate) const REPORT_NOTES: usize = 5_000;
/// Progress of one attempt is reported at most once in this time (a third of its `heartbeat_timeout` if that is shorter).
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Most lines an attempt may have that no exchange has carried; those beyond are lost, and counted.
pub(crate) const NOTED_LINES: usize = 1_000;
/// Most bytes of such lines.
pub(crate) const NOTED_BYTES: usize = 256 << 10;
/// How long a line waits for an exchange that goes anyway before one goes for it (a third of the task's
/// `heartbeat_timeout` if that is shorter).
pub(crate) const NOTED_EVERY: Duration = Duration::from_secs(1);
/// How long a task whose type nobody here serves is held before it is given back, so that it does not come and go at
/// full speed.
pub(crate) const UNSERVED_PAUSE: Duration = Duration::from_secs(1);
/// How long a hand keeps on beginning tasks before it hands over outcomes and lets others run.
pub(crate) const HAND_TURN: Duration = Duration::from_micros(500);
/// Tasks a hand takes at once: few, as the ones behind a handler that blocks wait for it.
pub(crate) const HAND_TAKES: usize = 8;
/// Full-jitter back-off after failed exchanges: its first span.
pub(crate) const BACK_OFF: Duration = Duration::from_millis(100);
/// Full-jitter back-off after failed exchanges: its longest span, a tenth of a lease where that is shorter.
pub(crate) const BACK_OFF_MAX: Duration = Duration::from_secs(3);
/// Failed exchanges in a row after which it is said that no server answers; one alone is likely mended by the next.
pub(crate) const MISSES: u64 = 2;
/// A look is taken so many times a lease; what is past a quarter of its lease then is renewed, so before a third.
pub(crate) const LOOKS_PER_LEASE: u32 = 12;
/// An attempt whose lease cannot be renewed has this part of the lease, or `stop_grace` if that is shorter, to stop.
pub(crate) const LAPSE_PART: u32 = 6;
/// Longest pause before the next wish while the source answers wishes at once with nothing.
pub(crate) const REST_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether anything listens for cancellations; after two looks that find nothing, something does.
pub(crate) const LISTEN_LOOK: Duration = Duration::from_millis(500);
/// How long a drain goes on trying to report what has ended.
pub(crate) const LAST_REPORT: Duration = Duration::from_secs(10);
