//! What `promote` reads: a whole store that nobody else has open, task by task in the order of acceptance, with every
//! checksum verified. And the mark that a store was promoted, which ends its time as the true one.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};
use tasklane_core::event::Position;
use tasklane_core::gate::Definition;
use tasklane_core::lease::Home;
use tasklane_core::queue::Counts;
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, TaskId};
use uuid::Uuid;

use super::counters::{COUNTED_TO, Counters};
use super::error::{Fault, OpenError, Result};
use super::live::{self, fact};
use super::migrate::Migrate;
use super::names::{LaneNo, Names, ScopeNo};
use super::open::{Lock, Options};
use super::readers::blob;
use super::row::{HAS_CHECKPOINTS, HAS_LOGS, Kept, id};
use super::running::{GrantBody, is_current};
use crate::encoding::checksum::sum;
use crate::encoding::{chunk, gate};
use crate::promote::rows::{
    AttemptRow, BYTES, CheckpointRow, Chunk, GateRow, Has, KeyRow, LogRow, ROWS, RecordRow, SlotRow, TaskRow, TurnsRow,
};

/// The fact that says by which promotion a store's tasks went elsewhere.
pub(crate) const PROMOTED: &str = "promoted";

const TASKS: &str = "SELECT seq, id, head, more, payload, EXISTS (SELECT 1 FROM attempts a WHERE a.seq = t.seq),
    EXISTS (SELECT 1 FROM keys k WHERE k.id = t.id) FROM tasks t ORDER BY seq";

/// A store to be promoted.
pub(crate) struct Source {
    pub path: PathBuf,
    pub names: Names,
    db: Connection,
    _lock: Lock,
}

impl Source {
    /// Opens what is there; nothing is made or migrated.
    pub(crate) fn open(options: &Options) -> Result<Self, OpenError> {
        let path = options.database();
        if !path.exists() {
            return Err(OpenError::io(&path, "there is no such file"));
        }
        let (db, lock) = super::open::open(&Options { migrate: Migrate::No, ..options.clone() })?;
        let names = Names::load(&db).map_err(|fault| OpenError::from_fault(&path, &fault))?;
        Ok(Self { path, names, db, _lock: lock })
    }

    /// By which promotion its tasks went elsewhere, if they did.
    pub(crate) fn promoted(&self) -> Result<Option<i64>> {
        fact(&self.db, PROMOTED)
    }

    /// Says on disk that its tasks went elsewhere, or that they did not.
    pub(crate) fn mark(&self, promotion: Option<i64>) -> Result<()> {
        match promotion {
            Some(id) => self.db.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (PROMOTED, id))?,
            None => self.db.execute("DELETE FROM facts WHERE name = ?", [PROMOTED])?,
        };
        Ok(())
    }

    /// The last position of the event log.
    pub(crate) fn position(&self) -> Result<i64> {
        Ok(self.db.query_row("SELECT coalesce(max(position), 0) FROM log", [], |row| row.get(0))?)
    }

    /// What is counted, by lane and scope.
    pub(crate) fn counts(&self) -> Result<Vec<(LaneNo, ScopeNo, Counts)>> {
        let counted_to = Position(fact(&self.db, COUNTED_TO)?.unwrap_or(0) as u64);
        let counters = Counters::load(&self.db, counted_to)?;
        Ok(counters.each().map(|(lane, scope, counts)| (lane, scope, *counts)).collect())
    }

    /// Hands everything to `to`, chunk by chunk, until it has enough.
    pub(crate) fn read(&self, mut to: impl FnMut(Chunk) -> ControlFlow<()>) -> Result<()> {
        self.db.execute_batch("BEGIN")?;
        let mut read = || {
            let mut flow = self.gates(|it| to(Chunk::Gates(it)))?;
            if flow.is_continue() {
                flow = self.turns(|it| to(Chunk::Turns(it)))?;
            }
            if flow.is_continue() {
                flow = self.tasks(|it| to(Chunk::Tasks(it)))?;
            }
            if flow.is_continue() {
                flow = self.attempts(|it| to(Chunk::Attempts(it)))?;
            }
            if flow.is_continue() {
                flow = self.logs(|it| to(Chunk::Logs(it)))?;
            }
            if flow.is_continue() {
                flow = self.checkpoints(|it| to(Chunk::Checkpoints(it)))?;
            }
            if flow.is_continue() {
                flow = self.keys(|it| to(Chunk::Keys(it)))?;
            }
            if flow.is_continue() {
                flow = self.records(|it| to(Chunk::Records(it)))?;
            }
            if flow.is_continue() {
                flow = self.versions(|it| to(Chunk::Versions(it)))?;
            }
            if flow.is_continue() {
                let _all_there_is = self.slots(|it| to(Chunk::Slots(it)))?;
            }
            Ok(())
        };
        let read = read();
        self.db.execute_batch("COMMIT")?;
        read
    }

    fn gates(&self, to: impl FnMut(Vec<GateRow>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let one = |row: &Row<'_>| {
            let (tenant, key): (String, String) = (row.get(1)?, row.get(2)?);
            let (set_by, bounds): (Option<i16>, Option<String>) = (row.get(3)?, row.get(4)?);
            let starts: Option<String> = row.get(5)?;
            let bytes = key.len() + starts.as_ref().map_or(0, String::len);
            let definition = set_by.zip(bounds).map(|(set_by, bounds)| -> Result<Definition> {
                Ok(Definition { bounds: gate::read(&bounds)?, set_by: gate::set_by(set_by)? })
            });
            let name = gate::name(row.get(0)?, &tenant, &key)?;
            let starts = starts.map(|it| gate::read(&it)).transpose()?.unwrap_or_default();
            Ok((GateRow { name, definition: definition.transpose()?, starts }, bytes))
        };
        self.gather("SELECT kind, tenant, key, set_by, bounds, starts FROM gates", one, to)
    }

    fn turns(&self, to: impl FnMut(Vec<TurnsRow>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let one = |row: &Row<'_>| {
            let (lane, urgency): (u32, i32) = (row.get(0)?, row.get(1)?);
            Ok((TurnsRow { lane: LaneNo(lane), priority: -urgency, front: row.get(2)? }, 0))
        };
        self.gather("SELECT lane, urgency, front FROM turns", one, to)
    }

    fn tasks(&self, to: impl FnMut(Vec<TaskRow>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let grants = live::grants(&self.db, &self.names)?;
        let inside = live::inside(&self.db)?;
        let mut leases: HashMap<i64, Vec<(&GrantBody, usize, Home)>> = HashMap::new();
        for (no, grant) in &grants {
            let home = if inside.contains(no) { Home::InServer } else { Home::Apart };
            let of_grant = grant.tasks.iter().enumerate();
            of_grant.for_each(|(at, (seq, _))| leases.entry(*seq).or_default().push((grant, at, home)));
        }
        let one = |row: &Row<'_>| {
            let mut kept = Kept::read_with_payload(row, &self.names)?;
            let mut home = Home::Apart;
            let current = |(grant, at, _): &&(&GrantBody, usize, Home)| is_current(&kept.task, grant.tasks[*at].1);
            match leases.get(&kept.seq).and_then(|leases| leases.iter().find(current)) {
                Some((grant, at, of_grant)) => {
                    home = *of_grant;
                    live::resume(&mut kept, grant, *at);
                }
                None if kept.task.facts.state == State::Running => {
                    return Err(Fault::damaged(format!("task {} runs but nobody leased it", kept.task.facts.id)));
                }
                None => {}
            }
            self.names.tell_worker(&mut kept);
            let has = Has {
                logs: kept.notes & HAS_LOGS != 0,
                checkpoints: kept.notes & HAS_CHECKPOINTS != 0,
                history: row.get(5)?,
                // One that it has let go may be asked for again.
                keys: row.get(6)? || kept.task.facts.spec.unique.is_some(),
            };
            let bytes = kept.task.payload.len() + kept.task.result.as_ref().map_or(0, bytes::Bytes::len);
            let Kept { lane, scope, token, settled, task, .. } = kept;
            Ok((TaskRow { lane, scope, token, settled, has, home, task }, bytes))
        };
        self.gather(TASKS, one, to)
    }

    fn attempts(&self, to: impl FnMut(Vec<AttemptRow>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let one = |row: &Row<'_>| {
            let task = id(row, 0)?;
            let wrong = |error: &dyn Display| Fault::damaged(format!("an attempt of task {task}: {error}"));
            let body = std::str::from_utf8(blob(row, 2)?).map_err(|error| wrong(&error))?.to_owned();
            serde_json::from_str::<Attempt>(&body).map_err(|error| wrong(&error))?;
            let bytes = body.len();
            Ok((AttemptRow { task, attempt: row.get(1)?, body }, bytes))
        };
        let sql =
            "SELECT t.id, a.attempt, a.body FROM attempts a JOIN tasks t ON t.seq = a.seq ORDER BY a.seq, a.attempt";
        self.gather(sql, one, to)
    }

    fn logs(&self, to: impl FnMut(Vec<LogRow>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let one = |row: &Row<'_>| {
            let (task, attempt, body) = (id(row, 0)?, row.get::<_, u32>(1)?, blob(row, 5)?.to_vec());
            chunk::decode(&body, attempt)?;
            let (last, lines, bytes) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let size = body.len();
            Ok((LogRow { task, attempt: attempt as i32, last, lines, bytes, body }, size))
        };
        let sql = "SELECT t.id, l.attempt, l.last, l.lines, l.bytes, l.body FROM logs l JOIN tasks t ON t.seq = l.seq
                   ORDER BY l.seq, l.attempt, l.last";
        self.gather(sql, one, to)
    }

    fn checkpoints(&self, to: impl FnMut(Vec<CheckpointRow>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let one = |row: &Row<'_>| {
            let (task, name, written): (_, String, i64) = (id(row, 0)?, row.get(1)?, row.get(2)?);
            let data = blob(row, 3)?.to_vec();
            if sum(task, &data) as i64 != written {
                let what = format!("checkpoint {name:?} of task {task} does not match its checksum");
                return Err(Fault::damaged(what));
            }
            let bytes = data.len();
            Ok((CheckpointRow { task, name, sum: written, data }, bytes))
        };
        let sql = "SELECT t.id, c.name, c.sum, c.data FROM checkpoints c JOIN tasks t ON t.seq = c.seq ORDER BY c.seq";
        self.gather(sql, one, to)
    }

    fn keys(&self, to: impl FnMut(Vec<KeyRow>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let one = |row: &Row<'_>| {
            let row = KeyRow {
                kind: row.get(0)?,
                tenant: row.get(1)?,
                key: row.get(2)?,
                task: TaskId::from_bytes(row.get(3)?),
                fingerprint: row.get(4)?,
                until: row.get(5)?,
                gone: row.get(6)?,
            };
            let bytes = row.tenant.len() + row.key.len();
            Ok((row, bytes))
        };
        self.gather("SELECT kind, tenant, key, id, fingerprint, until, gone FROM keys", one, to)
    }

    fn records(&self, to: impl FnMut(Vec<RecordRow>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let one = |row: &Row<'_>| {
            let row = RecordRow {
                kind: row.get(0)?,
                id: Uuid::from_bytes(row.get(1)?),
                version: row.get(2)?,
                tenant: row.get(3)?,
                name: row.get(4)?,
                due: row.get(5)?,
                body: row.get(6)?,
            };
            let bytes = row.body.len();
            Ok((row, bytes))
        };
        self.gather("SELECT kind, id, version, tenant, name, due, body FROM records", one, to)
    }

    fn versions(&self, to: impl FnMut(Vec<(i16, i64)>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let one = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), 0));
        self.gather("SELECT kind, version FROM records_versions", one, to)
    }

    fn slots(&self, to: impl FnMut(Vec<SlotRow>) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        let one = |row: &Row<'_>| {
            let (schedule, task): ([u8; 16], Option<[u8; 16]>) = (row.get(0)?, row.get(3)?);
            let (schedule, task) = (Uuid::from_bytes(schedule), task.map(Uuid::from_bytes));
            Ok((SlotRow { schedule, slot: row.get(1)?, came: row.get(2)?, task }, 0))
        };
        self.gather("SELECT schedule, slot, came, task FROM schedule_slots", one, to)
    }

    /// Reads rows into chunks. `one` also says how many bytes a row has.
    fn gather<T>(
        &self,
        sql: &str,
        mut one: impl FnMut(&Row<'_>) -> Result<(T, usize)>,
        mut to: impl FnMut(Vec<T>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let mut all = self.db.prepare(sql)?;
        let mut rows = all.query([])?;
        let (mut chunk, mut size) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let (row, bytes) = one(row)?;
            chunk.push(row);
            size += bytes;
            if chunk.len() >= ROWS || size >= BYTES {
                size = 0;
                if to(std::mem::take(&mut chunk)).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(if chunk.is_empty() { ControlFlow::Continue(()) } else { to(chunk) })
    }
}

/// Refuses to serve from a store that was promoted.
pub(crate) fn refuse_promoted(db: &Connection, path: &Path) -> Result<(), OpenError> {
    match fact(db, PROMOTED).map_err(|fault| OpenError::from_fault(path, &fault))? {
        Some(_) => Err(OpenError::Promoted(path.to_owned())),
        None => Ok(()),
    }
}
