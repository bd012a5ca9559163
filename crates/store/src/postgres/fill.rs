//! Fills an empty database with what another store holds, in one transaction: it is there as a whole or not at all. From the
//! first word to the last the database says of itself that it is incomplete, so that no server works on it.

use std::collections::HashMap;

use tasklane_core::lease::Home;
use tasklane_core::queue::Counted;
use tasklane_core::state::State;
use tasklane_core::time::Timestamp;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::accept::urgency;
use super::alarms;
use super::check::{self, Found};
use super::counters;
use super::error::{Fault, OpenError, Result};
use super::names::{self, Names};
use super::open::{Connect, Options};
use super::row::{self, HAS_CHECKPOINTS, HAS_HISTORY, HAS_KEYS, HAS_LOGS, micros, origin_of, spec_text, text};
use super::session::{Session, Sessions, Statement, Value};
use super::slots::{self, Changes};
use super::turns;
use super::write::due_of;
use crate::encoding::Numbered;
use crate::encoding::checksum::sum;
use crate::promote::rows::{Chunk, TaskRow, TurnsRow};
use crate::sqlite::{Migrate, SourceNames};

/// The fact that says that a database is incomplete: 0 while it is filled, the number of the promotion once it is filled and
/// verified and the store it came from has not been marked yet.
const INCOMPLETE: Statement =
    Statement { sql: "SELECT value FROM tasklane.facts WHERE name = 'incomplete' FOR UPDATE", types: &[] };

const SET_INCOMPLETE: Statement = Statement {
    sql: "INSERT INTO tasklane.facts (name, value) VALUES ('incomplete', $1)
          ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    types: &[Type::INT8],
};

const COMPLETE: Statement =
    Statement { sql: "DELETE FROM tasklane.facts WHERE name = 'incomplete' AND value = $1", types: &[Type::INT8] };

/// A server says at least once a second that it is there.
const SERVED: Statement = Statement {
    sql: "SELECT EXISTS (SELECT 1 FROM tasklane.servers
            WHERE seen > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 10000000)",
    types: &[],
};

const HOLDS: Statement = Statement {
    sql:
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM tasklane.tasks) THEN 'tasks' WHEN EXISTS (SELECT 1 FROM tasklane.queues)
            THEN 'queues' WHEN EXISTS (SELECT 1 FROM tasklane.keys) THEN 'keys'
            WHEN EXISTS (SELECT 1 FROM tasklane.events) THEN 'events' WHEN EXISTS (SELECT 1 FROM tasklane.gates) THEN 'gates'
            WHEN EXISTS (SELECT 1 FROM tasklane.records) THEN 'records' END",
    types: &[],
};

const EMPTY: &str = "TRUNCATE tasklane.tasks, tasklane.attempts, tasklane.logs, tasklane.checkpoints, tasklane.keys,
    tasklane.events, tasklane.counters, tasklane.alarms, tasklane.gates, tasklane.strands, tasklane.slots, tasklane.returned, tasklane.turns, tasklane.records, tasklane.schedule_slots, tasklane.lanes, tasklane.scopes, tasklane.queues RESTART IDENTITY";

/// What is read back is read whole.
const PLANS: &str = "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_bitmapscan = on";

const QUEUES: Statement = Statement {
    sql: "INSERT INTO tasklane.queues (name, state) SELECT u.name, u.state
          FROM unnest($1::text[], $2::smallint[]) WITH ORDINALITY AS u(name, state, no) ORDER BY u.no",
    types: &[Type::TEXT_ARRAY, Type::INT2_ARRAY],
};

/// Positions begin above those of the log that is left behind, and whoever follows that one is told to begin anew.
const POSITIONS: Statement = Statement {
    sql: "UPDATE tasklane.facts SET value = greatest(value, $1) WHERE name IN ('position_base', 'log_floor')",
    types: &[Type::INT8],
};

const TASK_COLUMNS: &str = "id, created, rank, place, queued, due, run_at, started, finished, token, lease_length, lease_until, \
    heard, grace_until, payload_sum, result_sum, lane, scope, attempt, spent, urgency, state, reason, crashes, flags, to_cancel, \
    settled, origin, worker, spec, failure, progress, hidden, payload, result, inside, inside_attempt";

/// The number of no server: what ran in the one that is left behind ended with it.
const GONE: i64 = 0;

const TASK_TYPES: [Type; 37] = [
    Type::UUID,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT8,
    Type::INT4,
    Type::INT4,
    Type::INT4,
    Type::INT4,
    Type::INT2,
    Type::INT2,
    Type::INT2,
    Type::INT2,
    Type::INT2,
    Type::BOOL,
    Type::INT2,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::BYTEA,
    Type::BYTEA,
    Type::INT8,
    Type::INT4,
];

/// Whether an incomplete database may be filled anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// Not where a promotion waits for its last word.
    #[default]
    No,
    /// Yes; a database that was ever served from is never replaced.
    Incomplete,
}

/// What a database is to a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is ours to fill.
    Mine,
    /// It has been filled by the promotion of this number, and verified.
    Filled(i64),
    /// It is not, unless it is asked for: the promotion of another number waits for its last word.
    Unfinished,
    /// Servers work on it.
    Served,
    /// It holds this already.
    Holds(&'static str),
}

/// A database that is filled.
pub(crate) struct Fill {
    pub(super) session: Session,
    pub(super) names: Names,
    /// How many running tasks pass gates of keys.
    pub(super) held: Changes,
    counts: HashMap<(i32, i32, i16), i64>,
    running: Vec<Uuid>,
    due: Option<Timestamp>,
    // The connection is the pool's.
    _sessions: Sessions,
}

impl Fill {
    /// Connects, and makes the tables where there are none.
    pub(crate) async fn open(options: &Options) -> Result<Self, OpenError> {
        let faulty = |fault| OpenError::from_fault(&fault);
        let sessions = Connect::new(options)?.sessions(options)?;
        let session = sessions.get_patient().await.map_err(faulty)?;
        super::migrate::migrate(&session, Migrate::Yes).await?;
        let (names, held, counts, running) = (Names::default(), Changes::default(), HashMap::new(), Vec::new());
        Ok(Self { session, names, held, counts, running, due: None, _sessions: sessions })
    }

    /// Looks at the database and, where it may be filled, keeps servers away from it.
    pub(crate) async fn claim(&self, replace: Replace, promoted: Option<i64>) -> Result<Claim> {
        // A server that opens it says so in this table before it looks whether it may: one of both sees the other.
        self.session.begin_by("BEGIN; LOCK TABLE tasklane.servers IN SHARE ROW EXCLUSIVE MODE").await?;
        let claim = self.claim_here(replace, promoted).await;
        match claim {
            Ok(Claim::Mine) => self.session.commit().await?,
            _ => self.session.roll_back().await?,
        }
        claim
    }

    async fn claim_here(&self, replace: Replace, promoted: Option<i64>) -> Result<Claim> {
        match self.incomplete().await? {
            Some(id) if id != 0 && promoted == Some(id) => return Ok(Claim::Filled(id)),
            _ if promoted.is_some() => return Ok(Claim::Unfinished),
            Some(id) if id != 0 && replace == Replace::No => return Ok(Claim::Unfinished),
            Some(_) => {}
            None => {
                if self.session.row(&SERVED, &[]).await?.try_get(0)? {
                    return Ok(Claim::Served);
                }
                if let Some(what) = self.session.row(&HOLDS, &[]).await?.try_get::<_, Option<&str>>(0)? {
                    let known = ["tasks", "queues", "keys", "events", "gates", "records"];
                    return Ok(Claim::Holds(known.into_iter().find(|it| *it == what).unwrap_or("rows")));
                }
            }
        }
        self.session.run(&SET_INCOMPLETE, &[&0_i64]).await?;
        Ok(Claim::Mine)
    }

    async fn incomplete(&self) -> Result<Option<i64>> {
        let rows = self.session.rows(&INCOMPLETE, &[]).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }

    /// Begins to fill. Answers whether nobody else does.
    pub(crate) async fn begin(&self) -> Result<bool> {
        self.session.begin().await?;
        if self.incomplete().await? != Some(0) {
            self.session.roll_back().await?;
            return Ok(false);
        }
        self.session.batch(EMPTY).await?;
        self.session.batch(PLANS).await?;
        Ok(true)
    }

    /// Writes the names that tasks have numbers of.
    pub(crate) async fn names(&mut self, from: &SourceNames) -> Result<()> {
        let names: Vec<&str> = from.queues.iter().map(|it| &*it.name).collect();
        let states: Vec<i16> = from.queues.iter().map(|it| it.state.code().into()).collect();
        self.session.run(&QUEUES, &[&names, &states]).await?;
        let lanes: Vec<_> = from.lanes.iter().map(|it| std::sync::Arc::clone(&it.lane)).collect();
        names::put(&self.session, &lanes, &from.scopes).await?;
        self.names = Names::all(&self.session).await?;
        let shared = from.lanes.iter().filter(|it| it.shared).filter_map(|it| self.names.lane_no(&it.lane));
        let shared: Vec<i32> = shared.map(|no| no.0 as i32).collect();
        if !shared.is_empty() {
            turns::share(&self.session, &shared).await?;
            self.names.read_on(&self.session).await?;
        }
        Ok(())
    }

    /// Writes rows.
    pub(crate) async fn write(&mut self, chunk: &Chunk, from: &SourceNames) -> Result<()> {
        match chunk {
            Chunk::Gates(rows) => self.gates(rows).await,
            Chunk::Turns(rows) => self.turns(rows, from).await,
            Chunk::Tasks(rows) => self.tasks(rows, from).await,
            Chunk::Records(rows) => self.records(rows).await,
            Chunk::Versions(last) => self.versions(last).await,
            Chunk::Slots(rows) => self.slots(rows).await,
            Chunk::Attempts(rows) => {
                let mut into =
                    self.copy("attempts (task, attempt, body)", &[Type::UUID, Type::INT4, Type::TEXT]).await?;
                for row in rows {
                    into.as_mut().write(&[&row.task.0, &row.attempt, &row.body]).await?;
                }
                done(into).await
            }
            Chunk::Logs(rows) => {
                let types = [Type::UUID, Type::INT4, Type::INT8, Type::INT4, Type::INT4, Type::BYTEA];
                let mut into = self.copy("logs (task, attempt, last, lines, bytes, body)", &types).await?;
                for row in rows {
                    let values: [Value<'_>; 6] =
                        [&row.task.0, &row.attempt, &row.last, &row.lines, &row.bytes, &row.body];
                    into.as_mut().write(&values).await?;
                }
                done(into).await
            }
            Chunk::Checkpoints(rows) => {
                let types = [Type::UUID, Type::TEXT, Type::INT8, Type::BYTEA];
                let mut into = self.copy("checkpoints (task, name, sum, data)", &types).await?;
                for row in rows {
                    into.as_mut().write(&[&row.task.0, &row.name, &row.sum, &row.data]).await?;
                }
                done(into).await
            }
            Chunk::Keys(rows) => {
                let types = [Type::INT2, Type::TEXT, Type::TEXT, Type::UUID, Type::INT8, Type::INT8, Type::INT2];
                let mut into = self.copy("keys (kind, tenant, key, task, fingerprint, until, gone)", &types).await?;
                for row in rows {
                    let values: [Value<'_>; 7] =
                        [&row.kind, &row.tenant, &row.key, &row.task.0, &row.fingerprint, &row.until, &row.gone];
                    into.as_mut().write(&values).await?;
                }
                done(into).await
            }
        }
    }

    /// How far turns have come.
    async fn turns(&self, rows: &[TurnsRow], from: &SourceNames) -> Result<()> {
        let mut come = turns::Rows::default();
        for row in rows {
            let lane = self.names.lane_no(from.lane_of(row.lane)?);
            let lane = lane.ok_or_else(|| Fault::damaged("turns of a lane that has no number"))?;
            come.push((lane, urgency(row.priority)), row.front);
        }
        turns::write(&self.session, &come).await
    }

    pub(super) async fn copy(&self, table: &str, types: &[Type]) -> Result<Into> {
        let sink = self.session.copy_in(&format!("COPY tasklane.{table} FROM STDIN (FORMAT binary, FREEZE)")).await?;
        Ok(Box::pin(BinaryCopyInWriter::new(sink, types)))
    }

    async fn tasks(&mut self, rows: &[TaskRow], from: &SourceNames) -> Result<()> {
        self.strands(rows).await?;
        let mut into = self.copy(&format!("tasks ({TASK_COLUMNS})"), &TASK_TYPES).await?;
        for row in rows {
            let unnumbered = || Fault::damaged("a task of a lane or scope that has no number");
            let lane = self.names.lane_no(from.lane_of(row.lane)?).ok_or_else(unnumbered)?;
            let strand = self.strand_of(&row.task.facts, lane).ok_or_else(unnumbered)?;
            let scope = self.names.scope_no(from.scope_of(row.scope)?).ok_or_else(unnumbered)?.0 as i32;
            task(&mut into, row, (strand.0 as i32, scope)).await?;
            let counted = i16::from(row.task.counted().code());
            *self.counts.entry((lane.0 as i32, scope, counted)).or_default() += 1;
            if row.task.facts.state == State::Running {
                self.holds(strand);
                self.running.push(row.task.facts.id.0);
                self.due = self.due.into_iter().chain(row.task.facts.due_at()).min();
            }
        }
        done(into).await?;
        self.set_alarm().await
    }

    /// Whoever opens the database lets these leases count anew.
    async fn set_alarm(&mut self) -> Result<()> {
        let running = std::mem::take(&mut self.running);
        if !running.is_empty() {
            let at = self.due.take().unwrap_or_default().as_micros();
            self.session.run(&alarms::SET, &[&at, &running]).await?;
        }
        Ok(())
    }

    /// What was counted: by lane, scope and what it is counted as.
    pub(crate) fn counted(
        &self,
        lane: &tasklane_core::task::Lane,
        scope: &tasklane_core::task::Scope,
        of: Counted,
    ) -> u64 {
        let numbers = self.names.lane_no(lane).zip(self.names.scope_no(scope));
        let key = numbers.map(|(lane, scope)| (lane.0 as i32, scope.0 as i32, i16::from(of.code())));
        key.and_then(|key| self.counts.get(&key)).map_or(0, |n| n.unsigned_abs())
    }

    /// Writes what the rows add up to and where positions begin, and reads everything back.
    pub(crate) async fn verify(&mut self, last_position: i64) -> Result<Found> {
        let mut rows = counters::Rows::default();
        for ((lane, scope, counted), n) in &self.counts {
            rows.push(*lane, *scope, *counted, *n);
        }
        counters::append(&self.session, &rows).await?;
        slots::leave(&self.session, &slots::Left::of(&self.held), Timestamp::EPOCH).await?;
        self.session.run(&POSITIONS, &[&last_position.saturating_add(1)]).await?;
        check::read(&self.session, &self.names).await
    }

    /// What was filled is there, but nobody may use it yet.
    pub(crate) async fn commit(&self, promotion: i64) -> Result<()> {
        self.session.run(&SET_INCOMPLETE, &[&promotion]).await?;
        self.session.commit().await
    }

    /// It is not filled after all: servers may make of it what they like. Where that cannot be said it stays incomplete.
    pub(crate) async fn give_up(&self) {
        let given_up = async {
            self.session.roll_back().await?;
            self.session.run(&COMPLETE, &[&0_i64]).await
        };
        if let Err(fault) = given_up.await {
            tracing::debug!(%fault, "the database still says that it is incomplete");
        }
    }

    /// It is complete: servers may work on it.
    pub(crate) async fn release(&self, promotion: i64) -> Result<()> {
        self.session.run(&COMPLETE, &[&promotion]).await?;
        // So that the first minutes are planned well; it may fail.
        if let Err(fault) = self.session.batch("ANALYZE tasklane.tasks").await {
            tracing::debug!(%fault, "the table was not analyzed; autovacuum will");
        }
        Ok(())
    }
}

type Into = std::pin::Pin<Box<BinaryCopyInWriter>>;

pub(super) async fn done(mut into: Into) -> Result<()> {
    into.as_mut().finish().await?;
    Ok(())
}

/// Writes the row of a task.
async fn task(into: &mut Into, row: &TaskRow, (lane, scope): (i32, i32)) -> Result<()> {
    let (task, facts) = (&row.task, &row.task.facts);
    let running = facts.state == State::Running;
    let lease = facts.lease.as_ref().filter(|_| running);
    let flag = |set: bool, flag: i16| if set { flag } else { 0 };
    let flags = row::flags(task)
        | flag(row.has.logs, HAS_LOGS)
        | flag(row.has.checkpoints, HAS_CHECKPOINTS)
        | flag(row.has.history, HAS_HISTORY)
        | flag(row.has.keys, HAS_KEYS);
    let json = |it: Option<Result<String>>| it.transpose();
    let inside = (running && row.home == Home::InServer).then_some(facts.attempt as i32);
    let values: [Value<'_>; 37] = [
        &facts.id.0,
        &task.created_at.as_micros(),
        &task.rank.as_micros(),
        &(facts.state == State::Queued).then(|| task.place()),
        &micros(task.queued_at),
        &micros(due_of(task)),
        &micros(facts.run_at),
        &micros(facts.started_at),
        &micros(task.finished_at),
        &(facts.attempt > 0).then_some(row.token.0 as i64),
        &lease.map(|it| it.length.as_micros() as i64),
        &lease.map(|it| it.until.as_micros()),
        &lease.map(|it| it.heard_at.as_micros()),
        &micros(lease.and_then(|it| it.grace_until)),
        &(sum(facts.id, &task.payload) as i64),
        &task.result.as_ref().map(|it| sum(facts.id, it) as i64),
        &lane,
        &scope,
        &(facts.attempt as i32),
        &(facts.spent as i32),
        &urgency(task.priority),
        &i16::from(facts.state.code()),
        &i16::from(task.reason.code()),
        &i16::try_from(facts.crashes).unwrap_or(i16::MAX),
        &flags,
        &(running && facts.cancel_requested).then_some(true),
        &row::settled_code(row.settled),
        &origin_of(&facts.scope),
        &task.worker.as_deref(),
        &spec_text(&facts.spec)?,
        &json(task.failure.as_ref().map(text))?,
        &json(task.progress.as_ref().map(text))?,
        &micros(task.hidden_at),
        &&*task.payload,
        &task.result.as_deref(),
        &inside.map(|_| GONE),
        &inside,
    ];
    Ok(into.as_mut().write(&values).await?)
}
