//! Who holds slots is who runs. Of the gates of keys it is kept how many do, as changes that commits append and housekeeping
//! folds; of those of queues and types the counters tell it. And what a server remembers of gates that were full.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use tasklane_core::time::Timestamp;
use tokio_postgres::types::Type;

use super::error::Result;
use super::session::{Session, Statement};
use super::strands::GateNo;

pub(crate) const APPEND: Statement = Statement {
    sql: "INSERT INTO tasklane.held (gate, n) SELECT * FROM unnest($1::int[], $2::bigint[])",
    types: &[Type::INT4_ARRAY, Type::INT8_ARRAY],
};

/// How many slots of each of these gates are held, and by how many changes.
pub(crate) const HELD: Statement = Statement {
    sql: "SELECT gate, sum(n)::bigint, count(*) FROM tasklane.held WHERE gate = ANY($1) GROUP BY gate",
    types: &[Type::INT4_ARRAY],
};

const COUNT: Statement = Statement { sql: "SELECT count(*) FROM tasklane.held", types: &[] };

/// Changes of a gate from which on they are worth folding.
pub(crate) const CHANGES: i64 = 8;

/// Adds up the changes of these gates, which are locked: only who has a gate takes changes of it away, as whoever counts it
/// meanwhile would see neither the changes nor their sum.
pub(crate) const FOLD_MINE: Statement = Statement {
    sql: "WITH taken AS (DELETE FROM tasklane.held WHERE gate = ANY($1) RETURNING gate, n)
          INSERT INTO tasklane.held (gate, n) SELECT gate, sum(n)::bigint FROM taken GROUP BY 1 HAVING sum(n) <> 0",
    types: &[Type::INT4_ARRAY],
};

/// The same of gates that nobody has.
const FOLD: Statement = Statement {
    sql: "WITH many AS MATERIALIZED (SELECT gate FROM tasklane.held GROUP BY gate HAVING count(*) > 2 LIMIT 500),
          mine AS MATERIALIZED (
            SELECT no FROM tasklane.gates WHERE no IN (SELECT gate FROM many) FOR UPDATE SKIP LOCKED),
          taken AS (DELETE FROM tasklane.held WHERE gate IN (SELECT no FROM mine) RETURNING gate, n)
          INSERT INTO tasklane.held (gate, n) SELECT gate, sum(n)::bigint FROM taken GROUP BY 1 HAVING sum(n) <> 0",
    types: &[],
};

/// Whoever says it first that a minute has passed.
const TURN: Statement = Statement {
    sql: "UPDATE tasklane.facts SET value = tasklane.now_micros()
          WHERE name = 'slots_counted_at' AND value < tasklane.now_micros() - 59000000 RETURNING value",
    types: &[],
};

/// Sets right what does not agree with the tasks that run, all as of one moment: whatever commits meanwhile adds to both.
/// Every running task has an alarm.
const REGAIN: Statement = Statement {
    sql: "WITH counted AS (
            SELECT g.gate, count(*) AS n FROM (SELECT DISTINCT unnest(tasks) AS id FROM tasklane.alarms) a
              JOIN tasklane.tasks t ON t.id = a.id AND t.state = 4 AND t.lane < 0
              JOIN tasklane.strands s ON s.no = -t.lane CROSS JOIN LATERAL unnest(s.gates) AS g(gate)
              GROUP BY 1
            UNION ALL SELECT gate, -sum(n) FROM tasklane.held GROUP BY 1),
          wrong AS (SELECT gate, sum(n)::bigint AS n FROM counted GROUP BY 1 HAVING sum(n) <> 0)
          INSERT INTO tasklane.held (gate, n) SELECT gate, n FROM wrong RETURNING gate, n",
    types: &[],
};

/// How long a gate is thought full that nobody said has room.
const FULL_FOR: Duration = Duration::from_secs(1);

/// Changes as columns.
#[derive(Default)]
pub(crate) struct Rows {
    gates: Vec<i32>,
    n: Vec<i64>,
}

impl Rows {
    pub(crate) fn of<'h>(held: impl IntoIterator<Item = (&'h GateNo, &'h i64)>) -> Self {
        let changed = held.into_iter().filter(|(_, n)| **n != 0);
        let (gates, n) = changed.map(|(gate, n)| (gate.0, *n)).unzip();
        Self { gates, n }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.gates.is_empty()
    }
}

/// Appends the changes of a commit, if there are any.
pub(crate) async fn append(session: &Session, rows: &Rows) -> Result<()> {
    if rows.is_empty() { Ok(()) } else { session.run(&APPEND, &[&rows.gates, &rows.n]).await }
}

/// Adds up what has been appended, as [`super::counters::fold`] does; leases do so themselves.
pub(crate) async fn fold(session: &Session, most: i64) -> Result<i64> {
    let rows: i64 = session.row(&COUNT, &[]).await?.try_get(0)?;
    if rows <= most {
        return Ok(most);
    }
    session.run(&FOLD, &[]).await?;
    let left: i64 = session.row(&COUNT, &[]).await?.try_get(0)?;
    Ok(2 * left + super::counters::ROWS)
}

/// The backstop, once a minute whichever server does it: sets right what is held by nobody, or by more than is known. Answers with the gates that were wrong, and how
/// many slots each was out by. There are none but for a fault in this program or by somebody's hand.
pub(crate) async fn regain(session: &Session) -> Result<Vec<(GateNo, i64)>> {
    if session.rows(&TURN, &[]).await?.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session.rows(&REGAIN, &[]).await?;
    rows.iter().map(|row| Ok((GateNo(row.try_get(0)?), row.try_get(1)?))).collect()
}

/// Which gates were full when they were last counted. A gate that was told to have room since is not thought full by a count
/// that was made before.
#[derive(Default)]
pub(crate) struct Fullness {
    words: u64,
    forgotten_at: u64,
    gates: HashMap<GateNo, Known, RandomState>,
}

#[derive(Default)]
struct Known {
    opened_at: u64,
    full: Option<Full>,
}

/// A gate was full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Full {
    pub gate: GateNo,
    /// [`Fullness::word`] from before it was counted.
    pub word: u64,
    /// When its rate lets the next task start, if that is what it waits for.
    pub opens_at: Option<Timestamp>,
    until: Duration,
}

impl Full {
    /// As counted `now`, by a clock that does not go back.
    pub(crate) fn counted(gate: GateNo, word: u64, opens_at: Option<Timestamp>, now: Duration) -> Self {
        Self { gate, word, opens_at, until: now + FULL_FOR }
    }
}

impl Fullness {
    /// The last that was heard of any gate.
    pub(crate) fn word(&self) -> u64 {
        self.words
    }

    /// Whether it was full and nothing says that it no longer is.
    pub(crate) fn is_full(&self, gate: GateNo, at: Timestamp, now: Duration) -> bool {
        let full = self.gates.get(&gate).and_then(|it| it.full);
        full.is_some_and(|it| now < it.until && it.opens_at.is_none_or(|opens| at < opens))
    }

    /// It was counted and is full.
    pub(crate) fn fill(&mut self, full: Full) {
        let known = self.gates.entry(full.gate).or_default();
        if full.word >= known.opened_at.max(self.forgotten_at) {
            known.full = Some(full);
        }
    }

    /// It may have room.
    pub(crate) fn open(&mut self, gate: GateNo) {
        self.words += 1;
        *self.gates.entry(gate).or_default() = Known { opened_at: self.words, full: None };
    }

    /// Any gate may have room.
    pub(crate) fn forget(&mut self) {
        self.words += 1;
        self.forgotten_at = self.words;
        self.gates.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: GateNo = GateNo(7);

    fn at(millis: u64) -> (Timestamp, Duration) {
        let since = Duration::from_millis(millis);
        (Timestamp::EPOCH.plus(since), since)
    }

    fn full_at(fullness: &Fullness, millis: u64) -> bool {
        let (at, now) = at(millis);
        fullness.is_full(GATE, at, now)
    }

    #[test]
    fn a_full_gate_is_full_until_it_is_told_to_have_room_or_for_a_while() {
        let mut fullness = Fullness::default();
        assert!(!full_at(&fullness, 0));
        fullness.fill(Full::counted(GATE, fullness.word(), None, at(5).1));
        assert_eq!([5, 1004, 1005].map(|it| full_at(&fullness, it)), [true, true, false]);
        fullness.open(GATE);
        assert!(!full_at(&fullness, 5));
        fullness.fill(Full::counted(GATE, fullness.word(), Some(at(50).0), at(5).1));
        assert_eq!([49, 50].map(|it| full_at(&fullness, it)), [true, false]);
        fullness.forget();
        assert!(!full_at(&fullness, 5));
    }

    #[test]
    fn a_count_from_before_it_got_room_says_nothing() {
        let mut fullness = Fullness::default();
        let before = fullness.word();
        fullness.open(GATE);
        fullness.fill(Full::counted(GATE, before, None, at(0).1));
        assert!(!full_at(&fullness, 0));
        let before = fullness.word();
        fullness.forget();
        fullness.fill(Full::counted(GATE, before, None, at(0).1));
        assert!(!full_at(&fullness, 0));
    }
}
