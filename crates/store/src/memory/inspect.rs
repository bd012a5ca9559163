//! Reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tasklane_core::decision::history;
use tasklane_core::event::Position;
use tasklane_core::limit;
use tasklane_core::ports::store::{EventPage, Standing, StoreStats, TaskFilter, TaskPage};
use tasklane_core::queue::{Counts, LaneCounts, Queue, QueueState};
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, Lane, Task, TaskId};

use super::Model;
use crate::filter::{facts_fit, lane_fits};

impl Model {
    pub(super) fn list(&self, filter: &TaskFilter, below: Option<TaskId>, most: usize) -> TaskPage {
        let mut page = TaskPage::default();
        let rows = self.tasks.iter().rev().filter(|(id, _)| below.is_none_or(|below| **id < below));
        let mut last = None;
        for (examined, (id, kept)) in rows.enumerate() {
            if page.tasks.len() >= most || examined >= limit::READ_ROWS {
                page.next = last;
                break;
            }
            last = Some(*id);
            let facts = &kept.task.facts;
            if lane_fits(filter, &facts.lane, &facts.scope) && facts_fit(filter, facts, kept.task.created_at) {
                page.tasks.push(kept.task.clone());
            }
        }
        page
    }

    pub(super) fn attempts(&self, id: TaskId) -> Option<Vec<Attempt>> {
        self.tasks.get(&id).map(|kept| history(kept.history.clone(), &kept.task))
    }

    pub(super) fn standing(&self, id: TaskId, most: u64) -> Option<Standing> {
        let task = self.tasks.get(&id)?.task.clone();
        let queue = self.queues.get(&task.facts.lane.queue).copied().unwrap_or(QueueState::Active);
        let lane = self.line(|it| it.facts.lane == task.facts.lane);
        let ahead = (task.facts.state == State::Queued).then(|| lane.iter().take_while(|it| **it != id).count() as u64);
        let ahead_is_more = ahead.is_some_and(|it| it > most);
        Some(Standing { queue, ahead: ahead.map(|it| it.min(most)), ahead_is_more, task })
    }

    pub(super) fn queues(&self, name: Option<&str>) -> Vec<Queue> {
        let shown = |queue: &str| name.map_or(!queue.starts_with('~'), |name| name == queue);
        let queues = self.queues.iter().filter(|(queue, _)| shown(queue));
        queues.map(|(name, state)| self.queue(name, *state)).collect()
    }

    pub(super) fn lanes(&self) -> Vec<LaneCounts> {
        let mut lanes: BTreeMap<_, LaneCounts> = BTreeMap::new();
        let tasks = self.tasks.values().map(|kept| &kept.task.facts);
        for facts in tasks.filter(|facts| !facts.lane.queue.starts_with('~')) {
            let lane = &facts.lane;
            let known = lanes.entry((&lane.task_type, &lane.queue)).or_insert_with(|| of_lane(lane));
            known.counts.add(facts.state, 1);
        }
        lanes.into_values().collect()
    }

    fn queue(&self, name: &str, state: QueueState) -> Queue {
        let mut counts = Counts::default();
        let tasks = || self.tasks.values().map(|kept| &kept.task).filter(|task| *task.facts.lane.queue == *name);
        tasks().for_each(|task| counts.add(task.facts.state, 1));
        let line = self.line(|task| *task.facts.lane.queue == *name);
        Queue { name: name.into(), state, counts, oldest_queued_at: self.oldest(name), next: line.first().copied() }
    }

    /// The first of each lane and priority has waited longest there; the oldest of these has waited longest of all.
    fn oldest(&self, queue: &str) -> Option<tasklane_core::time::Timestamp> {
        let mut firsts = BTreeMap::new();
        for id in self.line(|task| *task.facts.lane.queue == *queue) {
            let task = &self.tasks.get(&id)?.task;
            firsts.entry((&task.facts.lane, task.priority)).or_insert(task.queued_at);
        }
        firsts.into_values().flatten().min()
    }

    pub(super) fn events(&self, after: Position, most: usize) -> EventPage {
        let first = self.log.front().map_or(self.position.0 + 1, |(position, ..)| position.0);
        if after.0 + 1 < first || after > self.position {
            return EventPage { next: self.position, reset: true, ..EventPage::default() };
        }
        let mut page = EventPage { next: after, ..EventPage::default() };
        for (position, _, transitions) in self.log.iter().filter(|(position, ..)| *position > after) {
            if page.events.len() >= most {
                break;
            }
            page.events.extend(transitions.iter().cloned());
            page.next = *position;
        }
        page
    }

    pub(super) fn stats(&self) -> StoreStats {
        let mut counts = Counts::default();
        self.tasks.values().for_each(|kept: &super::Kept| counts.add(kept_state(&kept.task), 1));
        StoreStats {
            counts,
            lanes: self.lanes.len(),
            bytes: 0,
            wal_bytes: 0,
            commits: self.commits,
            clock_behind: Duration::ZERO,
        }
    }
}

fn kept_state(task: &Task) -> State {
    task.facts.state
}

fn of_lane(lane: &Arc<Lane>) -> LaneCounts {
    LaneCounts { lane: Arc::clone(lane), counts: Counts::default() }
}
