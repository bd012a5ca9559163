//! Beside the road: signs of life of running tasks.

use tasklane_core::lease::LeaseKey;
use tasklane_core::limit;
use tasklane_core::task::Progress;

use super::Tx;

impl Tx<'_> {
    /// Begins the lease's own length again.
    pub(super) fn renew(&mut self, key: &LeaseKey) -> bool {
        let now = self.now;
        let lease = self.model.running(key).and_then(|task| task.facts.lease.as_mut());
        lease.map(|lease| lease.until = now.plus(lease.length)).is_some()
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
        let Some(task) = self.model.running(key) else { return false };
        let asked = task.facts.cancel_requested;
        if let Some(lease) = task.facts.lease.as_mut().filter(|_| asked) {
            lease.grace_until.get_or_insert(now.plus(limit::CANCEL_GRACE));
        }
        true
    }
}
