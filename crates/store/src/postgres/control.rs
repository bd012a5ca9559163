//! Beside the road: pausing, resuming and draining queues.

use tasklane_core::ports::store::Batch;
use tasklane_core::queue::QueueState;
use tokio_postgres::types::Type;

use super::error::Result;
use super::session::Statement;
use super::tx::Tx;

const CONTROL: Statement =
    Statement { sql: "UPDATE tasklane.queues SET state = $2 WHERE name = $1", types: &[Type::TEXT, Type::INT2] };

impl Tx<'_> {
    pub(super) async fn control_all(&mut self, batches: &[Batch]) -> Result<()> {
        for (queue, state) in batches.iter().flat_map(|batch| &batch.control) {
            // By a connection of its own, as all names are: nobody then waits for this commit to learn one.
            self.shared.book.add_queue(queue).await?;
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
