//! The runner: starts the loops, holds what they share, ends with its handle.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tasklane_core::lease::mix;
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::executor::Executor;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::attempt::{Attempt, Stop};
use crate::drain::{Drained, drain};
use crate::options::{MISSES, Options};
use crate::slots::{Ledger, Phase};
use crate::source::{LeaseSource, SourceError};
use crate::table::Table;
use crate::{listen, pump, renew};

/// What the loops of one runner share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) source: Arc<dyn LeaseSource>,
    pub(crate) table: Table,
    ledger: Mutex<Ledger>,
    /// A pump may find something to do.
    pub(crate) work: Notify,
    /// Progress waits for its time.
    pub(crate) spoke: Notify,
    /// While it drains: the ledger has changed.
    changed: Notify,
    /// Failed exchanges since the last one that was answered.
    misses: AtomicU64,
    /// No more work is wanted: the phase has changed.
    pub(crate) draining: Notify,
}

impl Shared {
    /// The ledger, locked; nobody waits with it in hand.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what ended off the slots and has it reported.
    pub(crate) fn ended(&self, ended: impl IntoIterator<Item = (Arc<Attempt>, Option<Outcome>)>) {
        let mut gone = Vec::new();
        {
            let mut ledger = self.ledger();
            for (attempt, outcome) in ended {
                ledger.ended(attempt.key, outcome, attempt.take_progress());
                // Freed after the lock is.
                gone.push(attempt);
            }
        }
        if !gone.is_empty() {
            self.nudge();
        }
    }

    /// Something changed: a pump is to look, and so is a drain.
    pub(crate) fn nudge(&self) {
        self.work.notify_one();
        self.changed.notify_waiters();
    }

    /// An exchange was answered.
    pub(crate) fn heard(&self) {
        let misses = self.misses.swap(0, Ordering::Relaxed);
        if misses >= MISSES {
            tracing::info!(misses, "a server answers again");
        }
    }

    /// An exchange was not answered. It is said once, however long it goes on.
    pub(crate) fn missed(&self, error: &SourceError) {
        let misses = self.misses.fetch_add(1, Ordering::Relaxed) + 1;
        if misses == MISSES {
            tracing::warn!(
                %error,
                "no server answers; what runs goes on while its lease lasts, what ends is kept and reported once one does"
            );
        } else {
            tracing::debug!(%error, misses, "an exchange failed");
        }
    }

    /// An attempt's progress may go out at `at`.
    pub(crate) fn speak(&self, attempt: Arc<Attempt>, at: Instant, now: Instant) {
        if at > now {
            self.ledger().later.push(attempt);
            self.spoke.notify_one();
        } else if let Ok(progress) = attempt.due_progress(now) {
            let mut ledger = self.ledger();
            if ledger.held.contains_key(&attempt.key) {
                ledger.progress.insert(attempt.key, progress);
            }
            drop(ledger);
            self.work.notify_one();
        }
    }

    /// An attempt has something to say, at `due` at the latest.
    pub(crate) fn note(&self, attempt: Arc<Attempt>, due: Instant) {
        self.ledger().noting.wait(attempt, due);
        self.spoke.notify_one();
    }

    /// What attempts have to say is to go out at once.
    pub(crate) fn hurry(&self) {
        self.ledger().noting.hurry();
        self.work.notify_one();
    }

    /// Ends once no more work is wanted.
    pub(crate) async fn drains(&self) {
        let mut word = std::pin::pin!(self.draining.notified());
        // Listening begins before looking, so that no word falls between the two.
        word.as_mut().enable();
        if self.ledger().phase == Phase::Working {
            word.await;
        }
    }

    /// Ends when the ledger is as it should be.
    pub(crate) async fn until(&self, holds: impl Fn(&Ledger) -> bool) {
        loop {
            let mut change = std::pin::pin!(self.changed.notified());
            change.as_mut().enable();
            if holds(&self.ledger()) {
                return;
            }
            change.await;
        }
    }
}

/// Takes leases and runs them.
pub struct Runner;

impl Runner {
    /// Starts to take leases from `source` and to run them with `executors`; of two executors of one type the earlier one
    /// runs it. Must be called inside a tokio runtime, on which everything runs.
    pub fn start(source: Arc<dyn LeaseSource>, executors: Vec<Arc<dyn Executor>>, options: Options) -> RunnerHandle {
        let options = options.within_limits();
        let shared = Arc::new(Shared {
            source,
            table: Table::new(executors),
            ledger: Mutex::new(Ledger::new()),
            work: Notify::new(),
            spoke: Notify::new(),
            changed: Notify::new(),
            misses: AtomicU64::new(0),
            draining: Notify::new(),
            options,
        });
        let mut loops = JoinSet::new();
        let seed = shared.options.seed.unwrap_or_else(|| RandomState::new().hash_one(0));
        for nth in 0..shared.options.exchanges {
            loops.spawn(pump::pump(Arc::clone(&shared), mix(seed, nth as u64)));
        }
        loops.spawn(renew::renew(Arc::clone(&shared)));
        loops.spawn(renew::speak(Arc::clone(&shared)));
        loops.spawn(listen::listen(Arc::clone(&shared)));
        shared.work.notify_one();
        RunnerHandle { shared, loops }
    }
}

/// A running runner. Dropping it without [`RunnerHandle::drain`] ends its loops and tells its attempts to stop; what it
/// held comes back when the leases are over.
pub struct RunnerHandle {
    shared: Arc<Shared>,
    loops: JoinSet<()>,
}

impl RunnerHandle {
    /// Takes no more work, lets what runs finish within `grace`, gives back the rest unspent, reports, and ends.
    pub async fn drain(mut self, grace: Duration) -> Drained {
        let drained = drain(&self.shared, grace).await;
        self.loops.shutdown().await;
        drained
    }

    /// How many attempts are held now.
    pub fn held(&self) -> usize {
        self.shared.ledger().held.len()
    }
}

/// Drains these at once, so that all of them together take no longer than the slowest; how each did.
pub async fn drain_all(runners: Vec<RunnerHandle>, grace: Duration) -> Vec<Drained> {
    let drains: Vec<_> = runners.into_iter().map(|it| tokio::spawn(it.drain(grace))).collect();
    let mut drained = Vec::with_capacity(drains.len());
    for drain in drains {
        match drain.await {
            Ok(it) => drained.push(it),
            Err(error) => tracing::error!(%error, "a runner did not drain"),
        }
    }
    drained
}

impl Drop for RunnerHandle {
    fn drop(&mut self) {
        let mut ledger = self.shared.ledger();
        ledger.phase = Phase::Over;
        ledger.give_back_ready();
        ledger.later.clear();
        ledger.noting.clear();
        for held in ledger.in_order() {
            held.attempt.tell(Stop::Here);
        }
    }
}
