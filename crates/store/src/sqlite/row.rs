//! A task's row and back. `head` is overwritten where it lies, and no page has to be split: it has a fixed part, and behind
//! it room for the result. The fixed part, numbers with the lowest byte first:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | state, reason, flags, crashes |
//! | 4..6 | priority |
//! | 6..8 | state and reason the attempt was last settled with, 0 if it was not |
//! | 8..28 | strand, scope, worker, attempt, spent |
//! | 28..32 | of a running task the length of its lease in µs, of a succeeded one the length of its result |
//! | 32..56 | token of the last attempt, checksums of payload and result |
//! | 56..88 | accepted, rank, started, and run_at or finished: µs, `i64::MIN` is none |
//! | 88..92 | the low half of xxh3-64 over the bytes before |

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use tasklane_core::gate::no_keys;
use tasklane_core::lease::{Lease, Token};
use tasklane_core::outcome::Failure;
use tasklane_core::queue::Counted;
use tasklane_core::settle::Mark;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Facts, Progress, Spec, Task, TaskId};
use tasklane_core::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use super::error::{Fault, Result};
use super::names::{LaneNo, Names, ScopeNo};
use super::strands::StrandNo;
use crate::encoding::checksum::sum;
use crate::encoding::mark;

/// The columns [`Kept::read`] and [`Kept::read_with_payload`] want, in their order.
pub(crate) const COLUMNS: &str = "seq, id, head, more, payload";

pub(crate) const HEAD: usize = 92;
const CANCEL_REQUESTED: u8 = 1;
const QUARANTINED: u8 = 2;
const HAS_RESULT: u8 = 4;
/// It is or was queued, since its rank unless `more` knows better.
const WAS_QUEUED: u8 = 8;
/// It has rows in `logs`.
pub(crate) const HAS_LOGS: u8 = 16;
/// It has rows in `checkpoints`.
pub(crate) const HAS_CHECKPOINTS: u8 = 32;
const HIDDEN: u8 = 64;

/// What a row of the table tells beyond the task.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub seq: i64,
    pub lane: LaneNo,
    pub strand: StrandNo,
    pub scope: ScopeNo,
    /// The number of `task.worker`; 0 where it stands in `more`, or nowhere.
    pub worker: u32,
    /// The token of the last attempt, also after its end.
    pub token: Token,
    pub settled: Option<Mark>,
    pub payload_sum: u64,
    /// Bytes the column `head` has for a result.
    pub room: usize,
    /// What it was leased with, while it runs.
    pub grant: u64,
    /// Whether the column `more` is set.
    pub has_more: bool,
    /// [`HAS_LOGS`] and [`HAS_CHECKPOINTS`].
    pub notes: u8,
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
    /// Where it is not the rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden_at: Option<Timestamp>,
}

/// The fixed part, as numbers.
pub(crate) struct Head {
    pub state: State,
    pub reason: Reason,
    flags: u8,
    crashes: u8,
    pub priority: i16,
    settled: Option<Mark>,
    pub strand: StrandNo,
    pub scope: ScopeNo,
    pub worker: u32,
    pub attempt: u32,
    spent: u32,
    length: u32,
    token: u64,
    pub payload_sum: u64,
    pub result_sum: u64,
    pub created: Timestamp,
    pub rank: Timestamp,
    started: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Head {
    /// Reads the fixed part of the column.
    pub(crate) fn decode(column: &[u8]) -> Result<Self> {
        let bytes: &[u8; HEAD] = column.first_chunk().ok_or_else(|| Fault::damaged("a task's row is cut off"))?;
        let mut at = Reader(bytes, 0);
        let (state, reason, flags, crashes) = (at.u8(), at.u8(), at.u8(), at.u8());
        let priority = i16::from_le_bytes(at.take());
        let settled = mark::read(at.take());
        let unknown = || Fault::damaged("a task is in no known state");
        let head = Self {
            state: State::from_code(state).ok_or_else(unknown)?,
            reason: Reason::from_code(reason).ok_or_else(unknown)?,
            flags,
            crashes,
            priority,
            settled,
            strand: StrandNo(at.u32()),
            scope: ScopeNo(at.u32()),
            worker: at.u32(),
            attempt: at.u32(),
            spent: at.u32(),
            length: at.u32(),
            token: at.u64(),
            payload_sum: at.u64(),
            result_sum: at.u64(),
            created: at.time().unwrap_or_default(),
            rank: at.time().unwrap_or_default(),
            started: at.time(),
            end: at.time(),
        };
        if at.u32() != xxh3_64(&bytes[..HEAD - 4]) as u32 {
            return Err(Fault::damaged("a task's row does not match its checksum"));
        }
        Ok(head)
    }

    /// [`HAS_LOGS`] and [`HAS_CHECKPOINTS`].
    pub(crate) fn notes(&self) -> u8 {
        self.flags & (HAS_LOGS | HAS_CHECKPOINTS)
    }

    pub(crate) fn has_result(&self) -> bool {
        self.flags & HAS_RESULT != 0
    }

    /// What the task is counted as.
    pub(crate) fn counted(&self) -> Counted {
        if self.flags & HIDDEN == 0 { Counted::In(self.state) } else { Counted::Deleted(self.state) }
    }

    /// The lease a running task was begun under.
    fn lease(&self) -> Option<Lease> {
        let length = Duration::from_micros(u64::from(self.length));
        let started = self.started.unwrap_or_default();
        Some(Lease::begun(Token(self.token), length, started)).filter(|_| self.state == State::Running)
    }

    /// When it became final.
    pub(crate) fn finished(&self) -> Option<Timestamp> {
        self.end.filter(|_| self.state.is_final())
    }

    /// The result within the bytes of the column.
    pub(crate) fn result<'a>(&self, column: &'a [u8]) -> Result<Option<&'a [u8]>> {
        if !self.has_result() {
            return Ok(None);
        }
        let result = column[HEAD..].get(..self.length as usize);
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
        let (id, column) = (id(row, 1)?, blob(row, 2)?);
        let (head, more) = (Head::decode(column)?, row.get_ref(3)?.as_blob_or_null().map_err(wrong_type)?);
        let result = head.result(column)?;
        if let Some(result) = result
            && sum(id, result) != head.result_sum
        {
            return Err(Fault::damaged(format!("the result of task {id} does not match its checksum")));
        }
        let extra = more.map(serde_json::from_slice::<More>).transpose();
        let extra = extra.map_err(|_| Fault::damaged(format!("the details of task {id} cannot be read")))?;
        Self::build(row.get(0)?, id, &head, result, column.len() - HEAD, extra, names)
    }

    /// A row of [`COLUMNS`]; a payload that does not match its checksum is an error.
    pub(crate) fn read_with_payload(row: &Row<'_>, names: &Names) -> Result<Self> {
        let mut kept = Self::read(row, names)?;
        kept.take_payload(row)?;
        Ok(kept)
    }

    /// Takes the payload out of the row the rest came from.
    pub(crate) fn take_payload(&mut self, row: &Row<'_>) -> Result<()> {
        let (id, payload) = (self.task.facts.id, blob(row, 4)?);
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
        let More { spec, failure, progress, worker, queued_at, hidden_at } = more.unwrap_or_default();
        let (strand, lane) = (names.strands.keyed(head.strand)?, names.lane_of_strand(head.strand)?);
        let facts = Facts {
            id,
            lane: Arc::clone(names.lane(lane)?),
            scope: Arc::clone(names.scope(head.scope)?),
            spec: spec.unwrap_or_else(Spec::shared),
            gates: strand.map_or_else(no_keys, |it| Arc::clone(&it.keys)),
            state: head.state,
            attempt: head.attempt,
            spent: head.spent,
            crashes: u32::from(head.crashes),
            cancel_requested: head.flags & CANCEL_REQUESTED != 0,
            run_at: head.end.filter(|_| !head.state.is_final()),
            started_at: head.started,
            lease: head.lease(),
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
            queued_at: queued_at.or(Some(head.rank).filter(|_| head.flags & WAS_QUEUED != 0)),
            finished_at: head.finished(),
            quarantined: head.flags & QUARANTINED != 0,
            hidden_at,
        };
        Ok(Self {
            seq,
            lane,
            strand: head.strand,
            scope: head.scope,
            worker: head.worker,
            token: Token(head.token),
            settled: head.settled,
            payload_sum: head.payload_sum,
            room,
            grant: 0,
            has_more,
            notes: head.notes(),
            task,
        })
    }

    /// The fixed part of `head`.
    pub(crate) fn head(&self) -> [u8; HEAD] {
        let Task { facts, .. } = &self.task;
        let result = self.task.result.as_deref();
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(facts.cancel_requested, CANCEL_REQUESTED)
            | flag(self.task.quarantined, QUARANTINED)
            | flag(result.is_some(), HAS_RESULT)
            | flag(self.task.queued_at.is_some(), WAS_QUEUED)
            | flag(self.task.hidden_at.is_some(), HIDDEN)
            | self.notes;
        let crashes = u8::try_from(facts.crashes).unwrap_or(u8::MAX);
        let length = match (&facts.lease, result) {
            (Some(lease), _) => u32::try_from(lease.length.as_micros()).unwrap_or(u32::MAX),
            (None, result) => result.map_or(0, |result| result.len() as u32),
        };
        let mut head = Writer { bytes: [0; HEAD], at: 0 };
        head.put(&[facts.state.code(), self.task.reason.code(), flags, crashes]);
        let priority = self.task.priority.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        head.put(&priority.to_le_bytes());
        head.put(&mark::bytes(self.settled));
        for number in [self.strand.0, self.scope.0, self.worker, facts.attempt, facts.spent] {
            head.put(&number.to_le_bytes());
        }
        head.put(&length.to_le_bytes());
        head.put(&self.token.0.to_le_bytes());
        head.put(&self.payload_sum.to_le_bytes());
        head.put(&result.map_or(0, |bytes| sum(facts.id, bytes)).to_le_bytes());
        let task = &self.task;
        let end = if facts.state.is_final() { task.finished_at } else { facts.run_at };
        for time in [Some(task.created_at), Some(task.rank), facts.started_at, end] {
            head.time(time);
        }
        let sum = xxh3_64(&head.bytes[..HEAD - 4]) as u32;
        head.put(&sum.to_le_bytes());
        head.bytes
    }

    /// Whether the row needs the column `more`.
    pub(crate) fn needs_more(&self) -> bool {
        let task = &self.task;
        let worker_elsewhere = task.worker.is_some() && self.worker == 0;
        !task.facts.spec.is_shared()
            || task.failure.is_some()
            || task.progress.is_some()
            || worker_elsewhere
            || self.queued_elsewhere().is_some()
            || task.hidden_at.is_some()
    }

    /// Since when it is queued, where its rank does not tell.
    fn queued_elsewhere(&self) -> Option<Timestamp> {
        self.task.queued_at.filter(|at| *at != self.task.rank)
    }

    /// The bytes of `head`: the fixed part, the result, and what room is left.
    pub(crate) fn column(&self) -> Vec<u8> {
        let result = self.task.result.as_deref().unwrap_or_default();
        let mut column = Vec::with_capacity(HEAD + self.room.max(result.len()));
        column.extend_from_slice(&self.head());
        column.extend_from_slice(result);
        column.resize(column.len().max(HEAD + self.room), 0);
        column
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
            queued_at: self.queued_elsewhere(),
            hidden_at: self.task.hidden_at,
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
