//! A task's row and back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tasklane_core::gate::no_keys;
use tasklane_core::lease::{Lease, Token};
use tasklane_core::outcome::Failure;
use tasklane_core::queue::Counted;
use tasklane_core::settle::Mark;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Facts, Progress, Scope, Spec, Task, TaskId};
use tasklane_core::time::Timestamp;
use tokio_postgres::Row;

use super::error::{Fault, Result};
use super::names::Names;
use crate::encoding::checksum::sum;
use crate::encoding::{LaneNo, Numbered, ScopeNo, mark};

/// The columns [`Kept::read`] wants, in their order.
macro_rules! columns {
    () => {
        "t.id, t.lane, t.scope, t.state, t.reason, t.attempt, t.spent, t.crashes, t.flags, t.urgency, t.settled, t.created, \
         t.rank, t.queued, t.run_at, t.started, t.finished, t.token, t.lease_length, t.lease_until, t.heard, t.grace_until, \
         t.payload_sum, t.result_sum, t.worker, t.spec, t.failure, t.progress, t.hidden, t.payload, t.result, t.place"
    };
}
pub(crate) use columns;

/// The same without payload and result, which are then empty and count as damaged: for what decides by the rest.
macro_rules! heads {
    () => {
        "t.id, t.lane, t.scope, t.state, t.reason, t.attempt, t.spent, t.crashes, t.flags, t.urgency, t.settled, t.created, \
         t.rank, t.queued, t.run_at, t.started, t.finished, t.token, t.lease_length, t.lease_until, t.heard, t.grace_until, \
         t.payload_sum, t.result_sum, t.worker, t.spec, t.failure, t.progress, t.hidden, ''::bytea, NULL::bytea, t.place"
    };
}
pub(crate) use heads;

/// Somebody asked to cancel it.
pub(crate) const CANCEL_REQUESTED: i16 = 1;
const QUARANTINED: i16 = 2;
/// It has rows in `logs`.
pub(crate) const HAS_LOGS: i16 = 4;
/// It has rows in `checkpoints`.
pub(crate) const HAS_CHECKPOINTS: i16 = 8;
/// It has rows in `attempts`.
pub(crate) const HAS_HISTORY: i16 = 16;
/// A row in `keys` leads to it, or did.
pub(crate) const HAS_KEYS: i16 = 32;
/// While it is queued it stands at its turn, not at its rank.
pub(crate) const HAS_TURN: i16 = 64;
const OF_CORE: i16 = CANCEL_REQUESTED | QUARANTINED | HAS_TURN;

/// A task, and what its row tells beyond it.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub lane: LaneNo,
    /// Where it stands: in its lane, or in a strand of it.
    pub strand: LaneNo,
    pub scope: ScopeNo,
    /// The token of the last attempt, also after its end.
    pub token: Token,
    pub settled: Option<Mark>,
    /// [`HAS_LOGS`] and the others.
    pub has: i16,
    /// Why it is not to be trusted.
    pub damage: Option<&'static str>,
    /// Its options as they stand there, where nobody can read them: they are left so, and it fails when it would start.
    pub unreadable: Option<Box<str>>,
    pub task: Task,
}

/// Whether one of these rows names what `names` does not know.
pub(crate) fn are_unknown(rows: &[Row], names: &Names) -> Result<bool> {
    for row in rows {
        let (lane, scope) = (LaneNo(row.try_get::<_, i32>(1)? as u32), ScopeNo(row.try_get::<_, i32>(2)? as u32));
        if names.lane_of(lane).is_err() || names.scope_of(scope).is_err() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Kept {
    /// A row of the columns above.
    pub(crate) fn read(row: &Row, names: &Names) -> Result<Self> {
        let id = TaskId(row.try_get(0)?);
        let (strand, scope) = (LaneNo(row.try_get::<_, i32>(1)? as u32), ScopeNo(row.try_get::<_, i32>(2)? as u32));
        let lane = names.strands.lane_of(strand).unwrap_or(strand);
        let unknown = || Fault::damaged(format!("task {id} is in no known state"));
        let code = |column| Ok::<_, Fault>(u8::try_from(row.try_get::<_, i16>(column)?).unwrap_or(0));
        let time = |column| Ok::<_, Fault>(row.try_get::<_, Option<i64>>(column)?.map(Timestamp::from_micros));
        let number = |column| Ok::<_, Fault>(row.try_get::<_, i32>(column)? as u32);
        let state = State::from_code(code(3)?).ok_or_else(unknown)?;
        let flags: i16 = row.try_get(8)?;
        let token = Token(row.try_get::<_, Option<i64>>(17)?.unwrap_or(0) as u64);
        let payload: &[u8] = row.try_get(29)?;
        let result: Option<&[u8]> = row.try_get(30)?;
        let Details { reason, spec, failure, progress, damage } = Details::read(row, id, (payload, result))?;
        let unreadable = if spec.is_err() { row.try_get::<_, Option<&str>>(25)?.map(Box::from) } else { None };
        let lease = if state == State::Running { Some(lease(row, token)?) } else { None };
        let facts = Facts {
            id,
            lane: Arc::clone(names.lane_of(lane)?),
            scope: Arc::clone(names.scope_of(scope)?),
            spec: spec.ok().flatten().map_or_else(Spec::shared, Arc::new),
            gates: names.strands.keys_of(strand).map_or_else(no_keys, Arc::clone),
            state,
            attempt: number(5)?,
            spent: number(6)?,
            crashes: u32::from(row.try_get::<_, i16>(7)?.unsigned_abs()),
            cancel_requested: flags & CANCEL_REQUESTED != 0,
            run_at: time(14)?,
            started_at: time(15)?,
            lease,
        };
        let task = Task {
            facts,
            reason,
            priority: -i32::from(row.try_get::<_, i16>(9)?),
            rank: time(12)?.unwrap_or_default(),
            turn: if state == State::Queued && flags & HAS_TURN != 0 { row.try_get(31)? } else { None },
            payload: Bytes::copy_from_slice(payload),
            result: result.map(Bytes::copy_from_slice),
            failure,
            progress,
            worker: row.try_get::<_, Option<&str>>(24)?.map(Into::into),
            created_at: time(11)?.unwrap_or_default(),
            queued_at: time(13)?,
            finished_at: time(16)?,
            quarantined: flags & QUARANTINED != 0,
            hidden_at: time(28)?,
        };
        let settled = row.try_get::<_, Option<i16>>(10)?.and_then(|code| mark::read(code.to_be_bytes()));
        Ok(Self { lane, strand, scope, token, settled, has: flags & !OF_CORE, damage, unreadable, task })
    }

    /// The task, unless it is damaged.
    pub(crate) fn sound(self) -> Result<Task> {
        match self.damage {
            None => Ok(self.task),
            Some(what) => Err(Fault::damaged(format!("task {}: {what}", self.task.facts.id))),
        }
    }

    /// Its options for their column.
    pub(crate) fn spec_text(&self) -> Result<Option<String>> {
        match &self.unreadable {
            Some(text) => Ok(Some(text.to_string())),
            None => spec_text(&self.task.facts.spec),
        }
    }

    pub(crate) fn flags(&self) -> i16 {
        flags(&self.task) | self.has
    }
}

/// The flags that core knows.
pub(crate) fn flags(task: &Task) -> i16 {
    let flag = |set: bool, flag| if set { flag } else { 0 };
    flag(task.facts.cancel_requested, CANCEL_REQUESTED)
        | flag(task.quarantined, QUARANTINED)
        | flag(task.turn.is_some(), HAS_TURN)
}

/// What a row of these flags and this state is counted as.
pub(crate) fn counted(state: State, hidden: Option<i64>) -> Counted {
    if hidden.is_none() { Counted::In(state) } else { Counted::Deleted(state) }
}

fn lease(row: &Row, token: Token) -> Result<Lease> {
    let time = |column| Ok::<_, Fault>(row.try_get::<_, Option<i64>>(column)?.map(Timestamp::from_micros));
    let length = row.try_get::<_, Option<i64>>(18)?.unwrap_or(0);
    Ok(Lease {
        token,
        length: Duration::from_micros(length.unsigned_abs()),
        until: time(19)?.unwrap_or_default(),
        heard_at: time(20)?.unwrap_or_default(),
        grace_until: time(21)?,
    })
}

/// What of a row may be damaged without harm to others.
struct Details {
    reason: Reason,
    spec: Result<Option<Spec>, ()>,
    failure: Option<Failure>,
    progress: Option<Progress>,
    damage: Option<&'static str>,
}

impl Details {
    fn read(row: &Row, id: TaskId, (payload, result): (&[u8], Option<&[u8]>)) -> Result<Self> {
        let reason = Reason::from_code(u8::try_from(row.try_get::<_, i16>(4)?).unwrap_or(0));
        let (spec, failure, progress) = (json(row, 25), json(row, 26), json(row, 27));
        let is_sound = |bytes: &[u8], column| {
            Ok::<_, Fault>(row.try_get::<_, Option<i64>>(column)? == Some(sum(id, bytes) as i64))
        };
        let found = [
            (!is_sound(payload, 22)?, "its payload does not match its checksum"),
            (result.map(|it| is_sound(it, 23)).transpose()? == Some(false), "its result does not match its checksum"),
            (spec.is_err(), "its options cannot be read"),
            (failure.is_err(), "its failure cannot be read"),
            (progress.is_err(), "its progress cannot be read"),
            (reason.is_none(), "it is in its state for no known reason"),
        ];
        let damage = found.into_iter().find_map(|(is_so, what)| is_so.then_some(what));
        let reason = reason.unwrap_or(Reason::Damaged);
        let (failure, progress) = (failure.unwrap_or(None), progress.unwrap_or(None));
        Ok(Self { reason, spec, failure, progress, damage })
    }
}

fn json<T: DeserializeOwned>(row: &Row, column: usize) -> Result<Option<T>, ()> {
    let text: Option<&str> = row.try_get(column).map_err(|_| ())?;
    text.map(serde_json::from_str).transpose().map_err(|_| ())
}

/// JSON for a column.
pub(crate) fn text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Fault::damaged(format!("the details of a task cannot be written: {error}")))
}

/// The spec for its column: most tasks have the default one, which is nothing.
pub(crate) fn spec_text(spec: &Arc<Spec>) -> Result<Option<String>> {
    if spec.is_shared() { Ok(None) } else { text(&**spec).map(Some) }
}

/// What the last attempt was settled with, for its column.
pub(crate) fn settled_code(settled: Option<Mark>) -> Option<i16> {
    settled.map(|settled| i16::from_be_bytes(mark::bytes(Some(settled))))
}

/// The origin for its column.
pub(crate) fn origin_of(scope: &Scope) -> Option<&str> {
    Some(&*scope.origin).filter(|it| !it.is_empty())
}

/// A moment for its column.
pub(crate) fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}
