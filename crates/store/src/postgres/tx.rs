//! One commit under way: what every verb does to tasks comes down to the few moves here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tasklane_core::decision::{Applied, Decision};
use tasklane_core::event::Position;
use tasklane_core::fair::Fairness;
use tasklane_core::ports::store::{Answers, Batch};
use tasklane_core::queue::{Counted, QueueState};
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::outbox::{Moved, Outbox as Tidings};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::accept::urgency;
use super::bounds::{Bounds, Look};
use super::counters::{self, Shifts};
use super::error::{Fault, Result};
use super::fullness::Fullness;
use super::gate::Passing;
use super::hints::News;
use super::keys;
use super::names::{Last, NameBook, Names};
use super::row::{HAS_HISTORY, HAS_KEYS, Kept, are_unknown, columns, heads, text};
use super::session::{Session, Statement, Value};
use super::slots::{self, Slots};
use super::time::Time;
use super::turns::{self, Dealing, Ledger};
use super::write;
use crate::encoding::log::{Body, Way};
use crate::encoding::{LaneNo, ScopeNo};

/// What every commit begins with: the time, its own number where it certainly writes, how many names there are and how much
/// was said of gates, and the queues that do not simply give and take.
const OPEN: Statement = Statement {
    sql: "SELECT tasklane.now_micros(),
            CASE WHEN $1 THEN pg_current_xact_id()::text::bigint END,
            (SELECT coalesce(max(no), 0) FROM tasklane.lanes), (SELECT coalesce(max(no), 0) FROM tasklane.scopes),
            ARRAY(SELECT name FROM tasklane.queues WHERE state <> 1 ORDER BY no),
            ARRAY(SELECT state FROM tasklane.queues WHERE state <> 1 ORDER BY no),
            (SELECT value FROM tasklane.facts WHERE name = 'gates')",
    types: &[Type::BOOL],
};

const LOCK: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM tasklane.tasks t WHERE t.id = ANY($1) ORDER BY t.id FOR UPDATE"),
    types: &[Type::UUID_ARRAY],
};

const LOCK_HEADS: Statement = Statement {
    sql: concat!("SELECT ", heads!(), " FROM tasklane.tasks t WHERE t.id = ANY($1) ORDER BY t.id FOR UPDATE"),
    types: &[Type::UUID_ARRAY],
};

const ATTEMPTS: Statement = Statement {
    sql: "INSERT INTO tasklane.attempts (task, attempt, body) SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[])
          ON CONFLICT DO NOTHING",
    types: &[Type::UUID_ARRAY, Type::INT4_ARRAY, Type::TEXT_ARRAY],
};

const EVENT: Statement = Statement {
    sql: "INSERT INTO tasklane.events (position, at, body)
          VALUES ($1 + pg_current_xact_id()::text::bigint, $2, $3) RETURNING position",
    types: &[Type::INT8, Type::INT8, Type::BYTEA],
};

/// What commits of one server share.
pub(crate) struct Shared {
    pub book: NameBook,
    pub time: Time,
    /// What is added to a transaction's number to make a position.
    pub base: i64,
    /// This server among those that share the database.
    pub server: i64,
    pub sweep: Mutex<super::sweep::Cursor>,
    pub bounds: Mutex<Bounds>,
    pub fullness: Mutex<Fullness>,
    pub slots: Slots,
    pub fairness: Fairness,
    pub turns: Mutex<Ledger>,
    /// Slots that the backstop gave back.
    pub regained: AtomicU64,
    /// The last event of this server's.
    pub last: AtomicI64,
}

/// A commit under way.
pub(crate) struct Tx<'a> {
    pub session: &'a Session,
    pub shared: &'a Shared,
    pub names: Arc<Names>,
    pub now: Timestamp,
    /// The number of the transaction, once it is known.
    pub number: Option<i64>,
    /// Answers of the callers, and whose turn it is.
    pub answers: Vec<Answers>,
    pub caller: usize,
    pub ids: Ids,
    /// Queues that do not simply give and take.
    pub queues: HashMap<Box<str>, QueueState>,
    /// What other servers will be told.
    pub news: News,
    /// Where this commit looked for what may be leased.
    pub looks: Vec<Look>,
    /// What it does at gates.
    pub gates: Passing,
    /// Turns that it deals out.
    pub dealing: Dealing,
    /// Who is told of what it does.
    pub outbox: Tidings,
    /// The earliest moment at which something that this commit touched happens by itself.
    pub due: Option<Timestamp>,
    body: Body,
    shifts: Shifts,
}

/// What a commit leaves in the event log: by it, it is told from any other.
pub(crate) struct Trace {
    pub number: i64,
    pub position: i64,
    pub at: i64,
    pub body: Vec<u8>,
}

/// What is taken for granted of new ids that no caller chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// They are new.
    Trusted,
    /// One of them was not: each is looked for.
    LookedFor,
}

/// Whether a commit certainly writes, so that it is given its number at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    Certainly,
    Perhaps,
}

impl<'a> Tx<'a> {
    /// Begins.
    pub(crate) async fn begin(
        session: &'a Session,
        shared: &'a Shared,
        callers: usize,
        writes: Writes,
    ) -> Result<Self> {
        let certainly = writes == Writes::Certainly;
        // Looked up before the database is asked, so that it cannot know less.
        let names = shared.book.look();
        let values: [Value<'_>; 1] = [&certainly];
        let (begun, opened) = tokio::join!(biased; session.begin(), session.row(&OPEN, &values));
        begun?;
        let opened = opened?;
        let now = shared.time.heard(Timestamp::from_micros(opened.try_get(0)?));
        let states: Vec<i16> = opened.try_get(5)?;
        let states = states.into_iter().filter_map(|code| QueueState::from_code(u8::try_from(code).ok()?));
        let queues = opened.try_get::<_, Vec<&str>>(4)?.into_iter().map(Box::from).zip(states).collect();
        let answers = std::iter::repeat_with(Answers::default).take(callers).collect();
        let mut tx = Self {
            session,
            shared,
            names,
            now,
            number: opened.try_get(1)?,
            answers,
            caller: 0,
            ids: Ids::Trusted,
            queues,
            news: News::default(),
            looks: Vec::new(),
            gates: Passing::default(),
            dealing: Dealing::default(),
            outbox: Tidings::default(),
            due: None,
            body: Body::default(),
            shifts: Shifts::default(),
        };
        let last = Last { lane: opened.try_get(2)?, scope: opened.try_get(3)?, gates: opened.try_get(6)? };
        tx.know_names_up_to(last).await?;
        Ok(tx)
    }

    /// Every verb in the order of the road, each over all callers.
    pub(crate) async fn run(&mut self, batches: &[Batch]) -> Result<()> {
        self.outbox = Tidings::of(batches);
        self.renew_all(batches).await?;
        self.note_all(batches).await?;
        self.settle_all(batches).await?;
        self.hand_all(batches).await?;
        self.control_all(batches).await?;
        self.gate_all(batches).await?;
        self.record_all(batches).await?;
        self.accept_all(batches).await?;
        self.promote_all(batches).await?;
        self.lease_all(batches).await?;
        self.rescue_all(batches).await?;
        self.sweep_all(batches).await?;
        self.deliver_all().await?;
        self.count_opened();
        Ok(())
    }

    /// Writes what is left to be written and commits. The answers say where the commit stands, even where this fails: it
    /// may have taken place all the same.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        self.count_all();
        let writes = !self.body.bytes().is_empty();
        // Apart, as it is large.
        let done = if writes { Box::pin(self.end()).await } else { self.session.commit().await };
        let position = if writes { self.number.map(|number| number + self.shared.base) } else { None };
        let known = if done.is_ok() { position.unwrap_or(0) } else { 0 };
        let last = self.shared.last.fetch_max(known, Ordering::Relaxed);
        self.news.position = Position(position.unwrap_or(0) as u64);
        for answers in &mut self.answers {
            answers.position = Position(position.unwrap_or(last) as u64);
            answers.next_due = self.due.map(|at| at.since(self.now));
        }
        done
    }

    /// Sent behind one another without waiting: the transaction ends with the first that fails. What is sent must be
    /// prepared by then, or the end would overtake it.
    async fn end(&mut self) -> Result<()> {
        let (session, shared, shifts) = (self.session, self.shared, self.shifts.rows(self.body.bytes().len()));
        let (at, body) = (self.now.as_micros(), self.body.bytes());
        let values: [Value<'_>; 3] = [&shared.base, &at, &body];
        let event = async {
            let row = session.row(&EVENT, &values).await?;
            Ok::<i64, Fault>(row.try_get(0)?)
        };
        session.prepare(&EVENT).await?;
        session.prepare(&counters::APPEND).await?;
        let left = slots::Left::of(&self.gates.changed);
        if !left.is_empty() {
            session.prepare(&slots::LEAVE).await?;
        }
        let fronts = self.fronts();
        if !fronts.is_empty() {
            session.prepare(&turns::COME).await?;
        }
        let (event, counted, left, come, committed) = tokio::join!(biased; event, counters::append(session, &shifts),
            slots::leave(session, &left, self.now), turns::write(session, &fronts), session.commit());
        if let Ok(at) = event {
            self.number = Some(at - shared.base);
        }
        event?;
        counted?;
        left?;
        come?;
        committed
    }

    /// What it leaves if it takes place; `None` where it changes nothing that anybody is told of, or its number is unknown.
    pub(crate) fn trace(&self) -> Option<Trace> {
        let number = self.number.filter(|_| !self.body.bytes().is_empty())?;
        let (position, at, body) = (self.shared.base + number, self.now.as_micros(), self.body.bytes().to_vec());
        Some(Trace { number, position, at, body })
    }

    pub(crate) fn answer(&mut self) -> &mut Answers {
        &mut self.answers[self.caller]
    }

    /// What this row tells.
    pub(crate) async fn kept(&mut self, rows: &[Row]) -> Result<Vec<Kept>> {
        if are_unknown(rows, &self.names)? {
            self.read_names().await?;
        }
        rows.iter().map(|row| Kept::read(row, &self.names)).collect()
    }

    /// These tasks as they are now, locked until the end of the commit.
    pub(crate) async fn lock(&mut self, ids: &[Uuid]) -> Result<HashMap<TaskId, Kept>> {
        self.lock_by(&LOCK, ids).await
    }

    /// The same without payloads and results.
    pub(crate) async fn lock_heads(&mut self, ids: &[Uuid]) -> Result<HashMap<TaskId, Kept>> {
        self.lock_by(&LOCK_HEADS, ids).await
    }

    async fn lock_by(&mut self, statement: &Statement, ids: &[Uuid]) -> Result<HashMap<TaskId, Kept>> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = self.session.rows(statement, &[&ids]).await?;
        let kept = self.kept(&rows).await?;
        Ok(kept.into_iter().map(|kept| (kept.task.facts.id, kept)).collect())
    }

    /// Carries out a decision on a task in memory; it is written by [`Tx::write`].
    pub(crate) fn apply(&mut self, kept: &mut Kept, decision: Decision, ended: &mut Ended) -> Option<Freed> {
        let (from, place) = (kept.task.facts.state, (urgency(kept.task.priority), kept.task.place()));
        self.leave_turn(&kept.task, kept.lane);
        let turn = self.next_turn(kept, decision.to);
        let Applied { transition, ended: attempt } = kept.task.apply(decision, self.now);
        kept.task.turn = turn;
        if let Some(attempt) = attempt {
            kept.has |= HAS_HISTORY;
            ended.attempts.push((kept.task.facts.id, attempt));
        }
        self.moved(kept, Some(from));
        if from == State::Queued && kept.task.facts.state == State::Queued {
            // A look under way may meet it at its new place and take that for the end of what it has seen: what lies
            // between is to be looked at again.
            self.news.queued(kept.strand, place);
        }
        self.outbox.follow(self.caller, &Moved::of(&kept.task, Some(from), self.now));
        self.answer().transitions.push(transition);
        if kept.task.facts.state.is_final() && kept.unreadable.is_some() && kept.has & HAS_KEYS != 0 {
            ended.nameless.push(kept.task.facts.id.0);
        }
        kept.task.facts.state.is_final().then(|| Freed::of(kept, self.now)).flatten()
    }

    /// Writes tasks that were changed in memory, and what became of their attempts and keys.
    pub(crate) async fn write(&mut self, kept: &[&Kept], ended: Ended, freed: Vec<Freed>) -> Result<()> {
        write::tasks(self.session, kept).await?;
        self.dealt_stands();
        if !ended.attempts.is_empty() {
            let ids: Vec<Uuid> = ended.attempts.iter().map(|(id, _)| id.0).collect();
            let numbers: Vec<i32> = ended.attempts.iter().map(|(_, it)| it.attempt as i32).collect();
            let bodies = ended.attempts.iter().map(|(_, attempt)| text(attempt)).collect::<Result<Vec<_>>>()?;
            self.session.run(&ATTEMPTS, &[&ids, &numbers, &bodies]).await?;
        }
        keys::let_go_of(self.session, &ended.nameless).await?;
        keys::let_go(self.session, &freed).await
    }

    /// Notes that a task came from `from` to where it is now.
    pub(crate) fn moved(&mut self, kept: &Kept, from: Option<State>) {
        let facts = &kept.task.facts;
        self.record(Way::of(&kept.task, from, kept.lane, kept.scope), facts.id);
        // Of a running task an alarm says it.
        self.will_be_due(write::due_of(&kept.task));
        if facts.state == State::Queued {
            self.news.queued(kept.strand, (urgency(kept.task.priority), kept.task.place()));
        } else if facts.state.is_final() {
            self.news.ended(facts.id);
        }
        self.pass_gates(kept.strand, from, facts.state);
    }

    /// Notes a way that one task went.
    pub(crate) fn record(&mut self, way: Way, id: TaskId) {
        let ended = self.body.add(way, id);
        ended.into_iter().for_each(|ended| self.shifts.add(ended));
    }

    pub(crate) fn will_be_due(&mut self, at: Option<Timestamp>) {
        self.due = self.due.into_iter().chain(at).min();
    }

    /// How many more tasks of these lanes run than when it began.
    pub(crate) fn running_in(&mut self, lanes: &[LaneNo]) -> i64 {
        self.count_all();
        self.shifts.running_in(lanes)
    }

    /// How many more of a lane and scope are queued than when it began, as far as that was counted.
    pub(crate) fn queued_since(&self, lane: LaneNo, scope: ScopeNo) -> i64 {
        self.shifts.queued(lane, scope)
    }

    /// What this commit has changed in the counts so far.
    pub(crate) fn shifts(&self) -> impl Iterator<Item = (Counted, i64)> + '_ {
        self.shifts.each()
    }

    pub(crate) fn count_all(&mut self) {
        let ended = self.body.end_group();
        ended.into_iter().for_each(|ended| self.shifts.add(ended));
    }
}

/// What ended.
#[derive(Default)]
pub(crate) struct Ended {
    /// Attempts, for the history.
    attempts: Vec<(TaskId, Attempt)>,
    /// Final tasks that hold a unique key whose name nobody can read.
    nameless: Vec<Uuid>,
}

/// A unique key that a final task lets go, at once or later.
pub(crate) struct Freed {
    pub tenant: Box<str>,
    pub key: Box<str>,
    pub id: TaskId,
    pub until: Option<Timestamp>,
}

impl Freed {
    fn of(kept: &Kept, now: Timestamp) -> Option<Self> {
        if kept.has & HAS_KEYS == 0 {
            return None;
        }
        let facts = &kept.task.facts;
        let unique = facts.spec.unique.as_ref()?;
        let until = unique.held_until(kept.task.created_at, now);
        Some(Self { tenant: facts.scope.tenant.clone(), key: unique.key.clone(), id: facts.id, until })
    }
}
