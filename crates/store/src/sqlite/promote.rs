//! The second station: tasks whose moment has come.

use tasklane_core::ports::store::Batch;
use tasklane_core::promote;

use super::error::{Fault, Result};
use super::tx::{Before, Tx};

impl Tx<'_, '_> {
    /// Every row that is looked at leaves the head of the due, so that none can stand before the others for ever.
    pub(super) fn promote(&mut self, batch: &mut Batch) -> Result<()> {
        if batch.promote == 0 {
            return Ok(());
        }
        self.open_gates();
        if !self.something_is_due() {
            return Ok(());
        }
        for (at, id) in self.sql.due_first(self.now, batch.promote)? {
            let kept = match self.sql.by_id(id, &self.live.names) {
                Err(Fault::Damaged(cause)) => {
                    tracing::error!(task = %id, cause, "a task that is due cannot be read; it stays as it is");
                    None
                }
                kept => kept?,
            };
            let decision = kept.as_ref().and_then(|kept| promote::decide(&kept.task, self.now));
            if let Some((mut kept, decision)) = kept.zip(decision) {
                let before = Before::of(&kept);
                self.change(&mut kept, &before, decision)?;
                self.answer().promote += 1;
            } else {
                self.drop_due(at, id)?;
            }
        }
        Ok(())
    }
}
