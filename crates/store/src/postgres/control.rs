//! Beside the road: pausing, resuming and draining queues.

use tasklane_core::ports::store::Batch;
use tasklane_core::queue::QueueState;
use tokio_postgres::types::Type;

use super::error::Result;
use super::session::Statement;
use super::tx::Tx;

const CONTROL: Statement = Statement {
    sql: "INSERT INTO tasklane.queues (name, state) VALUES ($1, $2)
          ON CONFLICT (name) DO UPDATE SET state = excluded.state",
    types: &[Type::TEXT, Type::INT2],
};

impl Tx<'_> {
    pub(super) async fn control_all(&mut self, batches: &[Batch]) -> Result<()> {
        for (queue, state) in batches.iter().flat_map(|batch| &batch.control) {
            // It may be a new name.
            self.take_names_turn().await?;
            self.session.run(&CONTROL, &[&&**queue, &i16::from(state.code())]).await?;
            if *state == QueueState::Active {
                self.queues.remove(queue);
            } else {
                self.queues.insert(queue.clone(), *state);
            }
            if *state != QueueState::Paused {
                self.news.all = true;
            }
        }
        Ok(())
    }
}
