//! The event log.

use std::sync::RwLock;

use rusqlite::Connection;
use tasklane_core::event::Position;
use tasklane_core::ports::store::EventPage;
use tasklane_core::quarantine::is_crash_loop;
use tasklane_core::time::Timestamp;

use super::look;
use crate::encoding::log;
use crate::sqlite::error::Result;
use crate::sqlite::readers::blob;
use crate::sqlite::view::View;

/// Events after `after`, whole commits until there are `most`.
pub(crate) fn events(db: &Connection, view: &RwLock<View>, after: Position, most: usize) -> Result<EventPage> {
    let ends = "SELECT (SELECT min(position) FROM log), (SELECT max(position) FROM log)";
    let (first, last): (Option<i64>, Option<i64>) = db.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (first, last) = (first.unwrap_or(1) as u64, last.unwrap_or(0) as u64);
    if after.0 + 1 < first || after.0 > last {
        return Ok(EventPage::anew(Position(last)));
    }
    let mut page = EventPage { next: after, ..EventPage::default() };
    let mut find = db.prepare_cached("SELECT position, at, body FROM log WHERE position > ? ORDER BY position")?;
    let mut rows = find.query([after.0 as i64])?;
    while let Some(row) = rows.next()?.filter(|_| page.events.len() < most) {
        let before = page.events.len();
        let at = Timestamp::from_micros(row.get(1)?);
        log::events(blob(row, 2)?, at, &look(view).names, &mut page.events)?;
        page.next = Position(row.get::<_, i64>(0)? as u64);
        page.commits.push((page.next, page.events.len() - before));
    }
    Ok(page)
}

/// The events after a position and from a moment on by which a row of crashes quarantined a task.
pub(crate) fn crash_loops(
    db: &Connection,
    view: &RwLock<View>,
    (after, since): (Position, Timestamp),
    most: usize,
) -> Result<EventPage> {
    let last: i64 = db.query_row("SELECT coalesce(max(position), 0) FROM log", [], |row| row.get(0))?;
    let from = first_at(db, after.0 as i64, last, since)?;
    let mut page = EventPage { next: after.max(Position(last as u64)), ..EventPage::default() };
    let mut find = db.prepare_cached(
        "SELECT position, at, body FROM log
         WHERE position > ? AND position <= ? AND at >= ? AND instr(body, ?) > 0 ORDER BY position",
    )?;
    let mut rows = find.query((from, last, since.as_micros(), log::crash_loop()))?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        log::events(blob(row, 2)?, Timestamp::from_micros(row.get(1)?), &look(view).names, &mut events)?;
        let position = Position(row.get::<_, i64>(0)? as u64);
        let before = page.events.len();
        page.events.extend(events.drain(..).filter(is_crash_loop));
        if page.events.len() > before {
            page.commits.push((position, page.events.len() - before));
        }
        if page.events.len() >= most {
            page.next = position;
            break;
        }
    }
    Ok(page)
}

/// A position behind `after` and at most `last`, before the first commit at or after `since`: found by halving.
fn first_at(db: &Connection, mut after: i64, last: i64, since: Timestamp) -> Result<i64> {
    let mut end = last;
    let mut at = db.prepare_cached("SELECT position, at FROM log WHERE position > ? ORDER BY position LIMIT 1")?;
    while after < end {
        let middle = after + (end - after) / 2;
        let (position, moment): (i64, i64) = at.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if moment < since.as_micros() {
            after = position;
        } else {
            end = middle;
        }
    }
    Ok(after)
}
