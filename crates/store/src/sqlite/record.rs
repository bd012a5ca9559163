//! Beside the road: records are kept as they are said, and changed by who has seen them.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};
use tasklane_core::accept::Submission;
use tasklane_core::limit;
use tasklane_core::ports::records::{Answer, Records};
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{Content, DueRecords, Kind, Order, Record, RecordQuery, RecordSet, SetRecord};
use tasklane_core::schedule::Came;
use tasklane_core::time::Timestamp;
use uuid::Uuid;

use super::SqliteStore;
use super::error::Result;
use super::tx::Tx;
use crate::encoding::record::{came, came_columns, kind_code};

impl Tx<'_, '_> {
    pub(super) fn record_all(&mut self, batch: &mut Batch) -> Result<()> {
        for set in &batch.record {
            let held = self.set_record(set)?;
            self.answer().record.push(held);
        }
        Ok(())
    }

    fn set_record(&mut self, set: &SetRecord) -> Result<RecordSet> {
        let (db, kind, id) = (self.sql.db, kind_code(set.kind), set.id.into_bytes());
        let find = "SELECT version FROM records WHERE kind = ? AND id = ?";
        let there = db.query_row(find, (kind, id), |row| number(row, 0)).optional()?;
        let is_name_free = match set.to.as_ref().and_then(|to| Some((&to.tenant, to.name.as_ref()?))) {
            Some((tenant, name)) => {
                let find = "SELECT 1 FROM records WHERE kind = ? AND tenant = ? AND name = ? AND id <> ?";
                db.query_row(find, (kind, tenant, name, id), |_| Ok(())).optional()?.is_none()
            }
            None => true,
        };
        if let Err(why) = RecordSet::decide(set.seen, there, is_name_free) {
            return Ok(why);
        }
        let next = "INSERT INTO records_versions (kind, version) VALUES (?, 1)
                    ON CONFLICT (kind) DO UPDATE SET version = version + 1 RETURNING version";
        let version = db.query_row(next, [kind], |row| number(row, 0))?;
        match &set.to {
            Some(Content { tenant, name, due, body }) => {
                let keep =
                    "INSERT INTO records (kind, id, version, tenant, name, due, body) VALUES (?, ?, ?, ?, ?, ?, ?)
                            ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, tenant = excluded.tenant,
                              name = excluded.name, due = excluded.due, body = excluded.body";
                db.execute(keep, (kind, id, version as i64, tenant, name, due.map(Timestamp::as_micros), body))?;
            }
            None => {
                db.execute("DELETE FROM records WHERE kind = ? AND id = ?", (kind, id))?;
                db.execute("DELETE FROM schedule_slots WHERE schedule = ?", [id])?;
            }
        }
        if let Some(gate) = &set.gate {
            self.set_gate(gate);
        }
        let mut accepted = Vec::with_capacity(set.then.len());
        for task in &set.then {
            // Its own keys may lead to a task that is there already, or refuse it.
            let outcome = self.accept(Submission { tasks: vec![task.clone()] })?;
            accepted.push(outcome.ok().and_then(|it| it.first().map(|it| it.id)));
        }
        self.note_slots(set.id, &set.slots_of(&accepted))?;
        if let Some(also) = &set.also {
            self.set_record(also)?;
        }
        Ok(RecordSet::Held(version))
    }

    fn note_slots(&self, schedule: Uuid, slots: &[(Timestamp, Came)]) -> Result<()> {
        let (db, id) = (self.sql.db, schedule.into_bytes());
        for (slot, came) in slots {
            let (code, task) = came_columns(*came);
            let note = "INSERT OR REPLACE INTO schedule_slots (schedule, slot, came, task) VALUES (?, ?, ?, ?)";
            db.execute(note, (id, slot.as_micros(), code, task.map(Uuid::into_bytes)))?;
        }
        if !slots.is_empty() {
            let forget = "DELETE FROM schedule_slots WHERE schedule = ?1 AND slot <= (
                            SELECT slot FROM schedule_slots WHERE schedule = ?1 ORDER BY slot DESC LIMIT 1 OFFSET ?2)";
            db.execute(forget, (id, limit::SLOTS_KEPT as i64))?;
        }
        Ok(())
    }
}

const COLUMNS: &str = "id, version, tenant, name, due, body";

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

fn record(row: &Row<'_>, kind: Kind) -> rusqlite::Result<Record> {
    let due: Option<i64> = row.get(4)?;
    let content =
        Content { tenant: row.get(2)?, name: row.get(3)?, due: due.map(Timestamp::from_micros), body: row.get(5)? };
    Ok(Record { kind, id: Uuid::from_bytes(row.get(0)?), version: number(row, 1)?, content })
}

/// A page of records.
pub(super) fn page(db: &Connection, query: &RecordQuery) -> Result<Vec<Record>> {
    let (side, way, first) = match query.order {
        Order::Oldest => (">", "ASC", Vec::new()),
        // Longer than any id, and so behind all of them.
        Order::Newest => ("<", "DESC", vec![u8::MAX; 17]),
    };
    let mut find = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM records WHERE kind = ?1 AND id {side} ?2 AND (?3 IS NULL OR tenant = ?3)
           AND (?4 IS NULL OR name = ?4) ORDER BY id {way} LIMIT ?5"
    ))?;
    let after = query.after.map_or(first, |it| it.into_bytes().to_vec());
    let values = (kind_code(query.kind), after, &query.tenant, &query.name, query.most as i64);
    Ok(find.query_map(values, |row| record(row, query.kind))?.collect::<rusqlite::Result<_>>()?)
}

/// A record.
pub(super) fn one(db: &Connection, kind: Kind, id: Uuid) -> Result<Option<Record>> {
    let mut find = db.prepare_cached(&format!("SELECT {COLUMNS} FROM records WHERE kind = ? AND id = ?"))?;
    Ok(find.query_row((kind_code(kind), id.into_bytes()), |row| record(row, kind)).optional()?)
}

/// Records that are due, and how soon the next one is.
pub(super) fn due(db: &Connection, kind: Kind, most: usize, now: Timestamp) -> Result<DueRecords> {
    let (code, at) = (kind_code(kind), now.as_micros());
    let mut find = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM records WHERE kind = ? AND due IS NOT NULL AND due <= ? ORDER BY due, id LIMIT ?"
    ))?;
    let due = find.query_map((code, at, most as i64), |row| record(row, kind))?.collect::<rusqlite::Result<_>>()?;
    let mut find = db.prepare_cached("SELECT min(due) FROM records WHERE kind = ? AND due IS NOT NULL AND due > ?")?;
    let next: Option<i64> = find.query_row((code, at), |row| row.get(0))?;
    Ok(DueRecords { due, next: next.map(|at| Timestamp::from_micros(at).since(now)) })
}

/// The last version of a kind.
pub(super) fn version(db: &Connection, kind: Kind) -> Result<u64> {
    let find = "SELECT version FROM records_versions WHERE kind = ?";
    Ok(db.query_row(find, [kind_code(kind)], |row| number(row, 0)).optional()?.unwrap_or(0))
}

/// What the last slots of a schedule came to.
pub(super) fn slots(
    db: &Connection,
    schedule: Uuid,
    before: Option<Timestamp>,
    most: usize,
) -> Result<Vec<(Timestamp, Came)>> {
    let mut find = db.prepare_cached(
        "SELECT slot, came, task FROM schedule_slots WHERE schedule = ? AND slot < ? ORDER BY slot DESC LIMIT ?",
    )?;
    let before = before.map_or(i64::MAX, Timestamp::as_micros);
    let slots = find.query_map((schedule.into_bytes(), before, most as i64), |row| {
        let task: Option<[u8; 16]> = row.get(2)?;
        let came = came(row.get(1)?, task.map(Uuid::from_bytes));
        let came = came.map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Integer, error.into()))?;
        Ok((Timestamp::from_micros(row.get(0)?), came))
    })?;
    Ok(slots.collect::<rusqlite::Result<_>>()?)
}

impl Records for SqliteStore {
    fn page(&self, query: RecordQuery) -> Answer<'_, Vec<Record>> {
        Box::pin(self.readers.read(move |db| page(db, &query)))
    }

    fn one(&self, kind: Kind, id: Uuid) -> Answer<'_, Option<Record>> {
        Box::pin(self.readers.read(move |db| one(db, kind, id)))
    }

    fn due(&self, kind: Kind, most: usize) -> Answer<'_, DueRecords> {
        let now = self.clock.now();
        Box::pin(self.readers.read(move |db| due(db, kind, most, now)))
    }

    fn version(&self, kind: Kind) -> Answer<'_, u64> {
        Box::pin(self.readers.read(move |db| version(db, kind)))
    }

    fn slots(&self, schedule: Uuid, before: Option<Timestamp>, most: usize) -> Answer<'_, Vec<(Timestamp, Came)>> {
        Box::pin(self.readers.read(move |db| slots(db, schedule, before, most)))
    }
}
