//! Pages of tasks, newest first.

use std::collections::HashSet;
use std::sync::RwLock;

use rusqlite::Connection;
use tasklane_core::limit;
use tasklane_core::ports::store::{TaskFilter, TaskPage};
use tasklane_core::task::TaskId;

use super::look;
use crate::filter::{facts_fit, lane_fits};
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
) -> Result<TaskPage> {
    let mut find = db.prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE id < ? ORDER BY id DESC LIMIT ?"))?;
    // A greatest id of all bits would be left out, but no UUIDv7 is that.
    let below = below.map_or([0xff; 16], |below| *below.as_bytes());
    let mut rows = find.query((below, limit::READ_ROWS as i64 + 1))?;
    let mut page = TaskPage::default();
    let (mut last, mut examined) = (None, 0);
    let mut fitting = Fitting::default();
    while let Some(row) = rows.next()? {
        if page.tasks.len() >= most || examined >= limit::READ_ROWS {
            page.next = last;
            break;
        }
        examined += 1;
        let id = id(row, 1)?;
        last = Some(id);
        let head = Head::decode(blob(row, 2)?)?;
        let view = look(view);
        if !fitting.fits(&view, filter, head.lane, head.scope)? {
            continue;
        }
        let mut kept = Kept::read(row, &view.names)?;
        if let Some(overlay) = running.get(&id) {
            overlay.lay_over(&mut kept.task);
        }
        if facts_fit(filter, &kept.task.facts, kept.task.created_at) {
            kept.take_payload(row)?;
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
