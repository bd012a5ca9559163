//! Pages of tasks, newest first.

use std::collections::HashSet;
use std::sync::RwLock;

use rusqlite::Connection;
use tasklane_core::limit;
use tasklane_core::ports::store::{TaskFilter, TaskPage};
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::look;
use crate::filter::{lane_fits, task_fits};
use crate::sqlite::error::Result;
use crate::sqlite::names::{LaneNo, ScopeNo};
use crate::sqlite::readers::blob;
use crate::sqlite::row::{COLUMNS, Head, Kept, id};
use crate::sqlite::view::{Overlay, View};
use foldhash::fast::RandomState as ById;

/// What runs, as it was before the file was looked at.
pub(crate) type Running = std::collections::HashMap<TaskId, Overlay, ById>;

/// A page.
pub(crate) fn list(
    db: &Connection,
    view: &RwLock<View>,
    running: &Running,
    filter: &TaskFilter,
    below: Option<TaskId>,
    most: usize,
    now: Timestamp,
) -> Result<TaskPage> {
    // Tasks of a dialect have an index of their own; those of `/v1` are most of all.
    let origin = filter.origin.as_deref().filter(|it| !it.is_empty());
    let of_origin = origin.map_or("", |_| "origin = ?3 AND");
    let sql = format!("SELECT {COLUMNS} FROM tasks WHERE {of_origin} id < ?1 ORDER BY id DESC LIMIT ?2");
    let mut find = db.prepare_cached(&sql)?;
    // A greatest id of all bits would be left out, but no UUIDv7 is that.
    let below = below.map_or([0xff; 16], |below| *below.as_bytes());
    let rows = limit::READ_ROWS as i64 + 1;
    let mut rows = match origin {
        Some(origin) => find.query((below, rows, origin))?,
        None => find.query((below, rows))?,
    };
    let mut page = TaskPage::default();
    let (mut last, mut examined, mut bytes) = (None, 0, 0);
    let mut fitting = Fitting::default();
    while let Some(row) = rows.next()? {
        if page.tasks.len() >= most || examined >= limit::READ_ROWS || bytes >= limit::LIST_BYTES {
            page.next = last;
            break;
        }
        examined += 1;
        let id = id(row, 1)?;
        last = Some(id);
        let head = Head::decode(blob(row, 2)?)?;
        let view = look(view);
        if !fitting.fits(&view, filter, view.names.lane_of_strand(head.strand)?, head.scope)? {
            continue;
        }
        let mut kept = Kept::read(row, &view.names)?;
        if let Some(overlay) = running.get(&id) {
            overlay.lay_over(&mut kept.task);
        }
        view.show(&mut kept, now);
        if task_fits(filter, &kept.task) {
            kept.take_payload(row)?;
            bytes += kept.task.bytes();
            page.tasks.push(kept.task);
        }
    }
    Ok(page)
}

/// Remembers which lanes and scopes fit.
#[derive(Default)]
struct Fitting {
    fit: HashSet<(LaneNo, ScopeNo)>,
    unfit: HashSet<(LaneNo, ScopeNo)>,
}

impl Fitting {
    fn fits(&mut self, view: &View, filter: &TaskFilter, lane: LaneNo, scope: ScopeNo) -> Result<bool> {
        let key = (lane, scope);
        if self.fit.contains(&key) || self.unfit.contains(&key) {
            return Ok(self.fit.contains(&key));
        }
        let fits = lane_fits(filter, view.names.lane(lane)?, view.names.scope(scope)?);
        if fits { &mut self.fit } else { &mut self.unfit }.insert(key);
        Ok(fits)
    }
}
