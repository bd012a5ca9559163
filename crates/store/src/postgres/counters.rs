//! How many tasks stand in each state, by lane and scope: changes that commits append and that are added up when somebody
//! asks. Now and then one server folds them, so that there is little to add up.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use tasklane_core::queue::{Counted, Counts};
use tasklane_core::state::State;
use tokio_postgres::types::Type;

use super::error::Result;
use super::session::{Session, Statement};
use crate::encoding::log::Way;
use crate::encoding::{LaneNo, ScopeNo};

/// As lane and scope of a row it says how many bytes the event log has.
pub(crate) const LOG_BYTES_AT: i32 = 0;

pub(crate) const APPEND: Statement = Statement {
    sql: "INSERT INTO tasklane.counters (lane, scope, counted, n)
          SELECT * FROM unnest($1::int[], $2::int[], $3::smallint[], $4::bigint[])",
    types: &[Type::INT4_ARRAY, Type::INT4_ARRAY, Type::INT2_ARRAY, Type::INT8_ARRAY],
};

const READ: Statement = Statement {
    sql: "SELECT lane, scope, counted, sum(n)::bigint FROM tasklane.counters GROUP BY 1, 2, 3 HAVING sum(n) <> 0",
    types: &[],
};

/// What a running task is counted as.
const RUNNING: u8 = Counted::In(State::Running).code();

/// How many tasks of each of these lanes run.
pub(crate) const RUNNING_IN: Statement = Statement {
    sql: "SELECT lane, sum(n)::bigint FROM tasklane.counters WHERE lane = ANY($1) AND counted = 4 GROUP BY lane",
    types: &[Type::INT4_ARRAY],
};

/// Rows that are not worth folding.
pub(crate) const ROWS: i64 = 1000;

const COUNT: Statement = Statement { sql: "SELECT count(*) FROM tasklane.counters", types: &[] };

/// Whoever folds takes the rows away and puts their sums in their place; rows of commits under way are not seen and stay.
const FOLD: Statement = Statement {
    sql: "WITH held AS MATERIALIZED (SELECT pg_try_advisory_xact_lock('tasklane.counters'::regclass::oid::int, 0) AS mine),
          taken AS (DELETE FROM tasklane.counters WHERE (SELECT mine FROM held) RETURNING lane, scope, counted, n)
          INSERT INTO tasklane.counters (lane, scope, counted, n)
          SELECT lane, scope, counted, sum(n)::bigint FROM taken GROUP BY 1, 2, 3 HAVING sum(n) <> 0",
    types: &[],
};

/// The changes of a commit.
#[derive(Default)]
pub(crate) struct Shifts(HashMap<(LaneNo, ScopeNo, u8), i64, RandomState>);

/// The same as columns.
#[derive(Default)]
pub(crate) struct Rows {
    lanes: Vec<i32>,
    scopes: Vec<i32>,
    counted: Vec<i16>,
    n: Vec<i64>,
}

impl Shifts {
    /// So many tasks went this way.
    pub(crate) fn add(&mut self, (way, by): (Way, i64)) {
        let mut shift = |counted: Option<Counted>, by| {
            if let Some(counted) = counted {
                *self.0.entry((way.lane, way.scope, counted.code())).or_default() += by;
            }
        };
        shift(way.to, by);
        shift(way.from, -by);
    }

    /// How many more of a lane and scope are queued.
    pub(crate) fn queued(&self, lane: LaneNo, scope: ScopeNo) -> i64 {
        self.0.get(&(lane, scope, Counted::In(State::Queued).code())).copied().unwrap_or(0)
    }

    /// How many more tasks of these lanes run.
    pub(crate) fn running_in(&self, lanes: &[LaneNo]) -> i64 {
        let running = self.0.iter().filter(|((lane, _, code), _)| *code == RUNNING && lanes.contains(lane));
        running.map(|(_, n)| n).sum()
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = (Counted, i64)> + '_ {
        self.0.iter().filter_map(|((_, _, code), n)| Some((Counted::from_code(*code)?, *n)))
    }

    /// The rows to append, with that of so many bytes of the event log.
    pub(crate) fn rows(&self, log_bytes: usize) -> Rows {
        let mut rows = Rows::default();
        for ((lane, scope, counted), n) in &self.0 {
            if *n != 0 {
                rows.push(lane.0 as i32, scope.0 as i32, i16::from(*counted), *n);
            }
        }
        rows.push(LOG_BYTES_AT, LOG_BYTES_AT, 0, log_bytes as i64);
        rows
    }
}

impl Rows {
    pub(crate) fn push(&mut self, lane: i32, scope: i32, counted: i16, n: i64) {
        self.lanes.push(lane);
        self.scopes.push(scope);
        self.counted.push(counted);
        self.n.push(n);
    }
}

/// Appends the changes of a commit.
pub(crate) async fn append(session: &Session, rows: &Rows) -> Result<()> {
    session.run(&APPEND, &[&rows.lanes, &rows.scopes, &rows.counted, &rows.n]).await
}

/// Adds up what has been appended, once there are more than `most` rows. Answers how many rows may be there before it is
/// worth while again.
pub(crate) async fn fold(session: &Session, most: i64) -> Result<i64> {
    let rows: i64 = session.row(&COUNT, &[]).await?.try_get(0)?;
    if rows <= most {
        return Ok(most);
    }
    session.run(&FOLD, &[]).await?;
    let left: i64 = session.row(&COUNT, &[]).await?.try_get(0)?;
    Ok(2 * left + ROWS)
}

/// What the counters say.
#[derive(Default)]
pub(crate) struct Sums {
    pub by_lane: HashMap<(LaneNo, ScopeNo), Counts, RandomState>,
    pub log_bytes: u64,
}

impl Sums {
    pub(crate) async fn read(session: &Session) -> Result<Self> {
        let mut sums = Self::default();
        for row in session.rows(&READ, &[]).await? {
            let (lane, scope): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
            let (counted, n): (i16, i64) = (row.try_get(2)?, row.try_get(3)?);
            match u8::try_from(counted).ok().and_then(Counted::from_code) {
                Some(counted) => {
                    let key = (LaneNo(lane as u32), ScopeNo(scope as u32));
                    sums.by_lane.entry(key).or_default().add(counted, n);
                }
                None => sums.log_bytes = n.unsigned_abs(),
            }
        }
        Ok(sums)
    }

    pub(crate) fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.by_lane.values().for_each(|counts| total.add_all(counts));
        total
    }
}
