//! Queues with their counts. No row is counted; the oldest is found by looking at the first of each lane and priority.

use std::sync::RwLock;

use rusqlite::Connection;
use tasklane_core::queue::{Counts, Queue, is_meant};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::look;
use crate::sqlite::error::Result;
use crate::sqlite::names::{LaneNo, QueueEntry};
use crate::sqlite::readers::blob;
use crate::sqlite::row::{COLUMNS, Kept};
use crate::sqlite::seqs::unpack;
use crate::sqlite::takeable::Place;
use crate::sqlite::view::View;

/// A queue as memory tells it, and its lanes that have anything queued.
pub(crate) struct Known {
    pub queue: Queue,
    pub open: Vec<LaneNo>,
}

/// The queues to show, in the order of their names.
pub(crate) fn known(view: &View, name: Option<&str>) -> Vec<Known> {
    let shown = |queue: &&QueueEntry| is_meant(name, &queue.name);
    let mut known: Vec<Known> = view.names.queues.iter().filter(shown).map(|queue| one(view, queue)).collect();
    known.sort_unstable_by(|a, b| a.queue.name.cmp(&b.queue.name));
    known
}

fn one(view: &View, entry: &QueueEntry) -> Known {
    let mut counts = Counts::default();
    let mut open = Vec::new();
    for lane in &entry.lanes {
        let Some(of_lane) = view.counts.get(lane.0 as usize) else { continue };
        counts.add_all(of_lane);
        open.extend((of_lane.of(State::Queued) > 0).then_some(*lane));
    }
    let queue = Queue { name: entry.name.clone(), state: entry.state, counts, oldest_queued_at: None, next: None };
    Known { queue, open }
}

/// Adds what only the file tells.
pub(crate) fn complete(db: &Connection, view: &RwLock<View>, known: Vec<Known>) -> Result<Vec<Queue>> {
    let complete_one = |Known { mut queue, open }: Known| {
        let mut next: Option<(Place, TaskId)> = None;
        for lane in open {
            for (place, id, queued_at) in firsts(db, view, lane)? {
                let earlier = |at: &Option<Timestamp>| at.is_none_or(|at| queued_at < at);
                if earlier(&queue.oldest_queued_at) {
                    queue.oldest_queued_at = Some(queued_at);
                }
                if next.is_none_or(|(first, _)| place < first) {
                    next = Some((place, id));
                }
            }
        }
        queue.next = next.map(|(_, id)| id);
        Ok(queue)
    };
    known.into_iter().map(complete_one).collect()
}

/// The first of each priority of a lane: its place, its id, and since when it is queued.
fn firsts(db: &Connection, view: &RwLock<View>, lane: LaneNo) -> Result<Vec<(Place, TaskId, Timestamp)>> {
    let mut find = db.prepare_cached(
        "SELECT urgency, rank, first, seqs FROM takeable WHERE lane = ? AND urgency > ?
         ORDER BY urgency, rank, first LIMIT 1",
    )?;
    let mut task = db.prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE seq = ?"))?;
    let mut firsts = Vec::new();
    let mut above = i64::MIN;
    loop {
        let mut rows = find.query((lane.0, above))?;
        let Some(row) = rows.next()? else { return Ok(firsts) };
        let (urgency, rank) = (row.get(0)?, row.get(1)?);
        above = i64::from(urgency);
        let Some(seq) = unpack(row.get(2)?, blob(row, 3)?)?.first().copied() else { continue };
        let mut found = task.query([seq])?;
        let Some(row) = found.next()? else { continue };
        let task = Kept::read(row, &look(view).names)?.task;
        firsts.push((Place { urgency, rank, seq }, task.facts.id, task.queued_at.unwrap_or(task.rank)));
    }
}
