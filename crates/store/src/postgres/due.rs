//! Tasks whose moment has come, running or not: what promote and rescue have in common.

use std::collections::HashSet;

use tasklane_core::decision::Decision;
use tasklane_core::task::TaskId;
use tokio_postgres::types::Type;

use super::error::Result;
use super::row::{Kept, columns};
use super::session::Statement;
use super::tx::{Ended, Tx};

/// Tasks that do not run.
pub(crate) const WAITING: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM tasklane.tasks t WHERE t.due <= $1 AND t.state <> 4 ORDER BY t.due, t.id LIMIT $2 FOR UPDATE SKIP LOCKED"
    ),
    types: &[Type::INT8, Type::INT8],
};

/// Tasks that run.
pub(crate) const RUNNING: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM tasklane.tasks t WHERE t.due <= $1 AND t.state = 4 ORDER BY t.due, t.id LIMIT $2 FOR UPDATE SKIP LOCKED"
    ),
    types: &[Type::INT8, Type::INT8],
};

const NEXT: Statement = Statement { sql: "SELECT min(due) FROM tasklane.tasks WHERE due IS NOT NULL", types: &[] };

/// Most looks at what is due within one commit.
const LOOKS: usize = 8;

impl Tx<'_> {
    /// Decides at most `most` tasks that are due, the longest due first. A task whose column was too early is put right,
    /// and those behind it are looked at again, so that it stands in nobody's way. Answers how many were decided.
    pub(crate) async fn decide_due(
        &mut self,
        which: &Statement,
        most: usize,
        mut decide: impl FnMut(&Kept, usize) -> Option<Decision>,
    ) -> Result<usize> {
        if most == 0 {
            return Ok(0);
        }
        let mut put_right = HashSet::<TaskId>::new();
        for look in 1.. {
            let rows = self.session.rows(which, &[&self.now.as_micros(), &(most as i64)]).await?;
            let mut due = self.kept(&rows).await?;
            let is_early = |kept: &Kept| kept.task.facts.due_at().is_none_or(|at| at > self.now);
            let early: Vec<&Kept> = due.iter().filter(|it| is_early(it)).collect();
            if !early.is_empty() && look < LOOKS {
                put_right.extend(early.iter().map(|it| it.task.facts.id));
                let dues: Vec<_> = early.iter().map(|it| it.task.facts.due_at()).collect();
                self.write(&early, Ended::default(), Vec::new()).await?;
                dues.into_iter().for_each(|at| self.will_be_due(at));
                continue;
            }
            let (mut ended, mut freed, mut decided) = (Ended::default(), Vec::new(), 0);
            for kept in &mut due {
                if let Some(decision) = decide(kept, decided) {
                    freed.extend(self.apply(kept, decision, &mut ended));
                    decided += 1;
                }
            }
            self.write(&due.iter().collect::<Vec<_>>(), ended, freed).await?;
            return Ok(decided);
        }
        Ok(0)
    }

    /// Notes when something will next happen to any task.
    pub(crate) async fn look_ahead(&mut self) -> Result<()> {
        let next: Option<i64> = self.session.row(&NEXT, &[]).await?.try_get(0)?;
        self.will_be_due(next.map(tasklane_core::time::Timestamp::from_micros));
        Ok(())
    }
}
