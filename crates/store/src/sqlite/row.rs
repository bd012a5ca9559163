//! A task's row and back. `head` has a fixed length, so that a row whose head changed is overwritten where it lies and no
//! page has to be split:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | state, reason, flags, crashes |
//! | 4..6 | priority |
//! | 6..8 | state and reason the attempt was last settled with, 0 if it was not |
//! | 8..36 | lane, scope, worker, attempt, spent, length of the lease in µs, length of the result |
//! | 36..60 | token of the last attempt, checksums of payload and result |
//! | 60..108 | accepted, rank, queued, run_at, started, finished: µs, `i64::MIN` is none |
//! | 108..112 | the low half of xxh3-64 over the bytes before |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use tasklane_core::lease::{Lease, Token};
use tasklane_core::outcome::Failure;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Facts, Progress, Spec, Task, TaskId};
use tasklane_core::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use super::checksum::sum;
use super::error::{Fault, Result};
use super::names::{LaneNo, Names, ScopeNo};

/// The columns [`Kept::read`] and [`Kept::read_with_payload`] want, in their order.
pub(crate) const COLUMNS: &str = "seq, id, head, result, more, payload";

pub(crate) const HEAD: usize = 112;
const CANCEL_REQUESTED: u8 = 1;
const QUARANTINED: u8 = 2;
const HAS_RESULT: u8 = 4;

/// How an attempt was settled, so that its repetition is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub to: State,
    pub reason: Reason,
}

/// What a row of the table tells beyond the task.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub seq: i64,
    pub lane: LaneNo,
    pub scope: ScopeNo,
    /// The number of `task.worker`; 0 where it stands in `more`, or nowhere.
    pub worker: u32,
    /// The token of the last attempt, also after its end.
    pub token: Token,
    pub settled: Option<Mark>,
    pub payload_sum: u64,
    /// Bytes the column `result` has.
    pub room: usize,
    /// Whether the column `more` is set.
    pub has_more: bool,
    /// Its payload is empty unless it was asked for.
    pub task: Task,
}

/// What few tasks have.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct More {
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<Arc<Spec>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<Box<str>>,
}

/// The fixed part, as numbers.
pub(crate) struct Head {
    pub state: State,
    pub reason: Reason,
    flags: u8,
    crashes: u8,
    pub priority: i16,
    settled: Option<Mark>,
    pub lane: LaneNo,
    pub scope: ScopeNo,
    pub worker: u32,
    pub attempt: u32,
    spent: u32,
    length: u32,
    result_length: u32,
    token: u64,
    pub payload_sum: u64,
    pub result_sum: u64,
    pub created: Timestamp,
    pub rank: Timestamp,
    pub queued: Option<Timestamp>,
    run_at: Option<Timestamp>,
    started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
}

impl Head {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let bytes: &[u8; HEAD] = bytes.try_into().map_err(|_| Fault::damaged("a task's row has a wrong length"))?;
        let mut at = Reader(bytes, 0);
        let (state, reason, flags, crashes) = (at.u8(), at.u8(), at.u8(), at.u8());
        let priority = i16::from_le_bytes(at.take());
        let (settled_to, settled_reason) = (at.u8(), at.u8());
        let unknown = || Fault::damaged("a task is in no known state");
        let head = Self {
            state: State::from_code(state).ok_or_else(unknown)?,
            reason: Reason::from_code(reason).ok_or_else(unknown)?,
            flags,
            crashes,
            priority,
            settled: State::from_code(settled_to)
                .zip(Reason::from_code(settled_reason))
                .map(|(to, reason)| Mark { to, reason }),
            lane: LaneNo(at.u32()),
            scope: ScopeNo(at.u32()),
            worker: at.u32(),
            attempt: at.u32(),
            spent: at.u32(),
            length: at.u32(),
            result_length: at.u32(),
            token: at.u64(),
            payload_sum: at.u64(),
            result_sum: at.u64(),
            created: at.time().unwrap_or_default(),
            rank: at.time().unwrap_or_default(),
            queued: at.time(),
            run_at: at.time(),
            started: at.time(),
            finished: at.time(),
        };
        if at.u32() != xxh3_64(&bytes[..HEAD - 4]) as u32 {
            return Err(Fault::damaged("a task's row does not match its checksum"));
        }
        Ok(head)
    }

    pub(crate) fn has_result(&self) -> bool {
        self.flags & HAS_RESULT != 0
    }

    /// The result within the bytes of its column.
    pub(crate) fn result<'a>(&self, column: &'a [u8]) -> Result<Option<&'a [u8]>> {
        if !self.has_result() {
            return Ok(None);
        }
        let result = column.get(..self.result_length as usize);
        result.map(Some).ok_or_else(|| Fault::damaged("a task's result is cut off"))
    }
}

struct Reader<'a>(&'a [u8; HEAD], usize);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        taken.copy_from_slice(&self.0[self.1..self.1 + N]);
        self.1 += N;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn time(&mut self) -> Option<Timestamp> {
        let micros = i64::from_le_bytes(self.take());
        (micros != i64::MIN).then_some(Timestamp::from_micros(micros))
    }
}

struct Writer {
    bytes: [u8; HEAD],
    at: usize,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn time(&mut self, time: Option<Timestamp>) {
        self.put(&time.map_or(i64::MIN, Timestamp::as_micros).to_le_bytes());
    }
}

impl Kept {
    /// A row of [`COLUMNS`], its payload left out.
    pub(crate) fn read(row: &Row<'_>, names: &Names) -> Result<Self> {
        let (head, more) = (Head::decode(blob(row, 2)?)?, row.get_ref(4)?.as_blob_or_null().map_err(wrong_type)?);
        let id = id(row, 1)?;
        let column = blob(row, 3)?;
        let result = head.result(column)?;
        if let Some(result) = result
            && sum(id, result) != head.result_sum
        {
            return Err(Fault::damaged(format!("the result of task {id} does not match its checksum")));
        }
        let extra = more.map(serde_json::from_slice::<More>).transpose();
        let extra = extra.map_err(|_| Fault::damaged(format!("the details of task {id} cannot be read")))?;
        Self::build(row.get(0)?, id, &head, result, column.len(), extra, names)
    }

    /// A row of [`COLUMNS`]; a payload that does not match its checksum is an error.
    pub(crate) fn read_with_payload(row: &Row<'_>, names: &Names) -> Result<Self> {
        let mut kept = Self::read(row, names)?;
        kept.take_payload(row)?;
        Ok(kept)
    }

    /// Takes the payload out of the row the rest came from.
    pub(crate) fn take_payload(&mut self, row: &Row<'_>) -> Result<()> {
        let (id, payload) = (self.task.facts.id, blob(row, 5)?);
        if sum(id, payload) != self.payload_sum {
            return Err(Fault::damaged(format!("the payload of task {id} does not match its checksum")));
        }
        self.task.payload = Bytes::copy_from_slice(payload);
        Ok(())
    }

    fn build(
        seq: i64,
        id: TaskId,
        head: &Head,
        result: Option<&[u8]>,
        room: usize,
        more: Option<More>,
        names: &Names,
    ) -> Result<Self> {
        let has_more = more.is_some();
        let More { spec, failure, progress, worker } = more.unwrap_or_default();
        let running = head.state == State::Running;
        let length = Duration::from_micros(u64::from(head.length));
        let started = head.started.unwrap_or_default();
        let lease = running.then(|| Lease {
            token: Token(head.token),
            length,
            until: started.plus(length),
            heard_at: started,
            grace_until: None,
        });
        let facts = Facts {
            id,
            lane: Arc::clone(names.lane(head.lane)?),
            scope: Arc::clone(names.scope(head.scope)?),
            spec: spec.unwrap_or_else(Spec::shared),
            state: head.state,
            attempt: head.attempt,
            spent: head.spent,
            crashes: u32::from(head.crashes),
            cancel_requested: head.flags & CANCEL_REQUESTED != 0,
            run_at: head.run_at,
            started_at: head.started,
            lease,
        };
        let task = Task {
            facts,
            reason: head.reason,
            priority: i32::from(head.priority),
            rank: head.rank,
            payload: Bytes::new(),
            result: result.map(Bytes::copy_from_slice),
            failure,
            progress,
            worker: worker.or_else(|| names.worker(head.worker).map(|name| (**name).into())),
            created_at: head.created,
            queued_at: head.queued,
            finished_at: head.finished,
            quarantined: head.flags & QUARANTINED != 0,
        };
        Ok(Self {
            seq,
            lane: head.lane,
            scope: head.scope,
            worker: head.worker,
            token: Token(head.token),
            settled: head.settled,
            payload_sum: head.payload_sum,
            room,
            has_more,
            task,
        })
    }

    /// The bytes of `head`.
    pub(crate) fn head(&self) -> [u8; HEAD] {
        let Task { facts, .. } = &self.task;
        let result = self.task.result.as_deref();
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(facts.cancel_requested, CANCEL_REQUESTED)
            | flag(self.task.quarantined, QUARANTINED)
            | flag(result.is_some(), HAS_RESULT);
        let crashes = u8::try_from(facts.crashes).unwrap_or(u8::MAX);
        let length = facts.lease.as_ref().map_or(0, |lease| lease.length.as_micros());
        let mut head = Writer { bytes: [0; HEAD], at: 0 };
        head.put(&[facts.state.code(), self.task.reason.code(), flags, crashes]);
        let priority = self.task.priority.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        head.put(&priority.to_le_bytes());
        head.put(&self.settled.map_or([0, 0], |mark| [mark.to.code(), mark.reason.code()]));
        for number in [self.lane.0, self.scope.0, self.worker, facts.attempt, facts.spent] {
            head.put(&number.to_le_bytes());
        }
        head.put(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        head.put(&(result.map_or(0, <[u8]>::len) as u32).to_le_bytes());
        head.put(&self.token.0.to_le_bytes());
        head.put(&self.payload_sum.to_le_bytes());
        head.put(&result.map_or(0, |bytes| sum(facts.id, bytes)).to_le_bytes());
        let task = &self.task;
        for time in [Some(task.created_at), Some(task.rank), task.queued_at, facts.run_at, facts.started_at] {
            head.time(time);
        }
        head.time(task.finished_at);
        let sum = xxh3_64(&head.bytes[..HEAD - 4]) as u32;
        head.put(&sum.to_le_bytes());
        head.bytes
    }

    /// Whether the row needs the column `more`.
    pub(crate) fn needs_more(&self) -> bool {
        let task = &self.task;
        let worker_elsewhere = task.worker.is_some() && self.worker == 0;
        !task.facts.spec.is_shared() || task.failure.is_some() || task.progress.is_some() || worker_elsewhere
    }

    /// The bytes of `more`; `None` is null.
    pub(crate) fn more(&self) -> Result<Option<Vec<u8>>> {
        if !self.needs_more() {
            return Ok(None);
        }
        let Task { facts, failure, progress, worker, .. } = &self.task;
        let more = More {
            spec: Some(&facts.spec).filter(|spec| !spec.is_shared()).cloned(),
            failure: failure.clone(),
            progress: progress.clone(),
            worker: worker.clone().filter(|_| self.worker == 0),
        };
        let json = serde_json::to_vec(&more);
        json.map(Some).map_err(|error| Fault::damaged(format!("the details of a task cannot be written: {error}")))
    }
}

fn blob<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8]> {
    row.get_ref(column)?.as_blob().map_err(wrong_type)
}

fn wrong_type(error: impl std::fmt::Display) -> Fault {
    Fault::damaged(format!("a task's row: {error}"))
}

/// The id in this column.
pub(crate) fn id(row: &Row<'_>, column: usize) -> Result<TaskId> {
    let bytes = blob(row, column)?.try_into().map_err(|_| Fault::damaged("an id that is not 16 bytes long"))?;
    Ok(TaskId::from_bytes(bytes))
}
