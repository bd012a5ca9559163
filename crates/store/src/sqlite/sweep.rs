//! Beside the road: what need not be kept goes, a bounded step at a time, round and round the table.

use std::collections::HashSet;

use tasklane_core::limit;
use tasklane_core::ports::store::Batch;

use super::error::{Fault, Result};
use super::keys;
use super::row::{Head, id};
use super::strands::StrandNo;
use super::tx::Tx;
use crate::encoding::log::Way;
use foldhash::fast::RandomState as ById;

/// Where the last step ended, in the order of acceptance.
#[derive(Default)]
pub(crate) struct Cursor {
    after: i64,
    excess: bool,
    /// The strands of the tasks of this round.
    strands: HashSet<StrandNo, ById>,
    /// A task of this round could not be read.
    has_unreadable: bool,
}

/// A row worth a look.
struct Found {
    seq: i64,
    id: tasklane_core::task::TaskId,
    head: Head,
}

impl Tx<'_, '_> {
    pub(super) fn sweep(&mut self, batch: &mut Batch) -> Result<()> {
        let Some(sweep) = &batch.sweep else { return Ok(()) };
        self.count_all();
        let finished = self.live.counters.total().finished();
        let excess = sweep.retention.excess(finished, sweep.disk, sweep.limit);
        if excess > 0 && !self.live.sweep.excess {
            // The oldest go first: begin where they stand.
            self.live.sweep.after = 0;
        }
        let mut clearing = sweep.retention.clearing(excess, self.now);
        for Found { seq, id, head } in self.rows_to_sweep(sweep.limit)? {
            if clearing.takes(head.state, head.finished()) {
                let lane = self.live.names.lane_of_strand(head.strand)?;
                let way = Way::removed(head.counted(), lane, head.scope, head.attempt);
                self.remove(way, id, seq, head.notes())?;
                self.answer().sweep += 1;
            }
        }
        self.live.sweep.excess = clearing.has_excess();
        keys::forget(self.sql.db, self.now, sweep.limit)?;
        self.count_now = true;
        self.trim_log(sweep.limit)
    }

    fn rows_to_sweep(&mut self, limit: usize) -> Result<Vec<Found>> {
        self.sql.write_rows()?;
        if self.live.sweep.after == 0 {
            self.live.sweep.strands.clear();
            self.live.sweep.has_unreadable = false;
        }
        let (met, has_unreadable) = (&mut self.live.sweep.strands, &mut self.live.sweep.has_unreadable);
        let mut find =
            self.sql.db.prepare_cached("SELECT seq, id, head FROM tasks WHERE seq > ? ORDER BY seq LIMIT ?")?;
        let mut rows = find.query((self.live.sweep.after, limit as i64))?;
        let (mut found, mut examined) = (Vec::new(), 0);
        let mut last = 0;
        while let Some(row) = rows.next()? {
            (examined, last) = (examined + 1, row.get(0)?);
            let head = row.get_ref(2)?.as_blob().map_err(|error| Fault::damaged(error.to_string()))?;
            match Head::decode(head) {
                Ok(head) => {
                    met.extend(head.strand.index().map(|_| head.strand));
                    if head.state.is_final() {
                        found.push(Found { seq: last, id: id(row, 1)?, head });
                    }
                }
                Err(fault) => {
                    *has_unreadable = true;
                    tracing::error!(seq = last, %fault, "a task cannot be read; it is left where it is");
                }
            }
        }
        self.live.sweep.after = if examined == limit { last } else { 0 };
        drop(rows);
        drop(find);
        if examined < limit && !self.live.sweep.has_unreadable {
            let gone: Vec<_> = self.live.names.strands.others(&self.live.sweep.strands).take(limit).collect();
            self.forget_strands(&gone)?;
        }
        Ok(found)
    }

    /// Cuts the oldest commits off the event log: those older than [`limit::EVENTS_KEPT`], and more while it is larger
    /// than [`limit::EVENTS_BYTES`]. The last commit stays, for its position and its stamp.
    fn trim_log(&mut self, most: usize) -> Result<()> {
        let mut find = self.sql.db.prepare_cached(
            "SELECT position, at, length(body) FROM log WHERE position < ? ORDER BY position LIMIT ?",
        )?;
        let before = self.live.counters.counted_to().0.min(self.live.position.0);
        let mut rows = find.query((before as i64, most as i64))?;
        let mut upto = None;
        while let Some(row) = rows.next()? {
            let at = tasklane_core::time::Timestamp::from_micros(row.get(1)?);
            if self.now.since(at) < limit::EVENTS_KEPT && self.live.log_bytes <= limit::EVENTS_BYTES {
                break;
            }
            self.live.log_bytes = self.live.log_bytes.saturating_sub(row.get::<_, i64>(2)?.unsigned_abs());
            upto = Some(row.get::<_, i64>(0)?);
        }
        drop(rows);
        if let Some(upto) = upto {
            self.sql.db.execute("DELETE FROM log WHERE position <= ?", [upto])?;
        }
        Ok(())
    }
}
