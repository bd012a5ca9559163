//! Beside the road: signs of life of running tasks. Only progress is written; what a renewal changes lives in memory.

use tasklane_core::lease::LeaseKey;
use tasklane_core::ports::store::Batch;
use tasklane_core::task::Progress;

use super::error::Result;
use super::tx::Tx;

impl Tx<'_, '_> {
    pub(super) fn renew_all(&mut self, batch: &mut Batch) -> Result<()> {
        for key in &batch.renew {
            let held = self.renew(key);
            self.answer().renew.push(held);
        }
        for (key, progress) in &batch.progress {
            let held = self.progress(key, progress.as_ref())?;
            self.answer().progress.push(held);
        }
        for key in &batch.grace {
            let held = self.grace(key);
            self.answer().grace.push(held);
        }
        self.note_all(batch)
    }

    /// Begins the lease's own length again.
    fn renew(&mut self, key: &LeaseKey) -> bool {
        let Some(running) = self.live.running.held(key) else { return false };
        if let Some(lease) = &mut running.task.facts.lease {
            lease.renew(self.now);
        }
        self.show(key.id, None);
        true
    }

    /// The handler gave a sign of life.
    pub(super) fn progress(&mut self, key: &LeaseKey, progress: Option<&Progress>) -> Result<bool> {
        let Some(running) = self.live.running.held(key) else { return Ok(false) };
        if let Some(lease) = &mut running.task.facts.lease {
            lease.heard_at = self.now;
        }
        if let Some(progress) = progress {
            running.task.progress = Some(progress.clone());
            self.sql.update(running)?;
        }
        self.show(key.id, None);
        Ok(true)
    }

    /// A cancellation reached the worker: its time to stop begins, once.
    fn grace(&mut self, key: &LeaseKey) -> bool {
        let now = self.now;
        let Some(running) = self.live.running.held(key) else { return false };
        let (grant, until) = (running.grant, running.task.facts.begin_grace(now));
        if let Some(until) = until {
            self.live.running.due_by(grant, until);
        }
        self.show(key.id, None);
        true
    }
}
