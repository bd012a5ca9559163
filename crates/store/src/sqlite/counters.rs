//! How many tasks stand in each state, by lane and scope. They are a fold of the event log: memory is always right, the
//! table is brought up to date every so many commits, and what it lacks is read from the log when the store is opened. So
//! a commit writes no counter at all.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;
use tasklane_core::event::Position;
use tasklane_core::queue::{Counted, Counts};
use tasklane_core::state::State;

use super::error::{Fault, Result};
use super::names::{LaneNo, ScopeNo};
use super::sql::Sql;
use crate::encoding::log::{self, Way};
use crate::encoding::varint::{Bytes, put};

/// The fact that says which commit the table was last brought up to.
pub(crate) const COUNTED_TO: &str = "counted_to";
/// Commits between two writings of the table.
pub(crate) const EVERY: u64 = 1000;

#[derive(Default)]
pub(crate) struct Counters {
    counts: HashMap<(LaneNo, ScopeNo), Counts>,
    dirty: HashSet<(LaneNo, ScopeNo)>,
    total: Counts,
    counted_to: Position,
}

impl Counters {
    /// What the table says, and the log since.
    pub(crate) fn load(db: &Connection, counted_to: Position) -> Result<Self> {
        let mut counters = Self { counted_to, ..Self::default() };
        let mut rows = db.prepare("SELECT lane, scope, counts FROM counters")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let key = (LaneNo(row.get(0)?), ScopeNo(row.get(1)?));
            let body: Vec<u8> = row.get(2)?;
            let mut bytes = Bytes(&body);
            // A row of before the deleted were counted ends with the states.
            for counted in Counted::all() {
                if bytes.is_empty() {
                    break;
                }
                let count = bytes.fitting()?;
                counters.counts.entry(key).or_default().add(counted, count);
                counters.total.add(counted, count);
            }
        }
        let mut rows = db.prepare("SELECT body FROM log WHERE position > ? ORDER BY position")?;
        let mut rows = rows.query([counted_to.0 as i64])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(0)?.as_blob().map_err(|error| Fault::damaged(error.to_string()))?;
            log::read(body, |way, ids| counters.shift(&way, ids.len() as i64))?;
        }
        Ok(counters)
    }

    /// So many tasks went this way.
    pub(crate) fn shift(&mut self, way: &Way, by: i64) {
        let key = (way.lane, way.scope);
        let counts = self.counts.entry(key).or_default();
        for counts in [counts, &mut self.total] {
            // What comes is added first: one task may have gone a way from a state to itself several times, and a count
            // does not fall below zero.
            way.to.inspect(|to| counts.add(*to, by));
            way.from.inspect(|from| counts.add(*from, -by));
        }
        self.dirty.insert(key);
    }

    /// How many of a lane and scope are queued.
    pub(crate) fn queued(&self, lane: LaneNo, scope: ScopeNo) -> u64 {
        self.counts.get(&(lane, scope)).map_or(0, |it| it.of(State::Queued))
    }

    pub(crate) fn total(&self) -> &Counts {
        &self.total
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = (LaneNo, ScopeNo, &Counts)> {
        self.counts.iter().map(|((lane, scope), counts)| (*lane, *scope, counts))
    }

    pub(crate) fn counted_to(&self) -> Position {
        self.counted_to
    }

    /// Brings the table up to `position`, the commit under way.
    pub(crate) fn write(&mut self, sql: &mut Sql<'_>, position: Position) -> Result<()> {
        for key in self.dirty.drain() {
            let mut body = Vec::new();
            let counts = self.counts.get(&key).copied().unwrap_or_default();
            Counted::all().for_each(|counted| put(&mut body, counts.of(counted).into()));
            sql.counters_put(key.0.0, key.1.0, &body)?;
        }
        sql.fact_put(COUNTED_TO, position.0 as i64)?;
        self.counted_to = position;
        Ok(())
    }
}
