//! Queues and lanes with their counts. No row is counted; the oldest is found by looking at the first of each lane and
//! priority.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tasklane_core::queue::{LaneCounts, Queue, QueueState, is_of_system};
use tasklane_core::state::State;
use tasklane_core::task::{Lane, TaskId};
use tasklane_core::time::Timestamp;
use tokio_postgres::types::Type;

use super::Reader;
use crate::encoding::{LaneNo, Numbered};
use crate::postgres::error::{Fault, Result};
use crate::postgres::session::{Session, Statement};

const QUEUES: Statement = Statement {
    sql: "SELECT name, state FROM tasklane.queues WHERE CASE WHEN $1::text IS NULL THEN name NOT LIKE '~%' ELSE name = $1 END
          ORDER BY name COLLATE \"C\"",
    types: &[Type::TEXT],
};

/// The first of each urgency of these lanes, found by jumping from one to the next.
const FIRSTS: Statement = Statement {
    sql: "WITH RECURSIVE firsts AS (
            SELECT l.no, f.* FROM unnest($1::int[]) AS l(no) CROSS JOIN LATERAL (
              SELECT id, urgency, place, queued, rank FROM tasklane.tasks WHERE lane = l.no AND place IS NOT NULL
              ORDER BY urgency, place, id LIMIT 1) f
            UNION ALL
            SELECT p.no, f.* FROM firsts p CROSS JOIN LATERAL (
              SELECT id, urgency, place, queued, rank FROM tasklane.tasks WHERE lane = p.no AND place IS NOT NULL AND urgency > p.urgency
              ORDER BY urgency, place, id LIMIT 1) f)
          SELECT no, id, urgency, place, queued, rank FROM firsts ORDER BY urgency, place, id",
    types: &[Type::INT4_ARRAY],
};

/// What stands first in a lane, in the order in which that counts between lanes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct First {
    is_closed: bool,
    /// Urgency and rank.
    age: (i16, i64),
    id: TaskId,
}

impl Reader {
    /// The queues to show, in the order of their names.
    pub(crate) async fn queues(&self, session: &Session, name: Option<&str>) -> Result<Vec<Queue>> {
        let mut queues = BTreeMap::new();
        for row in session.rows(&QUEUES, &[&name]).await? {
            let (name, code): (&str, i16) = (row.try_get(0)?, row.try_get(1)?);
            let state = u8::try_from(code).ok().and_then(QueueState::from_code);
            let state = state.ok_or_else(|| Fault::damaged("a queue in no known state"))?;
            let (name, counts) = (Box::<str>::from(name), tasklane_core::queue::Counts::default());
            queues.insert(name.clone(), Queue { name, state, counts, oldest_queued_at: None, next: None });
        }
        let (sums, names) = self.sums(session).await?;
        let mut open = Vec::new();
        for ((lane, _), counts) in &sums.by_lane {
            let Ok(known) = names.lane_of(*lane) else { continue };
            if let Some(queue) = queues.get_mut(&known.queue) {
                queue.counts.add_all(counts);
                let waits = counts.of(State::Queued) + counts.of(State::Blocked) > 0;
                open.extend(waits.then(|| names.strands.strands_of(*lane)).into_iter().flatten());
            }
        }
        open.sort_unstable();
        open.dedup();
        let view = self.see_for(session, &names, open.iter().copied()).await?;
        let (numbers, mut firsts): (Vec<i32>, _) = (open.iter().map(|it| it.0 as i32).collect(), HashSet::new());
        // Of each lane the first that is not blocked, or the first.
        let mut next: BTreeMap<&Lane, First> = BTreeMap::new();
        for row in session.rows(&FIRSTS, &[&numbers]).await? {
            let strand = LaneNo(row.try_get::<_, i32>(0)? as u32);
            let Ok(lane) = names.lane_of(strand) else { continue };
            let Some(queue) = queues.get_mut(&lane.queue) else { continue };
            let first = First {
                is_closed: view.is_closed(&names, strand),
                age: (row.try_get(2)?, row.try_get(5)?),
                id: TaskId(row.try_get(1)?),
            };
            // They come in the order of their places.
            let known = next.entry(lane).or_insert(first);
            if known.is_closed && !first.is_closed {
                *known = first;
            }
            // The first of each urgency of a lane, whichever strand it stands in.
            if firsts.insert((Arc::clone(lane), row.try_get::<_, i16>(2)?)) {
                let since: Option<i64> = row.try_get(4)?;
                let since = Timestamp::from_micros(since.map_or_else(|| row.try_get(3), Ok)?);
                queue.oldest_queued_at = queue.oldest_queued_at.map_or(Some(since), |oldest| Some(oldest.min(since)));
            }
        }
        // Between lanes age counts.
        let mut oldest: BTreeMap<&str, First> = BTreeMap::new();
        for (lane, first) in next {
            oldest.entry(&lane.queue).and_modify(|it| *it = first.min(*it)).or_insert(first);
        }
        for (name, first) in oldest {
            queues.entry(name.into()).and_modify(|queue| queue.next = Some(first.id));
        }
        Ok(queues.into_values().collect())
    }

    /// The lanes that have tasks, but for those of system queues, in the order of types, then queues.
    pub(crate) async fn lanes(&self, session: &Session) -> Result<Vec<LaneCounts>> {
        let (sums, names) = self.sums(session).await?;
        let mut lanes: BTreeMap<(Box<str>, Box<str>), LaneCounts> = BTreeMap::new();
        for ((lane, _), counts) in &sums.by_lane {
            let Ok(lane) = names.lane_of(*lane) else { continue };
            if is_of_system(&lane.queue) {
                continue;
            }
            let key = (lane.task_type.clone(), lane.queue.clone());
            let new = || LaneCounts { lane: Arc::clone(lane), counts: tasklane_core::queue::Counts::default() };
            lanes.entry(key).or_insert_with(new).counts.add_all(counts);
        }
        Ok(lanes.into_values().collect())
    }
}
