//! Beside the road: running tasks whose lease or time is over.

use tasklane_core::lease::mix;
use tasklane_core::ports::store::Batch;
use tasklane_core::rescue;

use super::error::Result;
use super::tx::Tx;

impl Tx<'_, '_> {
    pub(super) fn rescue(&mut self, batch: &mut Batch) -> Result<()> {
        if batch.rescue == 0 {
            return Ok(());
        }
        for id in self.live.running.due(self.now, batch.rescue) {
            let random = mix(batch.seed, self.answer().rescue as u64);
            let Some(kept) = self.live.running.get_mut(id) else { continue };
            self.live.names.tell_worker(kept);
            let grant = kept.grant;
            let host = self.live.running.host_of(grant);
            let Some(kept) = self.live.running.get(id) else { continue };
            let Some(decision) = rescue::decide(&kept.task, self.now, host, random) else { continue };
            if let Some(mut kept) = self.live.running.take(id) {
                self.end_attempt(&mut kept, decision, None)?;
                self.answer().rescue += 1;
            }
        }
        Ok(())
    }
}
