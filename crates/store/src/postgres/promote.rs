//! The second station: tasks whose moment has come.

use tasklane_core::ports::store::Batch;
use tasklane_core::promote;

use super::due::WAITING;
use super::error::Result;
use super::tx::Tx;

impl Tx<'_> {
    pub(super) async fn promote_all(&mut self, batches: &[Batch]) -> Result<()> {
        for (caller, batch) in batches.iter().enumerate() {
            self.caller = caller;
            let now = self.now;
            let decide = |kept: &super::row::Kept, _| promote::decide(&kept.task, now);
            self.answers[caller].promote = self.decide_due(&WAITING, batch.promote, decide).await?;
        }
        Ok(())
    }
}
