//! `db check`: everything the tables say, held against everything else they say. It reads one consistent moment and works
//! while servers run.

use std::collections::HashMap;

use tasklane_core::gate::{Definition, Starts};
use tasklane_core::queue::{Counted, Counts};
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, TaskId};
use tasklane_core::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::counters::Sums;
use super::error::{Fault, OpenError, Result};
use super::fill_records;
use super::names::Names;
use super::open::{Connect, Options};
use super::row::{Kept, columns};
use super::session::{Session, Statement};
use super::write::due_of;
use crate::encoding::checksum::sum;
use crate::encoding::{LaneNo, ScopeNo, chunk, gate as coded};
use crate::promote::rows::{GateRow, KeyRow, Tally};
use crate::sqlite::Report;

/// Rows read at a time: a payload may have a mebibyte.
const NEXT: Statement = Statement { sql: "FETCH 200 FROM tasklane_check", types: &[] };

const TASKS: &str = concat!("SELECT ", columns!(), ", t.due, t.to_cancel FROM tasklane.tasks t");
const ATTEMPTS: &str = "SELECT task, attempt, body FROM tasklane.attempts";
const LOGS: &str = "SELECT task, attempt, last, body FROM tasklane.logs";
const CHECKPOINTS: &str = "SELECT task, name, sum, data FROM tasklane.checkpoints";
const KEYS: &str = "SELECT kind, tenant, key, task, fingerprint, until, gone FROM tasklane.keys";

const GATES: &str = "SELECT kind, tenant, key, set_by, bounds, starts FROM tasklane.gates";

/// Rows without a task, or whose task does not know of them: a statement each that answers with what is wrong.
const UNKNOWN: &[&str] = &[
    "SELECT format('task %s has %s without its row telling of it', r.task, r.what) FROM (
        SELECT task, 4 AS flag, 'logs' AS what FROM tasklane.logs
        UNION SELECT task, 8, 'checkpoints' FROM tasklane.checkpoints
        UNION SELECT task, 16, 'attempts' FROM tasklane.attempts) r
      LEFT JOIN tasklane.tasks t ON t.id = r.task WHERE t.id IS NULL OR t.flags & r.flag = 0",
    "SELECT format('a key of task %s, which does not know of it', k.task) FROM tasklane.keys k
      LEFT JOIN tasklane.tasks t ON t.id = k.task
      WHERE (t.id IS NULL AND k.gone IS NULL) OR (t.id IS NOT NULL AND t.flags & 32 = 0)",
    "SELECT format('task %s runs and no alarm tells of it', t.id) FROM tasklane.tasks t
      LEFT JOIN (SELECT unnest(tasks) AS id FROM tasklane.alarms) a ON a.id = t.id WHERE t.state = 4 AND a.id IS NULL",
    "SELECT format('gate %s: %s more tasks run than hold its slots', gate, sum(n)) FROM (
        SELECT g.gate, count(*) AS n FROM tasklane.tasks t JOIN tasklane.strands s ON s.no = -t.lane
          CROSS JOIN LATERAL unnest(s.gates) AS g(gate) WHERE t.state = 4 GROUP BY 1
        UNION ALL SELECT gate, -n FROM tasklane.held) counted GROUP BY gate HAVING sum(n) <> 0",
    "SELECT format('strand %s passes gate %s, which is not there', s.no, g.gate) FROM tasklane.strands s
      CROSS JOIN LATERAL unnest(s.gates) AS g(gate) LEFT JOIN tasklane.gates k ON k.no = g.gate WHERE k.no IS NULL",
    "SELECT format('strand %s passes other gates than those of its keys', s.no) FROM tasklane.strands s
      JOIN tasklane.lanes l ON l.no = s.lane JOIN tasklane.queues q ON q.no = l.queue
      WHERE ARRAY(SELECT k.key FROM unnest(s.gates) WITH ORDINALITY AS g(gate, n) JOIN tasklane.gates k ON k.no = g.gate
          WHERE k.kind = 3 AND k.tenant = s.tenant COLLATE \"C\" ORDER BY g.n)
        <> ARRAY(SELECT json_array_elements_text(s.keys::json))",
];

/// What was found, and what it comes to.
#[derive(Default)]
pub(crate) struct Found {
    pub report: Report,
    pub tally: Tally,
}

/// Checks the database.
///
/// # Errors
/// [`OpenError`] where it cannot be looked at at all.
pub async fn check(options: &Options) -> Result<Report, OpenError> {
    let faulty = |fault| OpenError::from_fault(&fault);
    let sessions = Connect::new(options)?.sessions(options)?;
    let session = sessions.get_patient().await.map_err(faulty)?;
    super::migrate::known(&session).await?;
    look(&session).await.map(|found| found.report).map_err(faulty)
}

async fn look(session: &Session) -> Result<Found> {
    let plans = "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_bitmapscan = on";
    session.begin_by(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {plans}")).await?;
    let names = Names::all(session).await?;
    let found = read(session, &names).await;
    session.roll_back().await?;
    found
}

/// Reads everything, in the transaction under way.
pub(crate) async fn read(session: &Session, names: &Names) -> Result<Found> {
    let mut found = Found::default();
    let mut counts: HashMap<(LaneNo, ScopeNo), Counts> = HashMap::new();
    each(session, TASKS, |row| task(row, names, &mut found, &mut counts)).await?;
    each(session, ATTEMPTS, |row| attempt(row, &mut found)).await?;
    each(session, LOGS, |row| log(row, &mut found)).await?;
    each(session, CHECKPOINTS, |row| checkpoint(row, &mut found)).await?;
    each(session, KEYS, |row| {
        found.tally.key(&key(row)?);
        Ok(())
    })
    .await?;
    each(session, GATES, |row| {
        found.tally.gate(&gate(row)?);
        Ok(())
    })
    .await?;
    each(session, fill_records::RECORDS, |row| {
        found.tally.record(&fill_records::record(row)?);
        Ok(())
    })
    .await?;
    each(session, fill_records::SLOTS, |row| {
        found.tally.slot(&fill_records::slot(row)?);
        Ok(())
    })
    .await?;
    for sql in UNKNOWN {
        each(session, sql, |row| {
            found.report.problem(row.try_get::<_, String>(0)?);
            Ok(())
        })
        .await?;
    }
    compare(Sums::read(session).await?, counts, &mut found.report);
    found.report.tasks = found.tally.tasks;
    Ok(found)
}

/// Calls `one` with every row.
async fn each(session: &Session, sql: &str, mut one: impl FnMut(&Row) -> Result<()>) -> Result<()> {
    session.batch(&format!("DECLARE tasklane_check NO SCROLL CURSOR FOR {sql}")).await?;
    loop {
        let rows = session.fetch(&NEXT).await?;
        if rows.is_empty() {
            return session.batch("CLOSE tasklane_check").await;
        }
        rows.iter().try_for_each(&mut one)?;
    }
}

fn task(row: &Row, names: &Names, found: &mut Found, counts: &mut HashMap<(LaneNo, ScopeNo), Counts>) -> Result<()> {
    let kept = match Kept::read(row, names) {
        Ok(kept) => kept,
        Err(fault @ Fault::Damaged(_)) => {
            found.tally.tasks += 1;
            found.report.problem(fault.to_string());
            return Ok(());
        }
        Err(fault) => return Err(fault),
    };
    let (task, id) = (&kept.task, kept.task.facts.id);
    found.tally.task(task, kept.token, kept.settled);
    counts.entry((kept.lane, kept.scope)).or_default().add(task.counted(), 1);
    if let Some(damage) = kept.damage {
        found.report.problem(format!("task {id}: {damage}"));
    }
    let (due, place, to_cancel): (Option<i64>, Option<i64>, Option<bool>) =
        (row.try_get(32)?, row.try_get(31)?, row.try_get(33)?);
    let state = task.facts.state;
    if place != (state == State::Queued).then(|| task.place()) {
        found.report.problem(format!("task {id} is {state} and has the place {place:?}"));
    }
    if due != due_of(task).map(Timestamp::as_micros) {
        found.report.problem(format!("task {id} is {state} and its due moment is noted as {due:?}"));
    }
    if to_cancel != (state == State::Running && task.facts.cancel_requested).then_some(true) {
        found.report.problem(format!("task {id} is to be cancelled, or is not, and its row says otherwise"));
    }
    Ok(())
}

fn attempt(row: &Row, found: &mut Found) -> Result<()> {
    let (task, attempt, body): (Uuid, i32, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if let Err(error) = serde_json::from_str::<Attempt>(body) {
        found.report.problem(format!("attempt {attempt} of task {task} cannot be read: {error}"));
    }
    found.tally.attempt(TaskId(task), attempt, body);
    Ok(())
}

fn log(row: &Row, found: &mut Found) -> Result<()> {
    let (task, attempt): (Uuid, i32) = (row.try_get(0)?, row.try_get(1)?);
    let (last, body): (i64, &[u8]) = (row.try_get(2)?, row.try_get(3)?);
    if let Err(damaged) = chunk::decode(body, attempt as u32) {
        found.report.problem(format!("the log of task {task}: {damaged}"));
    }
    found.tally.log(TaskId(task), attempt, last, body);
    Ok(())
}

fn checkpoint(row: &Row, found: &mut Found) -> Result<()> {
    let (task, name): (Uuid, &str) = (row.try_get(0)?, row.try_get(1)?);
    let (written, data): (i64, &[u8]) = (row.try_get(2)?, row.try_get(3)?);
    if sum(TaskId(task), data) as i64 != written {
        found.report.problem(format!("checkpoint {name:?} of task {task} does not match its checksum"));
    }
    found.tally.checkpoint(TaskId(task), name, data);
    Ok(())
}

fn key(row: &Row) -> Result<KeyRow> {
    Ok(KeyRow {
        kind: row.try_get(0)?,
        tenant: row.try_get(1)?,
        key: row.try_get(2)?,
        task: TaskId(row.try_get(3)?),
        fingerprint: row.try_get(4)?,
        until: row.try_get(5)?,
        gone: row.try_get(6)?,
    })
}

fn gate(row: &Row) -> Result<GateRow> {
    let set_by = row.try_get::<_, Option<i16>>(3)?.map(coded::set_by).transpose()?;
    let (bounds, starts) = (coded::read(row.try_get(4)?)?, row.try_get::<_, Option<&str>>(5)?);
    Ok(GateRow {
        name: coded::name(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?,
        definition: set_by.map(|set_by| Definition { bounds, set_by }),
        starts: starts.map_or_else(|| Ok(Starts::default()), coded::read)?,
    })
}

fn compare(counted: Sums, mut found: HashMap<(LaneNo, ScopeNo), Counts>, report: &mut Report) {
    for ((lane, scope), counts) in counted.by_lane {
        let found = found.remove(&(lane, scope)).unwrap_or_default();
        for what in Counted::all().filter(|it| found.of(*it) != counts.of(*it)) {
            let (found, counted) = (found.of(what), counts.of(what));
            report.problem(format!(
                "lane {} scope {}: {found} tasks are {what:?}, {counted} are counted",
                lane.0, scope.0
            ));
        }
    }
    for ((lane, scope), counts) in found.into_iter().filter(|(_, counts)| counts.total() > 0) {
        report.problem(format!("lane {} scope {}: {} tasks are not counted", lane.0, scope.0, counts.total()));
    }
}
