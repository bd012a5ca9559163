//! Beside the road: what need not be kept goes, a bounded step at a time, round and round the table. One server at a time
//! sweeps.

use std::collections::HashSet;
use std::sync::PoisonError;

use tasklane_core::limit;
use tasklane_core::ports::store::{Batch, Sweep};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::counters::{LOG_BYTES_AT, Sums};
use super::error::{Fault, Result};
use super::keys;
use super::remove::Goner;
use super::row::counted;
use super::session::Statement;
use super::tx::Tx;
use crate::encoding::log::Way;
use crate::encoding::{LaneNo, ScopeNo};

const TURN: Statement =
    Statement { sql: "SELECT pg_try_advisory_xact_lock('tasklane.tasks'::regclass::oid::int, 0)", types: &[] };

const EXAMINE: Statement = Statement {
    sql: "SELECT id, state, finished, lane, scope, attempt, flags, hidden FROM tasklane.tasks WHERE id > $1
          ORDER BY id LIMIT $2",
    types: &[Type::UUID, Type::INT8],
};

/// Locks what is still as it was when it was examined.
const SEIZE: Statement = Statement {
    sql: "SELECT t.id FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[]) AS u(id, state, finished, hidden)
          JOIN tasklane.tasks t ON t.id = u.id
          WHERE t.state = u.state AND t.finished = u.finished AND t.hidden IS NOT DISTINCT FROM u.hidden
          FOR UPDATE OF t SKIP LOCKED",
    types: &[Type::UUID_ARRAY, Type::INT2_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};

const TRIM: Statement = Statement {
    sql: "DELETE FROM tasklane.events WHERE position IN (
            SELECT position FROM tasklane.events
            WHERE position < (SELECT max(position) FROM tasklane.events) AND (at <= $1 OR $2)
            ORDER BY position LIMIT $3)
          RETURNING position, octet_length(body)",
    types: &[Type::INT8, Type::BOOL, Type::INT8],
};

const RAISE_FLOOR: Statement = Statement {
    sql: "UPDATE tasklane.facts SET value = greatest(value, $1) WHERE name = 'log_floor'",
    types: &[Type::INT8],
};

/// Where the last step ended, in the order of ids.
#[derive(Default)]
pub(crate) struct Cursor {
    after: Uuid,
    excess: bool,
}

/// A final task worth a look.
struct Found {
    goner: Goner,
    state: State,
    finished: Timestamp,
    hidden: Option<i64>,
    way: Way,
}

impl Tx<'_> {
    pub(super) async fn sweep_all(&mut self, batches: &[Batch]) -> Result<()> {
        for (caller, batch) in batches.iter().enumerate() {
            self.caller = caller;
            if let Some(sweep) = &batch.sweep
                && self.session.row(&TURN, &[]).await?.try_get(0)?
            {
                self.answers[caller].sweep = self.sweep(sweep).await?;
            }
        }
        Ok(())
    }

    async fn sweep(&mut self, sweep: &Sweep) -> Result<usize> {
        let sums = Sums::read(self.session).await?;
        self.count_all();
        let excess = self.excess(sweep, &sums);
        let after = {
            let mut cursor = self.shared.sweep.lock().unwrap_or_else(PoisonError::into_inner);
            if excess > 0 && !cursor.excess {
                // The oldest go first: begin where they stand.
                cursor.after = Uuid::nil();
            }
            cursor.after
        };
        let (mut found, last) = self.examine(after, sweep.limit).await?;
        let mut clearing = sweep.retention.clearing(excess, self.now);
        found.retain(|it| clearing.takes(it.state, Some(it.finished)));
        {
            let mut cursor = self.shared.sweep.lock().unwrap_or_else(PoisonError::into_inner);
            (cursor.after, cursor.excess) = (last, clearing.has_excess());
        }
        let removed = self.sweep_away(found).await?;
        keys::forget(self.session, self.now, sweep.limit).await?;
        self.trim_log(sums.log_bytes, sweep.limit).await?;
        Ok(removed)
    }

    /// How many final tasks are too many.
    fn excess(&self, sweep: &Sweep, sums: &Sums) -> u64 {
        let mut total = sums.total();
        self.shifts().for_each(|(counted, n)| total.add(counted, n));
        sweep.retention.excess(total.finished(), sweep.disk, sweep.limit)
    }

    /// Final tasks among the next `limit` rows, and where to go on.
    async fn examine(&mut self, after: Uuid, limit: usize) -> Result<(Vec<Found>, Uuid)> {
        let rows = self.session.rows(&EXAMINE, &[&after, &(limit as i64)]).await?;
        let is_unknown = |row: &tokio_postgres::Row| {
            let strand = LaneNo(row.try_get::<_, i32>(3)? as u32);
            Ok::<_, Fault>(self.names.strands.lane_of(strand).is_none())
        };
        if rows.iter().map(is_unknown).collect::<Result<Vec<_>>>()?.contains(&true) {
            self.read_names().await?;
        }
        let mut found = Vec::new();
        for row in &rows {
            let (id, code): (Uuid, i16) = (row.try_get(0)?, row.try_get(1)?);
            let finished: Option<i64> = row.try_get(2)?;
            let state = u8::try_from(code).ok().and_then(State::from_code).filter(|it| it.is_final());
            let Some((state, finished)) = state.zip(finished) else { continue };
            let hidden: Option<i64> = row.try_get(7)?;
            let (lane, scope, attempt): (i32, i32, i32) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
            let (strand, scope) = (LaneNo(lane as u32), ScopeNo(scope as u32));
            let lane =
                self.names.strands.lane_of(strand).ok_or_else(|| Fault::damaged("a task of an unknown strand"))?;
            let way = Way::removed(counted(state, hidden), lane, scope, attempt as u32);
            let goner = Goner { id, state: code, flags: row.try_get(6)? };
            found.push(Found { goner, state, finished: Timestamp::from_micros(finished), hidden, way });
        }
        let last = rows.last().filter(|_| rows.len() == limit).map(|row| row.try_get(0)).transpose()?;
        Ok((found, last.unwrap_or_default()))
    }

    /// Removes these, unless somebody was quicker.
    async fn sweep_away(&mut self, found: Vec<Found>) -> Result<usize> {
        if found.is_empty() {
            return Ok(0);
        }
        let ids: Vec<Uuid> = found.iter().map(|it| it.goner.id).collect();
        let states: Vec<i16> = found.iter().map(|it| it.goner.state).collect();
        let finished: Vec<i64> = found.iter().map(|it| it.finished.as_micros()).collect();
        let hidden: Vec<Option<i64>> = found.iter().map(|it| it.hidden).collect();
        let rows = self.session.rows(&SEIZE, &[&ids, &states, &finished, &hidden]).await?;
        let seized = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<HashSet<Uuid>>>()?;
        let mut goners = Vec::new();
        for Found { goner, way, .. } in found {
            if seized.contains(&goner.id) {
                self.record(way, TaskId(goner.id));
                goners.push(goner);
            }
        }
        self.delete(&goners).await?;
        Ok(goners.len())
    }

    /// Cuts the oldest commits off the event log: those older than [`limit::EVENTS_KEPT`], and more while it is larger
    /// than [`limit::EVENTS_BYTES`]. The last commit stays.
    async fn trim_log(&mut self, log_bytes: u64, most: usize) -> Result<()> {
        let (before, too_large) = (self.now.minus(limit::EVENTS_KEPT).as_micros(), log_bytes > limit::EVENTS_BYTES);
        let rows = self.session.rows(&TRIM, &[&before, &too_large, &(most as i64)]).await?;
        let (mut floor, mut bytes) = (0, 0);
        for row in &rows {
            floor = floor.max(row.try_get::<_, i64>(0)?);
            bytes += i64::from(row.try_get::<_, i32>(1)?);
        }
        if !rows.is_empty() {
            self.session.run(&RAISE_FLOOR, &[&floor]).await?;
            let mut rows = super::counters::Rows::default();
            rows.push(LOG_BYTES_AT, LOG_BYTES_AT, 0, -bytes);
            super::counters::append(self.session, &rows).await?;
        }
        Ok(())
    }
}
