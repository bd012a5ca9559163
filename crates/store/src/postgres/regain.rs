//! The backstop of slots: none is held but by what runs.

use super::error::Result;
use super::session::{Session, Statement};
use super::strands::GateNo;

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
            UNION ALL SELECT gate, -n FROM tasklane.held),
          wrong AS (SELECT gate, sum(n)::int AS n FROM counted GROUP BY 1 HAVING sum(n) <> 0),
          set AS (INSERT INTO tasklane.returned (stripe, at, gates, n)
            SELECT gate % 16, tasklane.now_micros(), ARRAY[gate], ARRAY[n] FROM wrong)
          SELECT gate, n::bigint FROM wrong",
    types: &[],
};

/// Once a minute whichever server does it: sets right what is held by nobody, or by more than is known. Answers with the
/// gates that were wrong, and how many slots each was out by. There are none but for a fault in this program or by somebody's
/// hand.
pub(crate) async fn regain(session: &Session) -> Result<Vec<(GateNo, i64)>> {
    if session.rows(&TURN, &[]).await?.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session.rows(&REGAIN, &[]).await?;
    rows.iter().map(|row| Ok((GateNo(row.try_get(0)?), row.try_get(1)?))).collect()
}
