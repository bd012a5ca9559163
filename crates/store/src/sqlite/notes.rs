//! What running attempts say and put aside. A task that does neither has no row here: its head says whether to look.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState as ById;
use rusqlite::Connection;
use tasklane_core::checkpoint::{Checkpoint, Checkpointed};
use tasklane_core::lease::LeaseKey;
use tasklane_core::log::{Line, LogLine, Tally};
use tasklane_core::ports::store::{Batch, LogPage, LogQuery, Logged};
use tasklane_core::task::TaskId;

use super::error::{Fault, Result};
use super::readers::blob;
use super::row::{HAS_CHECKPOINTS, HAS_LOGS, Kept};
use super::tx::Tx;
use crate::encoding::checksum::sum;
use crate::encoding::chunk;
use crate::log_page::Filling;

/// How much the running attempts that log have logged; read from the file again where it is not here.
pub(crate) type Tallies = HashMap<TaskId, (u32, Tally), ById>;

/// Whether there is room for more than what ends tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// The disk is full, and the reserve is not for this.
    Scarce,
}

impl Tx<'_, '_> {
    pub(super) fn note_all(&mut self, batch: &Batch) -> Result<()> {
        for (key, lines) in &batch.logs {
            let logged = self.log(key, lines)?;
            self.answer().logs.push(logged);
        }
        for (key, checkpoint) in &batch.checkpoints {
            let kept = self.checkpoint(key, checkpoint)?;
            self.answer().checkpoints.push(kept);
        }
        Ok(())
    }

    fn log(&mut self, key: &LeaseKey, lines: &[Line]) -> Result<Logged> {
        if !self.progress(key, None)? {
            return Ok(Logged::Lost);
        }
        if self.room == Room::Scarce {
            return Ok(Logged::DiskFull);
        }
        let Some(running) = self.live.running.held(key) else { return Ok(Logged::Lost) };
        let known = self.live.tallies.get(&key.id).filter(|(attempt, _)| *attempt == key.attempt);
        let before = match known {
            Some((_, tally)) => *tally,
            None if running.notes & HAS_LOGS == 0 => Tally::default(),
            None => self.sql.tally(running.seq, key.attempt)?,
        };
        let mut tally = before;
        let kept = tally.admit(lines, key.attempt, running.task.facts.started_at, self.now);
        if let Some(last) = kept.last() {
            self.live.tallies.insert(key.id, (key.attempt, tally));
            let size = (tally.lines - before.lines, tally.bytes - before.bytes);
            self.sql.log_chunk(running.seq, last, size, &chunk::encode(&kept))?;
            if running.notes & HAS_LOGS == 0 {
                running.notes |= HAS_LOGS;
                self.sql.update(running)?;
            }
        }
        Ok(Logged::Held { kept: kept.len(), cut: tally.is_full() && !before.is_full() })
    }

    fn checkpoint(&mut self, key: &LeaseKey, checkpoint: &Checkpoint) -> Result<Checkpointed> {
        if !self.progress(key, None)? {
            return Ok(Checkpointed::Lost);
        }
        if self.room == Room::Scarce {
            return Ok(Checkpointed::DiskFull);
        }
        let Some(running) = self.live.running.held(key) else { return Ok(Checkpointed::Lost) };
        let (others, bytes) = self.sql.checkpoints_besides(running.seq, &checkpoint.name)?;
        if !checkpoint.fits(others, bytes) {
            return Ok(Checkpointed::TooLarge);
        }
        self.sql.checkpoint_put(running.seq, &checkpoint.name, sum(key.id, &checkpoint.data), &checkpoint.data)?;
        if running.notes & HAS_CHECKPOINTS == 0 {
            running.notes |= HAS_CHECKPOINTS;
            self.sql.update(running)?;
        }
        Ok(Checkpointed::Held)
    }

    /// What earlier attempts of a task put aside. One that is damaged is left out: the attempt begins without it.
    pub(super) fn put_aside(&mut self, kept: &Kept) -> Result<Vec<Checkpoint>> {
        if kept.notes & HAS_CHECKPOINTS == 0 {
            return Ok(Vec::new());
        }
        let id = kept.task.facts.id;
        let mut checkpoints = self.sql.checkpoints_of(kept.seq)?;
        checkpoints.retain(|(written, it)| {
            let sound = *written == sum(id, &it.data);
            if !sound {
                tracing::error!(task = %id, name = it.name, "a checkpoint is damaged; the attempt begins without it");
            }
            sound
        });
        Ok(checkpoints.into_iter().map(|(_, it)| it).collect())
    }
}

/// A page of the log of the task in row `kept`.
pub(super) fn page(db: &Connection, kept: &Kept, query: LogQuery) -> Result<LogPage> {
    let mut filling = Filling::new(query);
    if kept.notes & HAS_LOGS == 0 {
        return Ok(filling.page());
    }
    let after = query.after.map_or((-1, -1), |after| (i64::from(after.attempt), after.n.cast_signed()));
    // Of one attempt only: from where it begins.
    let from = query.attempt.map_or(after, |attempt| after.max((i64::from(attempt), -1)));
    let mut find = db.prepare_cached(
        "SELECT attempt, body FROM logs WHERE seq = ? AND (attempt, last) > (?, ?) ORDER BY attempt, last",
    )?;
    let mut rows = find.query((kept.seq, from.0, from.1))?;
    while let Some(row) = rows.next()? {
        let attempt: u32 = row.get(0)?;
        if query.attempt.is_some_and(|wanted| attempt > wanted) {
            break;
        }
        if !chunk::decode(blob(row, 1)?, attempt)?.into_iter().all(|line| filling.offer(line)) {
            break;
        }
    }
    Ok(filling.page())
}

/// `db check`: what the rows here say, held against the heads in `notes`.
pub(super) fn check(
    db: &Connection,
    mut notes: HashMap<i64, (TaskId, u8)>,
    mut problem: impl FnMut(String),
) -> Result<()> {
    let mut found: HashMap<i64, u8> = HashMap::new();
    let mut logs = db.prepare("SELECT seq, attempt, body FROM logs")?;
    let mut rows = logs.query([])?;
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        *found.entry(seq).or_default() |= HAS_LOGS;
        if let Err(fault) = chunk::decode(blob(row, 2)?, row.get(1)?) {
            problem(format!("row {seq}: {fault}"));
        }
    }
    let mut checkpoints = db.prepare("SELECT seq, name, sum, data FROM checkpoints")?;
    let mut rows = checkpoints.query([])?;
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        *found.entry(seq).or_default() |= HAS_CHECKPOINTS;
        let is_sound = |(id, _): &(TaskId, u8)| blob(row, 3).is_ok_and(|data| row.get(2) == Ok(sum(*id, data) as i64));
        if !notes.get(&seq).is_some_and(is_sound) {
            problem(format!("row {seq}: checkpoint {:?} does not match its checksum", row.get::<_, String>(1)?));
        }
    }
    for (seq, has) in found {
        if notes.remove(&seq).is_none_or(|(_, said)| said != has) {
            problem(format!("row {seq} has logs or checkpoints that its head does not tell of"));
        }
    }
    notes
        .into_iter()
        .for_each(|(seq, _)| problem(format!("row {seq} lacks the logs or checkpoints its head tells of")));
    Ok(())
}

/// The statements of this table's rows, in the writer's hands.
impl super::sql::Sql<'_> {
    fn tally(&mut self, seq: i64, attempt: u32) -> Result<Tally> {
        Ok(self.log_tally.query_row((seq, attempt), |row| {
            let last: Option<i64> = row.get(0)?;
            let next = last.map_or(0, |last| last.cast_unsigned().saturating_add(1));
            Ok(Tally { next, lines: row.get(1)?, bytes: row.get(2)? })
        })?)
    }

    fn log_chunk(&mut self, seq: i64, last: &LogLine, (lines, bytes): (u32, u32), body: &[u8]) -> Result<()> {
        self.log_put.execute((seq, last.id.attempt, last.id.n.cast_signed(), lines, bytes, body))?;
        Ok(())
    }

    fn checkpoints_besides(&mut self, seq: i64, name: &str) -> Result<(usize, usize)> {
        Ok(self
            .checkpoint_sizes
            .query_row((seq, name), |row| Ok((row.get::<_, u32>(0)? as usize, row.get::<_, u32>(1)? as usize)))?)
    }

    fn checkpoint_put(&mut self, seq: i64, name: &str, sum: u64, data: &[u8]) -> Result<()> {
        self.checkpoint_put.execute((seq, name, sum.cast_signed(), data))?;
        Ok(())
    }

    fn checkpoints_of(&mut self, seq: i64) -> Result<Vec<(u64, Checkpoint)>> {
        let mut rows = self.checkpoints.query([seq])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let data = row.get_ref(2)?.as_blob().map_err(|error| Fault::damaged(error.to_string()))?;
            let checkpoint = Checkpoint { name: name.into(), data: Bytes::copy_from_slice(data) };
            found.push((row.get::<_, i64>(1)?.cast_unsigned(), checkpoint));
        }
        Ok(found)
    }

    /// Removes what a task said and put aside, as far as its head tells of any.
    pub(super) fn delete_notes(&mut self, seq: i64, notes: u8) -> Result<()> {
        if notes & HAS_LOGS != 0 {
            self.logs_remove.execute([seq])?;
        }
        if notes & HAS_CHECKPOINTS != 0 {
            self.checkpoints_remove.execute([seq])?;
        }
        Ok(())
    }
}
