//! Every statement of the road, prepared once for the life of the writer.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension, Statement};
use tasklane_core::event::Position;
use tasklane_core::task::{Attempt, TaskId};
use tasklane_core::time::Timestamp;

use super::error::{Fault, Result};
use super::names::{LaneNo, Names};
use super::row::{COLUMNS, Head, Kept};
use super::rows::{MANY, Rows};
use super::seqs::{pack, unpack};
use super::strands::StrandNo;
use super::takeable::Place;

macro_rules! statements {
    ($($(#[$meta:meta])* $name:ident: $sql:expr;)*) => {
        /// The statements of the writer.
        pub(crate) struct Sql<'c> {
            pub db: &'c Connection,
            pub(super) rows: Rows,
            $($(#[$meta])* pub(super) $name: Statement<'c>,)*
        }

        impl<'c> Sql<'c> {
            pub(crate) fn prepare(db: &'c Connection) -> Result<Self> {
                Ok(Self { db, rows: Rows::default(), $($name: db.prepare($sql)?,)* })
            }
        }
    };
}

statements! {
    begin: "BEGIN IMMEDIATE";
    commit: "COMMIT";
    insert: "INSERT INTO tasks (seq, id, head, payload, more) VALUES (?, ?, ?, ?, ?)";
    insert_of_origin: "INSERT INTO tasks (seq, id, head, payload, more, origin) VALUES (?, ?, ?, ?, ?, ?)";
    insert_many: &format!(
        "INSERT OR ROLLBACK INTO tasks (seq, id, head, payload, more) VALUES {}",
        ["(?, ?, ?, ?, ?)"; MANY].join(", ")
    );
    by_id: &format!("SELECT {COLUMNS} FROM tasks WHERE id = ?");
    by_seqs: &format!("SELECT {COLUMNS} FROM tasks WHERE seq BETWEEN ? AND ? ORDER BY seq");
    overwrite: "UPDATE tasks SET head = ? WHERE seq = ?";
    update: "UPDATE tasks SET head = ?, more = ? WHERE seq = ?";
    update_payload: "UPDATE tasks SET payload = ? WHERE seq = ?";
    delete: "DELETE FROM tasks WHERE seq = ?";
    takeable_at: "SELECT first, seqs FROM takeable WHERE lane = ? AND urgency = ? AND rank = ? AND first <= ?
                  ORDER BY first DESC LIMIT 1";
    takeable_upto: "SELECT urgency, rank, first, seqs FROM takeable
                    WHERE lane = ? AND (urgency, rank, first) <= (?, ?, ?)
                    ORDER BY urgency DESC, rank DESC, first DESC LIMIT 1";
    takeable_cut: "DELETE FROM takeable WHERE lane = ? AND (urgency, rank, first) <= (?, ?, ?)";
    cut_note: "INSERT INTO cuts (lane, urgency, rank, seq) VALUES (?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET urgency = excluded.urgency, rank = excluded.rank, seq = excluded.seq";
    cut_forget: "DELETE FROM cuts WHERE lane = ?";
    takeable_insert: "INSERT INTO takeable (lane, urgency, rank, first, seqs) VALUES (?, ?, ?, ?, ?)";
    takeable_update: "UPDATE takeable SET seqs = ? WHERE lane = ? AND urgency = ? AND rank = ? AND first = ?";
    takeable_delete: "DELETE FROM takeable WHERE lane = ? AND urgency = ? AND rank = ? AND first = ?";
    takeable_first: "SELECT urgency, rank, first, seqs FROM takeable WHERE lane = ? ORDER BY urgency, rank, first";
    takeable_ends: "SELECT (SELECT min(rank) FROM takeable WHERE lane = ?1 AND urgency = ?2),
                           (SELECT max(rank) FROM takeable WHERE lane = ?1 AND urgency = ?2)";
    rank_of: "SELECT head FROM tasks WHERE seq = ?";
    due_add: "INSERT OR REPLACE INTO due (at, id, seq) VALUES (?, ?, ?)";
    due_remove: "DELETE FROM due WHERE at = ? AND id = ?";
    due_first: "SELECT at, id FROM due WHERE at <= ? ORDER BY at, id LIMIT ?";
    due_next: "SELECT min(at) FROM due";
    attempt_add: "INSERT OR IGNORE INTO attempts (seq, attempt, body) VALUES (?, ?, ?)";
    attempts_remove: "DELETE FROM attempts WHERE seq = ?";
    log_put: "INSERT INTO logs (seq, attempt, last, lines, bytes, body) VALUES (?, ?, ?, ?, ?, ?)";
    log_tally: "SELECT max(last), coalesce(sum(lines), 0), coalesce(sum(bytes), 0) FROM logs WHERE seq = ? AND attempt = ?";
    logs_remove: "DELETE FROM logs WHERE seq = ?";
    checkpoint_put: "INSERT INTO checkpoints (seq, name, sum, data) VALUES (?, ?, ?, ?)
                     ON CONFLICT DO UPDATE SET sum = excluded.sum, data = excluded.data";
    checkpoint_sizes: "SELECT count(*), coalesce(sum(octet_length(name) + octet_length(data)), 0) FROM checkpoints
                       WHERE seq = ? AND name <> ?";
    checkpoints: "SELECT name, sum, data FROM checkpoints WHERE seq = ? ORDER BY name";
    checkpoints_remove: "DELETE FROM checkpoints WHERE seq = ?";
    lease_add: "INSERT INTO leases (no, body, inside) VALUES (?, ?, ?)";
    lease_remove: "DELETE FROM leases WHERE no = ?";
    log_add: "INSERT INTO log (position, at, body) VALUES (?, ?, ?)";
    counters_put: "INSERT INTO counters (lane, scope, counts) VALUES (?, ?, ?)
                   ON CONFLICT DO UPDATE SET counts = excluded.counts";
    gate_put: "INSERT OR REPLACE INTO gates (kind, tenant, key, set_by, bounds, starts) VALUES (?, ?, ?, ?, ?, ?)";
    front_put: "INSERT OR REPLACE INTO turns (lane, urgency, front) VALUES (?, ?, ?)";
    gate_remove: "DELETE FROM gates WHERE kind = ? AND tenant = ? AND key = ?";
    fact_put: "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
}

impl Sql<'_> {
    pub(crate) fn begin(&mut self) -> Result<()> {
        self.begin.raw_execute()?;
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> Result<()> {
        self.write_rows()?;
        self.commit.raw_execute()?;
        Ok(())
    }

    /// Ends the transaction without a trace; SQLite may have done so by itself.
    pub(crate) fn rollback(&mut self) -> Result<()> {
        self.rows = Rows::default();
        if !self.db.is_autocommit() {
            self.db.execute_batch("ROLLBACK")?;
        }
        Ok(())
    }

    pub(crate) fn by_id(&mut self, id: TaskId, names: &Names) -> Result<Option<Kept>> {
        self.write_rows()?;
        let mut rows = self.by_id.query([id.as_bytes()])?;
        rows.next()?.map(|row| Kept::read_with_payload(row, names)).transpose()
    }

    /// Calls `each` with every row from `first` to `last`.
    pub(crate) fn by_seqs(
        &mut self,
        first: i64,
        last: i64,
        mut each: impl FnMut(&rusqlite::Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.write_rows()?;
        let mut rows = self.by_seqs.query((first, last))?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }

    pub(crate) fn update_payload(&mut self, seq: i64, payload: &[u8]) -> Result<()> {
        self.write_rows()?;
        self.update_payload.execute((payload, seq))?;
        Ok(())
    }

    pub(crate) fn delete(&mut self, seq: i64, has_history: HasHistory) -> Result<()> {
        self.write_rows()?;
        self.delete.execute([seq])?;
        if has_history == HasHistory::Maybe {
            self.attempts_remove.execute([seq])?;
        }
        Ok(())
    }

    /// The row of `takeable` that would hold this place.
    pub(crate) fn takeable_at(&mut self, strand: StrandNo, place: Place) -> Result<Option<(i64, Vec<u8>)>> {
        let at = (strand.0, place.urgency, place.rank, place.seq);
        Ok(self.takeable_at.query_row(at, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    pub(crate) fn takeable_insert(&mut self, strand: StrandNo, at: Place, first: i64, packed: &[u8]) -> Result<()> {
        self.takeable_insert.execute((strand.0, at.urgency, at.rank, first, packed))?;
        Ok(())
    }

    /// The first and the last place of this urgency in a strand.
    pub(crate) fn takeable_ends(&mut self, strand: StrandNo, urgency: i32) -> Result<Option<(i64, i64)>> {
        let ends = self.takeable_ends.query_row((strand.0, urgency), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (first, last): (Option<i64>, Option<i64>) = ends;
        Ok(first.zip(last))
    }

    /// Turns of a lane and urgency have come this far.
    pub(crate) fn front_put(&mut self, lane: LaneNo, urgency: i32, front: i64) -> Result<()> {
        self.front_put.execute((lane.0, urgency, front))?;
        Ok(())
    }

    /// The rank of a task that can be read.
    pub(crate) fn rank_of(&mut self, seq: i64) -> Result<Option<i64>> {
        self.write_rows()?;
        let head: Option<Vec<u8>> = self.rank_of.query_row([seq], |row| row.get(0)).optional()?;
        Ok(head.and_then(|head| Head::decode(&head).ok()).map(|head| head.rank.as_micros()))
    }

    /// Gives the row its new content; an empty row goes.
    pub(crate) fn takeable_put(&mut self, strand: StrandNo, at: Place, first: i64, seqs: &[i64]) -> Result<()> {
        if seqs.is_empty() {
            self.takeable_delete.execute((strand.0, at.urgency, at.rank, first))?;
        } else {
            self.takeable_update.execute((pack(first, seqs), strand.0, at.urgency, at.rank, first))?;
        }
        Ok(())
    }

    /// Everything of the strand up to and with `last` was taken; its rows still stand.
    pub(crate) fn cut_note(&mut self, strand: StrandNo, last: Place) -> Result<()> {
        self.cut_note.execute((strand.0, last.urgency, last.rank, last.seq))?;
        Ok(())
    }

    /// What was taken of the strand stands no more.
    pub(crate) fn cut_forget(&mut self, strand: StrandNo) -> Result<()> {
        self.cut_forget.execute([strand.0])?;
        Ok(())
    }

    /// Removes everything of the strand up to and with `last`.
    pub(crate) fn takeable_cut(&mut self, strand: StrandNo, last: Place) -> Result<()> {
        let at = (strand.0, last.urgency, last.rank, last.seq);
        let row = self
            .takeable_upto
            .query_row(at, |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, Vec<u8>>(3)?)));
        let Some((urgency, rank, first, packed)) = row.optional()? else { return Ok(()) };
        self.takeable_cut.execute(at)?;
        let mut seqs = unpack(first, &packed)?;
        if (urgency, rank) == (last.urgency, last.rank) {
            seqs.retain(|seq| *seq > last.seq);
            if let Some(first) = seqs.first() {
                self.takeable_insert(strand, last, *first, &pack(*first, &seqs))?;
            }
        }
        Ok(())
    }

    /// At least `wanted` places of the strand, if it has so many; and whether these are all.
    pub(crate) fn takeable_first(&mut self, strand: StrandNo, wanted: usize) -> Result<(VecDeque<Place>, bool)> {
        let mut rows = self.takeable_first.query([strand.0])?;
        let mut places = VecDeque::new();
        while let Some(row) = rows.next()? {
            let (urgency, rank, first) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let packed = row.get_ref(3)?.as_blob().map_err(|error| Fault::damaged(error.to_string()))?;
            places.extend(unpack(first, packed)?.into_iter().map(|seq| Place { urgency, rank, seq }));
            if places.len() >= wanted {
                return Ok((places, false));
            }
        }
        Ok((places, true))
    }

    pub(crate) fn due_add(&mut self, at: Timestamp, id: TaskId, seq: i64) -> Result<()> {
        self.due_add.execute((at.as_micros(), id.as_bytes(), seq))?;
        Ok(())
    }

    pub(crate) fn due_remove(&mut self, at: Timestamp, id: TaskId) -> Result<()> {
        self.due_remove.execute((at.as_micros(), id.as_bytes()))?;
        Ok(())
    }

    /// Tasks due at `now`, the longest due first.
    pub(crate) fn due_first(&mut self, now: Timestamp, most: usize) -> Result<Vec<(Timestamp, TaskId)>> {
        let rows = self.due_first.query_map((now.as_micros(), most as i64), |row| {
            Ok((Timestamp::from_micros(row.get(0)?), TaskId::from_bytes(row.get(1)?)))
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    pub(crate) fn due_next(&mut self) -> Result<Option<Timestamp>> {
        let next: Option<i64> = self.due_next.query_row([], |row| row.get(0))?;
        Ok(next.map(Timestamp::from_micros))
    }

    pub(crate) fn attempt_add(&mut self, seq: i64, attempt: &Attempt) -> Result<()> {
        let body = serde_json::to_vec(attempt).map_err(|error| Fault::damaged(error.to_string()))?;
        self.attempt_add.execute((seq, attempt.attempt, body))?;
        Ok(())
    }

    pub(crate) fn lease_add(&mut self, no: u64, body: &[u8], inside: Option<i64>) -> Result<()> {
        self.lease_add.execute((no as i64, body, inside))?;
        Ok(())
    }

    pub(crate) fn lease_remove(&mut self, no: u64) -> Result<()> {
        self.lease_remove.execute([no as i64])?;
        Ok(())
    }

    pub(crate) fn log_add(&mut self, position: Position, at: Timestamp, body: &[u8]) -> Result<()> {
        self.log_add.execute((position.0 as i64, at.as_micros(), body))?;
        Ok(())
    }

    pub(crate) fn counters_put(&mut self, lane: u32, scope: u32, counts: &[u8]) -> Result<()> {
        self.counters_put.execute((lane, scope, counts))?;
        Ok(())
    }

    pub(crate) fn fact_put(&mut self, name: &str, value: i64) -> Result<()> {
        self.fact_put.execute((name, value))?;
        Ok(())
    }
}

/// Whether a task may have attempts in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HasHistory {
    No,
    Maybe,
}
