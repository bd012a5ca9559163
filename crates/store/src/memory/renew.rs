//! Beside the road: signs of life of running tasks.

use tasklane_core::lease::LeaseKey;
use tasklane_core::task::Progress;

use super::Tx;

impl Tx<'_> {
    /// Begins the lease's own length again.
    pub(super) fn renew(&mut self, key: &LeaseKey) -> bool {
        let now = self.now;
        let lease = self.model.running(key).and_then(|task| task.facts.lease.as_mut());
        lease.map(|lease| lease.renew(now)).is_some()
    }

    /// The handler gave a sign of life.
    pub(super) fn progress(&mut self, key: &LeaseKey, progress: Option<Progress>) -> bool {
        let now = self.now;
        let Some(task) = self.model.running(key) else { return false };
        if let Some(lease) = &mut task.facts.lease {
            lease.heard_at = now;
        }
        if progress.is_some() {
            task.progress = progress;
        }
        true
    }

    /// A cancellation reached the worker: its time to stop begins, once.
    pub(super) fn grace(&mut self, key: &LeaseKey) -> bool {
        let now = self.now;
        self.model.running(key).map(|task| task.facts.begin_grace(now)).is_some()
    }
}
