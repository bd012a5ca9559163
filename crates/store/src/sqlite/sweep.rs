//! Beside the road: what need not be kept goes, a bounded step at a time, round and round the table.

use std::time::Duration;

use tasklane_core::ports::store::{Batch, Sweep};
use tasklane_core::queue::Counted;

use super::error::{Fault, Result};
use super::keys;
use super::row::{Head, id};
use super::tx::Tx;
use crate::encoding::log::Way;

/// How long the event log is kept.
pub const LOG_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How large the event log may grow, in bytes.
pub const LOG_BYTES: u64 = 1 << 30;

/// Where the last step ended, in the order of acceptance.
#[derive(Default)]
pub(crate) struct Cursor {
    after: i64,
    excess: bool,
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
        let mut excess = self.excess(sweep);
        if excess > 0 && !self.live.sweep.excess {
            // The oldest go first: begin where they stand.
            self.live.sweep.after = 0;
        }
        let rows = self.rows_to_sweep(sweep.limit)?;
        for row in rows {
            let state = row.head.state;
            let over = row.head.finished().is_some_and(|at| sweep.retention.is_over(state, at, self.now));
            if state.is_final() && (over || excess > 0) {
                excess = excess.saturating_sub(1);
                let (counted, notes) = (row.head.counted(), row.head.notes());
                let Head { lane, scope, attempt, .. } = row.head;
                let way = Way { from: None, to: None, reason: None, lane, scope, attempt };
                self.remove(way, row.id, row.seq, counted, notes)?;
                self.answer().sweep += 1;
            }
        }
        self.live.sweep.excess = excess > 0;
        keys::forget(self.sql.db, self.now, sweep.limit)?;
        self.count_now = true;
        self.trim_log(sweep.limit)
    }

    /// How many final tasks are too many.
    fn excess(&self, sweep: &Sweep) -> u64 {
        let total = self.live.counters.total();
        let done: u64 = Counted::all().filter(|it| it.state().is_final()).map(|it| total.of(it)).sum();
        let over = done.saturating_sub(sweep.retention.most);
        let crowded = sweep.disk.is_some_and(|(used, all)| used as f64 > all as f64 * sweep.retention.disk_share);
        if crowded { over.max(sweep.limit as u64) } else { over }
    }

    fn rows_to_sweep(&mut self, limit: usize) -> Result<Vec<Found>> {
        self.sql.write_rows()?;
        let mut find =
            self.sql.db.prepare_cached("SELECT seq, id, head FROM tasks WHERE seq > ? ORDER BY seq LIMIT ?")?;
        let mut rows = find.query((self.live.sweep.after, limit as i64))?;
        let (mut found, mut examined) = (Vec::new(), 0);
        let mut last = 0;
        while let Some(row) = rows.next()? {
            (examined, last) = (examined + 1, row.get(0)?);
            let head = row.get_ref(2)?.as_blob().map_err(|error| Fault::damaged(error.to_string()))?;
            match Head::decode(head) {
                Ok(head) if head.state.is_final() => found.push(Found { seq: last, id: id(row, 1)?, head }),
                Ok(_) => {}
                Err(fault) => tracing::error!(seq = last, %fault, "a task cannot be read; it is left where it is"),
            }
        }
        self.live.sweep.after = if examined == limit { last } else { 0 };
        Ok(found)
    }

    /// Cuts the oldest commits off the event log: those older than [`LOG_KEPT`], and more while it is larger than
    /// [`LOG_BYTES`]. The last commit stays, for its position and its stamp.
    fn trim_log(&mut self, limit: usize) -> Result<()> {
        let mut find = self.sql.db.prepare_cached(
            "SELECT position, at, length(body) FROM log WHERE position < ? ORDER BY position LIMIT ?",
        )?;
        let before = self.live.counters.counted_to().0.min(self.live.position.0);
        let mut rows = find.query((before as i64, limit as i64))?;
        let mut upto = None;
        while let Some(row) = rows.next()? {
            let at = tasklane_core::time::Timestamp::from_micros(row.get(1)?);
            if self.now.since(at) < LOG_KEPT && self.live.log_bytes <= LOG_BYTES {
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
