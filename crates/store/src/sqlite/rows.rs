//! How rows of tasks reach the file: gathered, and written together. A statement for many new rows keeps its place at the
//! end of the table and of the index, where one a row would look for it from the root each time; and the heads of settled
//! tasks are written through one open blob handle, which only moves from row to row. Whoever reads rows has them written
//! first, so that nothing is ever read that is older than what the commit did.

use bytes::Bytes;
use tasklane_core::task::TaskId;

use super::error::Result;
use super::row::{HEAD, Kept};
use super::sql::Sql;

/// How many new rows one statement writes.
pub(crate) const MANY: usize = 32;
/// From so many changed heads on, opening a blob handle costs less than it saves.
const WORTH_A_HANDLE: usize = 4;
/// Bytes that may gather before they are written.
const GATHERED: usize = 1 << 20;

/// A new row.
struct New {
    seq: i64,
    id: TaskId,
    /// Where its `head` ends in the heap.
    head_end: usize,
    payload: Bytes,
    more: Option<Vec<u8>>,
}

/// What has gathered.
#[derive(Default)]
pub(crate) struct Rows {
    new: Vec<New>,
    /// Heads of new rows, one behind the other.
    heads: Vec<u8>,
    /// Rows whose heads changed, and where what is to be written ends.
    changed: Vec<(i64, usize)>,
    changes: Vec<u8>,
    payloads: usize,
}

impl Sql<'_> {
    /// A new row; `kept.task.payload` is the payload.
    pub(crate) fn insert(&mut self, kept: &Kept) -> Result<()> {
        let origin = &kept.task.facts.scope.origin;
        if !origin.is_empty() {
            // Few come by a dialect; the many keep their own statement.
            self.write_rows()?;
            let (id, payload) = (kept.task.facts.id, &*kept.task.payload);
            self.insert_of_origin.execute((
                kept.seq,
                id.as_bytes(),
                &kept.column(),
                payload,
                kept.more()?,
                &**origin,
            ))?;
            return Ok(());
        }
        let rows = &mut self.rows;
        rows.heads.extend_from_slice(&kept.head());
        rows.heads.resize(rows.heads.len() + kept.room, 0);
        let (payload, more) = (kept.task.payload.clone(), kept.more()?);
        rows.payloads += payload.len();
        rows.new.push(New { seq: kept.seq, id: kept.task.facts.id, head_end: rows.heads.len(), payload, more });
        if rows.payloads > GATHERED { self.write_rows() } else { Ok(()) }
    }

    /// Writes everything of a row that changes in its life but the payload.
    pub(crate) fn update(&mut self, kept: &mut Kept) -> Result<()> {
        let result = kept.task.result.as_deref().unwrap_or_default();
        let needs_more = kept.needs_more();
        if needs_more || kept.has_more || result.len() > kept.room {
            self.write_rows()?;
            let (column, more) = (kept.column(), kept.more()?);
            self.update.execute((&column, more, kept.seq))?;
            (kept.room, kept.has_more) = (column.len() - HEAD, needs_more);
        } else {
            let rows = &mut self.rows;
            let end = rows.changes.len() + HEAD + kept.room;
            rows.changes.extend_from_slice(&kept.head());
            rows.changes.extend_from_slice(result);
            rows.changes.resize(end, 0);
            rows.changed.push((kept.seq, rows.changes.len()));
        }
        Ok(())
    }

    /// Writes what has gathered.
    pub(crate) fn write_rows(&mut self) -> Result<()> {
        if !self.rows.new.is_empty() {
            let rows = std::mem::take(&mut self.rows.new);
            self.write_new(&rows)?;
            self.rows.new = rows;
            self.rows.new.clear();
            self.rows.heads.clear();
            self.rows.payloads = 0;
        }
        if !self.rows.changed.is_empty() {
            self.write_changed()?;
            self.rows.changed.clear();
            self.rows.changes.clear();
        }
        Ok(())
    }

    fn write_new(&mut self, rows: &[New]) -> Result<()> {
        let mut at = 0;
        let (many, few) = rows.as_chunks::<MANY>();
        for chunk in many {
            for (nth, New { seq, id, head_end, payload, more }) in chunk.iter().enumerate() {
                let (first, statement) = (5 * nth, &mut self.insert_many);
                statement.raw_bind_parameter(first + 1, seq)?;
                statement.raw_bind_parameter(first + 2, id.as_bytes())?;
                statement.raw_bind_parameter(first + 3, &self.rows.heads[at..*head_end])?;
                statement.raw_bind_parameter(first + 4, &**payload)?;
                statement.raw_bind_parameter(first + 5, more)?;
                at = *head_end;
            }
            self.insert_many.raw_execute()?;
        }
        for New { seq, id, head_end, payload, more } in few {
            let head = &self.rows.heads[at..*head_end];
            self.insert.execute((seq, id.as_bytes(), head, &**payload, more))?;
            at = *head_end;
        }
        Ok(())
    }

    fn write_changed(&mut self) -> Result<()> {
        let Rows { changed, changes, .. } = &self.rows;
        let mut at = 0;
        let mut pieces = changed.iter().map(|(seq, end)| {
            let piece = &changes[at..*end];
            at = *end;
            (*seq, piece)
        });
        if changed.len() >= WORTH_A_HANDLE {
            let mut blob = self.db.blob_open("main", "tasks", "head", changed[0].0, false)?;
            pieces.try_for_each(|(seq, piece)| {
                blob.reopen(seq)?;
                blob.write_all_at(piece, 0)
            })?;
            return Ok(blob.close()?);
        }
        for (seq, piece) in pieces {
            self.overwrite.execute((piece, seq))?;
        }
        Ok(())
    }
}
