//! The event log.

use std::sync::RwLock;

use rusqlite::Connection;
use tasklane_core::event::Position;
use tasklane_core::ports::store::EventPage;
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
