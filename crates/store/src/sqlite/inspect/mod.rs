//! Reads beside the road.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use rusqlite::Connection;
use tasklane_core::decision::history;
use tasklane_core::ports::store::{LogPage, LogQuery, Standing, StoreStats};
use tasklane_core::queue::Counts;
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, Task, TaskId};
use tasklane_core::time::Timestamp;

use super::error::{Fault, Result};
use super::live::cut_of;
use super::names::{LaneNo, ScopeNo};
use super::notes;
use super::readers::blob;
use super::row::{COLUMNS, Kept};
use super::seqs::unpack;
use super::strands::StrandNo;
use super::takeable::Place;
use super::view::{Overlay, View};
use crate::filter::scope_is_of;

pub(super) mod blocked;
pub(super) mod events;
pub(super) mod gates;
pub(super) mod lanes;
pub(super) mod list;
pub(super) mod queues;

/// The view, for a moment.
pub(super) fn look(view: &RwLock<View>) -> RwLockReadGuard<'_, View> {
    view.read().unwrap_or_else(PoisonError::into_inner)
}

/// A task by its id, with its payload; a hidden one is none.
fn find(db: &Connection, view: &RwLock<View>, id: TaskId) -> Result<Option<Kept>> {
    let mut find = db.prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE id = ?"))?;
    let mut rows = find.query([id.as_bytes()])?;
    let kept = rows.next()?.map(|row| Kept::read_with_payload(row, &look(view).names)).transpose()?;
    Ok(kept.filter(|it| it.task.hidden_at.is_none()))
}

/// What runs of these, as it was before the file was looked at.
pub(super) fn overlays(view: &RwLock<View>, ids: &[TaskId]) -> Vec<Option<Overlay>> {
    let view = look(view);
    ids.iter().map(|id| view.running.get(id).cloned()).collect()
}

/// The tasks with these ids.
pub(super) fn tasks(
    db: &Connection,
    view: &RwLock<View>,
    ids: &[TaskId],
    overlays: &[Option<Overlay>],
    now: Timestamp,
) -> Result<Vec<Option<Task>>> {
    let one = |(id, overlay): (&TaskId, &Option<Overlay>)| {
        let Some(mut kept) = find(db, view, *id)? else { return Ok(None) };
        if let Some(overlay) = overlay {
            overlay.lay_over(&mut kept.task);
        }
        look(view).show(&mut kept, now);
        Ok(Some(kept.task))
    };
    ids.iter().zip(overlays).map(one).collect()
}

fn one(db: &Connection, view: &RwLock<View>, id: TaskId, overlay: Option<&Overlay>) -> Result<Option<Kept>> {
    let Some(mut kept) = find(db, view, id)? else { return Ok(None) };
    if let Some(overlay) = overlay {
        overlay.lay_over(&mut kept.task);
    }
    Ok(Some(kept))
}

/// The attempts of a task.
pub(super) fn attempts(
    db: &Connection,
    view: &RwLock<View>,
    id: TaskId,
    overlay: Option<&Overlay>,
) -> Result<Option<Vec<Attempt>>> {
    let Some(kept) = one(db, view, id, overlay)? else { return Ok(None) };
    let mut find = db.prepare_cached("SELECT body FROM attempts WHERE seq = ? ORDER BY attempt")?;
    let mut rows = find.query([kept.seq])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let attempt = serde_json::from_slice(blob(row, 0)?);
        attempts.push(attempt.map_err(|error| Fault::damaged(format!("an attempt of task {id}: {error}")))?);
    }
    Ok(Some(history(attempts, &kept.task)))
}

/// A page of a task's log.
pub(super) fn logs(db: &Connection, view: &RwLock<View>, id: TaskId, query: LogQuery) -> Result<Option<LogPage>> {
    let kept = find(db, view, id)?;
    kept.map(|kept| notes::page(db, &kept, query)).transpose()
}

/// What stands before a task.
pub(super) fn standing(
    db: &Connection,
    view: &RwLock<View>,
    id: TaskId,
    most: u64,
    overlay: Option<&Overlay>,
    now: Timestamp,
) -> Result<Option<Standing>> {
    let Some(mut kept) = one(db, view, id, overlay)? else { return Ok(None) };
    let is_queued = kept.task.facts.state == State::Queued;
    let (queue, gates, strands) = {
        let view = look(view);
        let gates = if is_queued { view.full_gates(kept.strand, now) } else { Vec::new() };
        (view.names.queue_of(kept.lane).state, gates, view.open_strands(kept.lane, now))
    };
    let mut before = 0;
    for strand in strands.into_iter().filter(|_| is_queued) {
        if before <= most {
            before += ahead(db, &kept, strand, most)?;
        }
    }
    look(view).show(&mut kept, now);
    let standing = Standing::new(kept.task, queue, is_queued.then_some(before), most);
    Ok(Some(Standing { gates, ..standing }))
}

/// How many of a strand stand before it; stops a little past `most`.
fn ahead(db: &Connection, kept: &Kept, strand: StrandNo, most: u64) -> Result<u64> {
    let (place, cut) = (Place::of(kept.seq, &kept.task), cut_of(db, strand)?);
    let mut find = db.prepare_cached(
        "SELECT urgency, rank, first, seqs FROM takeable WHERE lane = ? AND (urgency, rank, first) <= (?, ?, ?)
         ORDER BY urgency, rank, first",
    )?;
    let mut rows = find.query((strand.0, place.urgency, place.rank, place.seq))?;
    let mut ahead = 0;
    while let Some(row) = rows.next()? {
        let (urgency, rank) = (row.get(0)?, row.get(1)?);
        let places = unpack(row.get(2)?, blob(row, 3)?)?;
        let places = places.into_iter().map(|seq| Place { urgency, rank, seq });
        ahead += places.filter(|it| Some(*it) > cut && *it < place).count() as u64;
        if ahead > most {
            break;
        }
    }
    Ok(ahead)
}

/// How many tasks this interface accepted, for this tenant or for all.
pub(super) fn counts(view: &View, origin: &str, tenant: Option<&str>, now: Timestamp) -> Counts {
    let mut counts = Counts::default();
    let blocked = view.blocked(now);
    for (no, (scope, of_scope)) in view.names.scopes.iter().zip(&view.scopes).enumerate() {
        if scope_is_of(scope, origin, tenant) {
            counts.add_all(&blocked.of_scope(ScopeNo(no as u32), of_scope));
        }
    }
    counts
}

/// Sizes and counts.
pub(super) fn stats(view: &View, bytes: u64, wal_bytes: u64, now: Timestamp) -> StoreStats {
    let mut stats = StoreStats { lanes: view.names.lanes.len(), bytes, wal_bytes, ..StoreStats::default() };
    let blocked = view.blocked(now);
    for (no, counts) in view.counts.iter().enumerate() {
        stats.counts.add_all(&blocked.of_lane(LaneNo(no as u32), counts));
    }
    stats.commits = view.commits;
    stats
}
