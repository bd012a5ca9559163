//! The event log. Whoever reads stops below the oldest transaction that is still open: one that is to come has a greater
//! number than any that is read, so nothing is skipped.

use tasklane_core::event::Position;
use tasklane_core::ports::store::EventPage;
use tasklane_core::quarantine::is_crash_loop;
use tasklane_core::time::Timestamp;
use tokio_postgres::types::Type;

use super::Reader;
use crate::encoding::log;
use crate::postgres::error::{Fault, Result};
use crate::postgres::session::{Session, Statement};

/// The floor, the last event that can be read (the floor, where there is none), and the first number that is not given yet.
const ENDS: Statement = Statement {
    sql: "SELECT (SELECT value FROM tasklane.facts WHERE name = 'log_floor'),
            coalesce((SELECT max(position) FROM tasklane.events
              WHERE position < $1 + pg_snapshot_xmin(pg_current_snapshot())::text::bigint),
              (SELECT value FROM tasklane.facts WHERE name = 'log_floor')),
            $1 + pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
    types: &[Type::INT8],
};

/// With the floor as it is then, in a first row where there is no event: what was cut off meanwhile is not passed over.
const READ: Statement = Statement {
    sql: "SELECT f.value, e.position, e.at, e.body FROM tasklane.facts f LEFT JOIN LATERAL (
            SELECT position, at, body FROM tasklane.events
            WHERE position > $1 AND position < $2 + pg_snapshot_xmin(pg_current_snapshot())::text::bigint
            ORDER BY position LIMIT $3) e ON true
          WHERE f.name = 'log_floor' ORDER BY e.position",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

/// As [`READ`], of the bodies that hold what the fourth value says.
const READ_WITH: Statement = Statement {
    sql: "SELECT e.position, e.at, e.body FROM tasklane.events e
          WHERE e.position > $1 AND e.position <= $2 AND e.at >= $3 AND position($4 IN e.body) > 0
          ORDER BY e.position LIMIT $5",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::BYTEA, Type::INT8],
};

/// Commits read at a time.
const COMMITS: i64 = 200;

impl Reader {
    /// Events after `after`, whole commits until there are `most`.
    pub(crate) async fn events(&self, session: &Session, after: Position, most: usize) -> Result<EventPage> {
        let base = self.shared.base;
        let row = session.row(&ENDS, &[&base]).await?;
        let (floor, last, next): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (after, given) = (after.0 as i64, after);
        if after < floor || after >= next {
            return Ok(EventPage::anew(Position(last as u64)));
        }
        let mut page = EventPage { next: given, ..EventPage::default() };
        let mut names = self.shared.book.look();
        loop {
            let from = page.next.0 as i64;
            let rows = session.rows(&READ, &[&from, &base, &COMMITS]).await?;
            let floor: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
            if from < floor {
                // What was read so far stands; the next page says that something is missing.
                let anew = EventPage::anew(Position(last.max(floor) as u64));
                return Ok(if page.commits.is_empty() { anew } else { page });
            }
            for row in &rows {
                let Some(position) = row.try_get::<_, Option<i64>>(1)? else { return Ok(page) };
                if page.events.len() >= most {
                    return Ok(page);
                }
                let at = Timestamp::from_micros(row.try_get(2)?);
                let body: &[u8] = row.try_get(3)?;
                let mut events = Vec::new();
                if log::events(body, at, &*names, &mut events).is_err() {
                    names = self.shared.book.read_on(session).await?;
                    events.clear();
                    log::events(body, at, &*names, &mut events).map_err(Fault::from)?;
                }
                page.next = Position(position as u64);
                page.commits.push((page.next, events.len()));
                page.events.append(&mut events);
            }
            if (rows.len() as i64) < COMMITS {
                return Ok(page);
            }
        }
    }

    /// The events after a position and from a moment on by which a row of crashes quarantined a task.
    pub(crate) async fn crash_loops(
        &self,
        session: &Session,
        (after, since): (Position, Timestamp),
        most: usize,
    ) -> Result<EventPage> {
        let last: i64 = session.row(&ENDS, &[&self.shared.base]).await?.try_get(1)?;
        let last = Position(last as u64);
        let mut page = EventPage { next: after, ..EventPage::default() };
        let (mark, since) = (&log::crash_loop()[..], since.as_micros());
        let mut names = self.shared.book.look();
        loop {
            let (from, to) = (page.next.0 as i64, last.0 as i64);
            let rows = session.rows(&READ_WITH, &[&from, &to, &since, &mark, &COMMITS]).await?;
            for row in &rows {
                let at = Timestamp::from_micros(row.try_get(1)?);
                let body: &[u8] = row.try_get(2)?;
                let mut events = Vec::new();
                if log::events(body, at, &*names, &mut events).is_err() {
                    names = self.shared.book.read_on(session).await?;
                    events.clear();
                    log::events(body, at, &*names, &mut events).map_err(Fault::from)?;
                }
                page.next = Position(row.try_get::<_, i64>(0)? as u64);
                events.retain(is_crash_loop);
                if !events.is_empty() {
                    page.commits.push((page.next, events.len()));
                    page.events.append(&mut events);
                }
                if page.events.len() >= most {
                    return Ok(page);
                }
            }
            if (rows.len() as i64) < COMMITS {
                page.next = page.next.max(last);
                return Ok(page);
            }
        }
    }
}
