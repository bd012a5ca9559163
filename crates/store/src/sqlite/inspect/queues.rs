//! Queues with their counts. No row is counted; the oldest is found by looking at the first of each lane and priority.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::RwLock;

use rusqlite::{Connection, Rows};
use tasklane_core::queue::{Counts, Queue, is_meant};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::blocked::Blocked;
use super::look;
use crate::sqlite::error::Result;
use crate::sqlite::live::cut_of;
use crate::sqlite::names::{LaneNo, QueueEntry};
use crate::sqlite::readers::blob;
use crate::sqlite::row::{COLUMNS, Kept};
use crate::sqlite::seqs::unpack;
use crate::sqlite::strands::StrandNo;
use crate::sqlite::takeable::Place;
use crate::sqlite::view::View;

/// Strands with keys of a lane that are looked at, those first whose first tasks are.
const STRANDS: usize = 100;

/// A queue as memory tells it, and the strands of its lanes that have anything queued.
pub(crate) struct Known {
    pub queue: Queue,
    open: Vec<Vec<Open>>,
}

/// Strands with keys, as [`View::keyed_by_lane`] gives them.
type Keyed = HashMap<LaneNo, BTreeSet<(Place, StrandNo)>>;

/// A strand, and whether nothing of it may start.
struct Open {
    strand: StrandNo,
    is_closed: bool,
}

/// The queues to show, in the order of their names.
pub(crate) fn known(view: &View, name: Option<&str>, now: Timestamp) -> Vec<Known> {
    let shown = |queue: &&QueueEntry| is_meant(name, &queue.name);
    let blocked = view.blocked(now);
    let (queues, keyed) = (view.names.queues.iter().filter(shown), view.keyed_by_lane());
    let mut known: Vec<Known> = queues.map(|queue| one(view, queue, &blocked, &keyed, now)).collect();
    known.sort_unstable_by(|a, b| a.queue.name.cmp(&b.queue.name));
    known
}

fn one(view: &View, entry: &QueueEntry, blocked: &Blocked, keyed: &Keyed, now: Timestamp) -> Known {
    let mut counts = Counts::default();
    let mut open = Vec::new();
    for lane in &entry.lanes {
        let Some(of_lane) = view.counts.get(lane.0 as usize) else { continue };
        counts.add_all(&blocked.of_lane(*lane, of_lane));
        if of_lane.of(State::Queued) > 0 {
            let keyed = keyed.get(lane).into_iter().flatten().take(STRANDS).map(|(_, strand)| *strand);
            let strands = [StrandNo::plain(*lane)].into_iter().chain(keyed);
            open.push(strands.map(|strand| Open { strand, is_closed: view.is_closed(strand, now) }).collect());
        }
    }
    let queue = Queue { name: entry.name.clone(), state: entry.state, counts, oldest_queued_at: None, next: None };
    Known { queue, open }
}

/// Adds what only the file tells.
pub(crate) fn complete(db: &Connection, view: &RwLock<View>, known: Vec<Known>) -> Result<Vec<Queue>> {
    let complete_one = |Known { mut queue, open }: Known| {
        // Who may start comes before who is blocked; between lanes age counts.
        let mut next: Option<(bool, Place, TaskId)> = None;
        for lane in open {
            let mut first_in_lane: Option<(bool, Place, First)> = None;
            let mut first_of: BTreeMap<i32, (Place, Timestamp)> = BTreeMap::new();
            for Open { strand, is_closed } in lane {
                for (place, found) in firsts(db, view, strand)? {
                    let first = first_of.entry(place.urgency).or_insert((place, found.queued_at));
                    *first = (*first).min((place, found.queued_at));
                    if first_in_lane.is_none_or(|(closed, first, _)| (is_closed, place) < (closed, first)) {
                        first_in_lane = Some((is_closed, place, found));
                    }
                }
            }
            if let Some((is_closed, place, First { id, rank, .. })) = first_in_lane {
                let by_age = (is_closed, Place { rank, ..place }, id);
                next = Some(next.map_or(by_age, |it| it.min(by_age)));
            }
            let oldest = first_of.into_values().map(|(_, queued_at)| queued_at);
            queue.oldest_queued_at = oldest.chain(queue.oldest_queued_at).min();
        }
        queue.next = next.map(|(_, _, id)| id);
        Ok(queue)
    };
    known.into_iter().map(complete_one).collect()
}

/// A task that stands first of its priority.
#[derive(Clone, Copy)]
struct First {
    id: TaskId,
    rank: i64,
    queued_at: Timestamp,
}

/// The first of each priority of a strand, with its place.
fn firsts(db: &Connection, view: &RwLock<View>, strand: StrandNo) -> Result<Vec<(Place, First)>> {
    let mut find = db.prepare_cached(
        "SELECT urgency, rank, first, seqs FROM takeable WHERE lane = ? AND urgency > ?
         ORDER BY urgency, rank, first",
    )?;
    let cut = cut_of(db, strand)?;
    let mut task = db.prepare_cached(&format!("SELECT {COLUMNS} FROM tasks WHERE seq = ?"))?;
    let mut firsts = Vec::new();
    let mut above = i64::MIN;
    loop {
        let mut rows = find.query((strand.0, above))?;
        let Some(place) = first_behind(&mut rows, cut)? else { return Ok(firsts) };
        above = i64::from(place.urgency);
        let mut found = task.query([place.seq])?;
        let Some(row) = found.next()? else { continue };
        let task = Kept::read(row, &look(view).names)?.task;
        let queued_at = task.queued_at.unwrap_or(task.rank);
        let first = First { id: task.facts.id, rank: task.rank.as_micros(), queued_at };
        firsts.push((place, first));
    }
}

/// The first place in these rows that is not cut.
fn first_behind(rows: &mut Rows<'_>, cut: Option<Place>) -> Result<Option<Place>> {
    while let Some(row) = rows.next()? {
        let (urgency, rank) = (row.get(0)?, row.get(1)?);
        let mut places = unpack(row.get(2)?, blob(row, 3)?)?.into_iter().map(|seq| Place { urgency, rank, seq });
        if let Some(first) = places.find(|place| Some(*place) > cut) {
            return Ok(Some(first));
        }
    }
    Ok(None)
}
