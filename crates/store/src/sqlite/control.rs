//! Beside the road: pausing, resuming and draining queues.

use tasklane_core::ports::store::Batch;

use super::error::Result;
use super::tx::Tx;

impl Tx<'_, '_> {
    pub(super) fn control_all(&mut self, batch: &mut Batch) -> Result<()> {
        for (queue, state) in &batch.control {
            let no = self.live.names.queue_no(self.sql.db, queue)?;
            self.sql.db.execute("UPDATE queues SET state = ? WHERE no = ?", (state.code(), no + 1))?;
            self.live.names.queues[no as usize].state = *state;
            self.changes.names = true;
        }
        Ok(())
    }
}
