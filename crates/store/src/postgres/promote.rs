//! The second station: tasks whose moment has come.

use tasklane_core::ports::store::Batch;
use tasklane_core::promote;
use tokio_postgres::types::Type;

use super::error::Result;
use super::row::heads;
use super::session::Statement;
use super::tx::Tx;

const DUE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        heads!(),
        " FROM tasklane.tasks t WHERE t.due <= $1 ORDER BY t.due, t.id LIMIT $2 FOR UPDATE SKIP LOCKED"
    ),
    types: &[Type::INT8, Type::INT8],
};

impl Tx<'_> {
    pub(super) async fn promote_all(&mut self, batches: &[Batch]) -> Result<()> {
        for (caller, batch) in batches.iter().enumerate().filter(|(_, batch)| batch.promote > 0) {
            self.caller = caller;
            let rows = self.session.rows(&DUE, &[&self.now.as_micros(), &(batch.promote as i64)]).await?;
            let mut due = self.kept(&rows).await?;
            let now = self.now;
            let promoted = self.decide_each(&mut due, |kept, _| promote::decide(&kept.task, now)).await?;
            self.answer().promote = promoted;
        }
        if batches.iter().any(|batch| batch.promote > 0) {
            self.open_by_time().await?;
        }
        Ok(())
    }
}
