//! What is carried from one store to the other, in the terms of neither.

use std::hash::Hasher;

use tasklane_core::gate::{Definition, GateName, Starts};
use tasklane_core::lease::{Home, Token};
use tasklane_core::settle::Mark;
use tasklane_core::task::{Task, TaskId};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::encoding::checksum::sum;
use crate::encoding::{LaneNo, ScopeNo, gate, mark};

/// Most rows of a chunk.
pub(crate) const ROWS: usize = 4000;
/// A chunk that has so many bytes takes no further row.
pub(crate) const BYTES: usize = 4 << 20;

/// Some rows of one kind.
pub(crate) enum Chunk {
    /// Before the tasks that pass them.
    Gates(Vec<GateRow>),
    /// Before the tasks too.
    Turns(Vec<TurnsRow>),
    Tasks(Vec<TaskRow>),
    Attempts(Vec<AttemptRow>),
    Logs(Vec<LogRow>),
    Checkpoints(Vec<CheckpointRow>),
    Keys(Vec<KeyRow>),
    Records(Vec<RecordRow>),
    /// The last version of each kind of records.
    Versions(Vec<(i16, i64)>),
    Slots(Vec<SlotRow>),
}

/// A gate that something is known of: what was said of it, or when tasks started at it.
pub(crate) struct GateRow {
    pub name: GateName,
    pub definition: Option<Definition>,
    pub starts: Starts,
}

/// How far the turns of a lane and priority have come.
pub(crate) struct TurnsRow {
    /// The source's number of the lane.
    pub lane: LaneNo,
    pub priority: i32,
    pub front: i64,
}

/// A task, and what its row tells beyond it.
pub(crate) struct TaskRow {
    /// The source's number of its lane.
    pub lane: LaneNo,
    /// The source's number of its scope.
    pub scope: ScopeNo,
    /// Of the last attempt, also after its end.
    pub token: Token,
    /// What the last attempt was settled with.
    pub settled: Option<Mark>,
    pub has: Has,
    /// Where the attempt runs, if one does.
    pub home: Home,
    pub task: Task,
}

/// What a task has rows of elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Has {
    pub logs: bool,
    pub checkpoints: bool,
    pub history: bool,
    pub keys: bool,
}

/// An attempt that ended before the last one of its task.
pub(crate) struct AttemptRow {
    pub task: TaskId,
    pub attempt: i32,
    /// JSON.
    pub body: String,
}

/// A chunk of a log.
pub(crate) struct LogRow {
    pub task: TaskId,
    pub attempt: i32,
    pub last: i64,
    pub lines: i32,
    pub bytes: i32,
    pub body: Vec<u8>,
}

/// What was put aside for the next attempt.
pub(crate) struct CheckpointRow {
    pub task: TaskId,
    pub name: String,
    pub sum: i64,
    pub data: Vec<u8>,
}

/// An idempotency key or a unique key.
pub(crate) struct KeyRow {
    pub kind: i16,
    pub tenant: String,
    pub key: String,
    pub task: TaskId,
    pub fingerprint: Option<i64>,
    pub until: Option<i64>,
    pub gone: Option<i16>,
}

/// What somebody set up; its kind is a number here.
pub(crate) struct RecordRow {
    pub kind: i16,
    pub id: Uuid,
    pub version: i64,
    pub tenant: String,
    pub name: Option<String>,
    pub due: Option<i64>,
    pub body: String,
}

/// What a slot of a schedule came to.
pub(crate) struct SlotRow {
    pub schedule: Uuid,
    pub slot: i64,
    pub came: i16,
    pub task: Option<Uuid>,
}

/// How many rows of each kind there are, and what all of them come to, in whatever order they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub tasks: u64,
    pub attempts: u64,
    pub logs: u64,
    pub checkpoints: u64,
    pub keys: u64,
    pub gates: u64,
    pub records: u64,
    pub slots: u64,
    digest: u64,
}

impl Tally {
    pub(crate) fn task(&mut self, task: &Task, token: Token, settled: Option<Mark>) {
        self.tasks += 1;
        self.digest = self.digest.wrapping_add(digest(task, token, settled));
    }

    pub(crate) fn attempt(&mut self, task: TaskId, attempt: i32, body: &str) {
        self.attempts += 1;
        self.part(task, b'a', &attempt.to_le_bytes(), body.as_bytes());
    }

    pub(crate) fn log(&mut self, task: TaskId, attempt: i32, last: i64, body: &[u8]) {
        self.logs += 1;
        self.part(task, b'l', &[&attempt.to_le_bytes()[..], &last.to_le_bytes()].concat(), body);
    }

    pub(crate) fn checkpoint(&mut self, task: TaskId, name: &str, data: &[u8]) {
        self.checkpoints += 1;
        self.part(task, b'c', name.as_bytes(), data);
    }

    pub(crate) fn key(&mut self, row: &KeyRow) {
        self.keys += 1;
        let numbers = format!("{}:{:?}:{:?}:{:?}:{}", row.kind, row.fingerprint, row.until, row.gone, row.tenant);
        self.part(row.task, b'k', numbers.as_bytes(), row.key.as_bytes());
    }

    /// A gate of which nothing is known is none.
    pub(crate) fn gate(&mut self, row: &GateRow) {
        let GateRow { name, definition, starts } = row;
        if definition.is_some() || *starts != Starts::default() {
            self.gates += 1;
            let (kind, tenant, key) = gate::columns(name);
            let said = serde_json::to_vec(&(kind, tenant, key, definition, starts)).unwrap_or_default();
            self.part(TaskId::from_bytes([0; 16]), b'g', &[], &said);
        }
    }

    pub(crate) fn record(&mut self, row: &RecordRow) {
        let RecordRow { kind, id, version, tenant, name, due, body } = row;
        self.records += 1;
        let said = format!("{kind}:{version}:{due:?}:{name:?}:{tenant}");
        self.part(TaskId(*id), b'r', said.as_bytes(), body.as_bytes());
    }

    pub(crate) fn slot(&mut self, SlotRow { schedule, slot, came, task }: &SlotRow) {
        self.slots += 1;
        self.part(TaskId(*schedule), b's', format!("{slot}:{came}:{task:?}").as_bytes(), &[]);
    }

    fn part(&mut self, task: TaskId, kind: u8, name: &[u8], body: &[u8]) {
        let mut hash = Xxh3::new();
        hash.update(task.as_bytes());
        for part in [&[kind], name, body] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        self.digest = self.digest.wrapping_add(hash.finish());
    }
}

/// Everything a task is, as a number.
fn digest(task: &Task, token: Token, settled: Option<Mark>) -> u64 {
    let facts = &task.facts;
    let mut hash = Xxh3::new();
    hash.update(facts.id.as_bytes());
    for name in [&facts.lane.queue, &facts.lane.task_type, &facts.scope.origin, &facts.scope.tenant] {
        hash.update(&(name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
    }
    for key in facts.gates.iter() {
        hash.update(&(key.len() as u64).to_le_bytes());
        hash.update(key.as_bytes());
    }
    let settled = mark::bytes(settled);
    hash.update(&[facts.state.code(), task.reason.code(), settled[0], settled[1]]);
    hash.update(&[facts.cancel_requested.into(), task.quarantined.into()]);
    for number in [facts.attempt, facts.spent, facts.crashes, task.priority.cast_unsigned()] {
        hash.update(&number.to_le_bytes());
    }
    let token = if facts.attempt == 0 { 0 } else { token.0 };
    let result = task.result.as_ref().map_or(0, |it| sum(facts.id, it));
    for number in [token, sum(facts.id, &task.payload), result] {
        hash.update(&number.to_le_bytes());
    }
    let times = [Some(task.created_at), Some(task.rank), task.queued_at, facts.run_at, facts.started_at];
    let turn = task.turn.map(tasklane_core::time::Timestamp::from_micros);
    for time in times.into_iter().chain([task.finished_at, task.hidden_at, turn]) {
        hash.update(&time.map_or(i64::MIN, tasklane_core::time::Timestamp::as_micros).to_le_bytes());
    }
    let spec = (!facts.spec.is_shared()).then_some(&facts.spec);
    let rest = serde_json::to_vec(&(spec, &task.failure, &task.progress, &task.worker));
    hash.update(&rest.unwrap_or_default());
    hash.finish()
}
