//! When to look at which running tasks. Alarms are set where attempts begin, in bundles, and never changed: one that goes
//! off finds most of its tasks gone, and those that still run are put into a later one.

use std::collections::HashSet;

use tasklane_core::time::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::error::Result;
use super::row::{Kept, heads};
use super::session::Statement;
use super::tx::Tx;

/// Most alarms that go off in one commit.
const ALARMS: i64 = 100;
/// Tasks after which no further alarm goes off in the same commit.
const TASKS: i64 = 2000;
/// Most tasks of one alarm.
pub(crate) const BUNDLE: usize = 1000;
/// When to look again at a task that somebody else holds just now.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

pub(crate) const SET: Statement = Statement {
    sql: "INSERT INTO tasklane.alarms (at, tasks) VALUES ($1, $2)",
    types: &[Type::INT8, Type::UUID_ARRAY],
};

const GO_OFF: Statement = Statement {
    sql: "DELETE FROM tasklane.alarms WHERE no IN (
            SELECT no FROM tasklane.alarms WHERE no IN (
              SELECT no FROM (
                SELECT no, sum(cardinality(tasks)) OVER (ORDER BY at, no) - cardinality(tasks) AS before
                FROM (SELECT * FROM tasklane.alarms WHERE at <= $1 ORDER BY at LIMIT $2) due) counted
              WHERE before < $3)
            FOR UPDATE SKIP LOCKED)
          RETURNING tasks",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

const CLEAR: Statement = Statement { sql: "DELETE FROM tasklane.alarms RETURNING tasks", types: &[] };

const STILL_RUNNING: Statement = Statement {
    sql: "SELECT id FROM tasklane.tasks WHERE id = ANY($1) AND state = 4 ORDER BY id",
    types: &[Type::UUID_ARRAY],
};

const LOCK_FREE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        heads!(),
        " FROM tasklane.tasks t WHERE t.id = ANY($1) AND t.state = 4 ORDER BY t.id FOR UPDATE SKIP LOCKED"
    ),
    types: &[Type::UUID_ARRAY],
};

impl Tx<'_> {
    /// Somebody is to look at these tasks at `at`.
    pub(crate) async fn set_alarm(&mut self, at: Timestamp, tasks: Vec<Uuid>) -> Result<()> {
        self.will_be_due(Some(at));
        for bundle in tasks.chunks(BUNDLE) {
            self.session.run(&SET, &[&at.as_micros(), &bundle]).await?;
        }
        Ok(())
    }

    /// The tasks of alarms that go off now and still run, locked, the longest due first. Those that somebody else has locked
    /// are looked at a little later.
    pub(crate) async fn alarmed(&mut self) -> Result<Vec<Kept>> {
        let rows = self.session.rows(&GO_OFF, &[&self.now.as_micros(), &ALARMS, &TASKS]).await?;
        let running = self.still_running(&rows).await?;
        let rows = self.session.rows(&LOCK_FREE, &[&running]).await?;
        let mut kept = self.kept(&rows).await?;
        let locked: HashSet<Uuid> = kept.iter().map(|it| it.task.facts.id.0).collect();
        let busy: Vec<Uuid> = running.into_iter().filter(|id| !locked.contains(id)).collect();
        if !busy.is_empty() {
            self.set_alarm(self.now.plus(AGAIN), busy).await?;
        }
        kept.sort_unstable_by_key(|it| (it.task.facts.due_at(), it.task.facts.id));
        Ok(kept)
    }

    /// Every task that runs; its alarms are gone, and others are to be set.
    pub(crate) async fn all_running(&mut self) -> Result<Vec<Uuid>> {
        let rows = self.session.rows(&CLEAR, &[]).await?;
        self.still_running(&rows).await
    }

    async fn still_running(&mut self, alarms: &[tokio_postgres::Row]) -> Result<Vec<Uuid>> {
        let mut tasks = Vec::new();
        for row in alarms {
            tasks.extend(row.try_get::<_, Vec<Uuid>>(0)?);
        }
        tasks.sort_unstable();
        tasks.dedup();
        let mut running = Vec::new();
        for chunk in tasks.chunks(10 * BUNDLE) {
            for row in self.session.rows(&STILL_RUNNING, &[&chunk]).await? {
                running.push(row.try_get(0)?);
            }
        }
        Ok(running)
    }
}
