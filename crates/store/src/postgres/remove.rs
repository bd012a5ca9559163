//! A task is no more: its row goes, and everything that hangs on it.

use tokio_postgres::types::Type;
use uuid::Uuid;

use super::error::Result;
use super::keys;
use super::row::{HAS_CHECKPOINTS, HAS_HISTORY, HAS_KEYS, HAS_LOGS, Kept};
use super::session::Statement;
use super::tx::Tx;
use crate::encoding::log::Way;

const TASKS: Statement = Statement { sql: "DELETE FROM tasklane.tasks WHERE id = ANY($1)", types: &[Type::UUID_ARRAY] };
const ATTEMPTS: Statement =
    Statement { sql: "DELETE FROM tasklane.attempts WHERE task = ANY($1)", types: &[Type::UUID_ARRAY] };
const LOGS: Statement = Statement { sql: "DELETE FROM tasklane.logs WHERE task = ANY($1)", types: &[Type::UUID_ARRAY] };
const CHECKPOINTS: Statement =
    Statement { sql: "DELETE FROM tasklane.checkpoints WHERE task = ANY($1)", types: &[Type::UUID_ARRAY] };

/// What removing a task has to know of it.
pub(crate) struct Goner {
    pub id: Uuid,
    pub state: i16,
    pub flags: i16,
}

impl Tx<'_> {
    /// Notes that a task is no more.
    pub(crate) fn gone(&mut self, kept: &Kept) {
        let way = Way::removed(kept.task.counted(), kept.lane, kept.scope, kept.task.facts.attempt);
        self.record(way, kept.task.facts.id);
    }

    /// Removes tasks that were noted as gone.
    pub(crate) async fn remove(&mut self, removed: &[Kept]) -> Result<()> {
        let goner = |kept: &Kept| Goner {
            id: kept.task.facts.id.0,
            state: kept.task.facts.state.code().into(),
            flags: kept.flags(),
        };
        self.delete(&removed.iter().map(goner).collect::<Vec<_>>()).await
    }

    /// Deletes rows, and what their flags tell of.
    pub(crate) async fn delete(&mut self, goners: &[Goner]) -> Result<()> {
        let with = |flag: i16| goners.iter().filter(|it| flag == 0 || it.flags & flag != 0).map(|it| it.id).collect();
        for (statement, flag) in
            [(&TASKS, 0), (&ATTEMPTS, HAS_HISTORY), (&LOGS, HAS_LOGS), (&CHECKPOINTS, HAS_CHECKPOINTS)]
        {
            let ids: Vec<Uuid> = with(flag);
            if !ids.is_empty() {
                self.session.run(statement, &[&ids]).await?;
            }
        }
        let states: Vec<i16> = goners.iter().filter(|it| it.flags & HAS_KEYS != 0).map(|it| it.state).collect();
        keys::tasks_gone(self.session, &with(HAS_KEYS), &states).await
    }
}
