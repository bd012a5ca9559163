//! Reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tasklane_core::decision::history;
use tasklane_core::event::Position;
use tasklane_core::limit;
use tasklane_core::ports::store::{CancelAsked, EventPage, Standing, StoreStats, TaskFilter, TaskPage};
use tasklane_core::quarantine::is_crash_loop;
use tasklane_core::queue::{self, Counted, Counts, LaneCounts, Queue, QueueState};
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, Lane, Task, TaskId};
use tasklane_core::time::Timestamp;

use super::gate::Slots;
use super::lease::age;
use super::{Kept, Model};
use crate::filter::{lane_fits, scope_is_of, task_fits};

impl Model {
    /// A task that is not hidden.
    pub(super) fn shown(&self, id: TaskId) -> Option<&Kept> {
        self.tasks.get(&id).filter(|kept| kept.task.hidden_at.is_none())
    }

    /// These tasks, as they are shown.
    pub(super) fn read(&self, ids: &[TaskId]) -> Vec<Option<Task>> {
        let slots = Slots::of(self);
        ids.iter().map(|id| self.shown(*id).map(|kept| slots.show(self, &kept.task))).collect()
    }

    /// How many tasks of those that are meant are shown in which state.
    fn count(&self, is_meant: impl Fn(&Task) -> bool) -> Counts {
        let (mut counts, slots) = (Counts::default(), Slots::of(self));
        for task in self.tasks.values().map(|kept| &kept.task).filter(|task| is_meant(task)) {
            counts.add(self.counted(task, &slots), 1);
        }
        counts
    }

    fn counted(&self, task: &Task, slots: &Slots) -> Counted {
        match task.counted() {
            Counted::In(_) => Counted::In(slots.state_of(self, &task.facts)),
            deleted @ Counted::Deleted(_) => deleted,
        }
    }

    pub(super) fn counts(&self, origin: &str, tenant: Option<&str>) -> Counts {
        self.count(|task| scope_is_of(&task.facts.scope, origin, tenant))
    }

    pub(super) fn list(&self, filter: &TaskFilter, below: Option<TaskId>, most: usize) -> TaskPage {
        let mut page = TaskPage::default();
        // A dialect's tasks have an index of their own: no others are examined.
        let origin = filter.origin.as_deref().filter(|it| !it.is_empty());
        let rows = self.tasks.iter().rev().filter(|(id, kept)| {
            below.is_none_or(|below| **id < below) && origin.is_none_or(|it| *kept.task.facts.scope.origin == *it)
        });
        let (mut last, mut bytes, slots) = (None, 0, Slots::of(self));
        for (examined, (id, kept)) in rows.enumerate() {
            if page.tasks.len() >= most || examined >= limit::READ_ROWS || bytes >= limit::LIST_BYTES {
                page.next = last;
                break;
            }
            last = Some(*id);
            let facts = &kept.task.facts;
            if !lane_fits(filter, &facts.lane, &facts.scope) {
                continue;
            }
            let task = slots.show(self, &kept.task);
            if task_fits(filter, &task) {
                bytes += task.bytes();
                page.tasks.push(task);
            }
        }
        page
    }

    pub(super) fn ended(&self, mut ids: Vec<TaskId>) -> Vec<TaskId> {
        ids.retain(|id| self.tasks.get(id).is_none_or(|kept| kept.task.facts.state.is_final()));
        ids
    }

    pub(super) fn cancels(&self) -> Vec<CancelAsked> {
        let running = self.tasks.values().map(|kept| &kept.task).filter(|it| it.facts.state == State::Running);
        let asked = running.filter(|it| it.facts.cancel_requested).map(|task| {
            let worker = task.worker.clone().unwrap_or_default();
            CancelAsked { id: task.facts.id, attempt: task.facts.attempt, worker }
        });
        asked.take(limit::READ_ROWS).collect()
    }

    pub(super) fn attempts(&self, id: TaskId) -> Option<Vec<Attempt>> {
        self.shown(id).map(|kept| history(kept.history.clone(), &kept.task))
    }

    pub(super) fn standing(&self, id: TaskId, most: u64) -> Option<Standing> {
        let (task, slots) = (&self.shown(id)?.task, Slots::of(self));
        let queue = self.queues.get(&task.facts.lane.queue).copied().unwrap_or(QueueState::Active);
        let lane = self.line(&task.facts.lane);
        let before = lane.into_iter().take_while(|it| *it != id);
        let ahead = (task.facts.state == State::Queued).then(|| before.filter(|it| self.waits(*it, &slots)).count());
        let standing = Standing::new(slots.show(self, task), queue, ahead.map(|it| it as u64), most);
        Some(Standing { gates: self.full_gates(task), ..standing })
    }

    /// Whether a task is queued and no gate blocks it.
    fn waits(&self, id: TaskId, slots: &Slots) -> bool {
        self.tasks.get(&id).is_some_and(|kept| slots.state_of(self, &kept.task.facts) == State::Queued)
    }

    pub(super) fn queues(&self, name: Option<&str>) -> Vec<Queue> {
        let shown = |queue: &str| queue::is_meant(name, queue);
        let queues = self.queues.iter().filter(|(queue, _)| shown(queue));
        queues.map(|(name, state)| self.queue(name, *state)).collect()
    }

    pub(super) fn lanes(&self) -> Vec<LaneCounts> {
        let mut lanes: BTreeMap<_, LaneCounts> = BTreeMap::new();
        let (tasks, slots) = (self.tasks.values().map(|kept| &kept.task), Slots::of(self));
        for task in tasks.filter(|task| !queue::is_of_system(&task.facts.lane.queue)) {
            let lane = &task.facts.lane;
            let known = lanes.entry((&lane.task_type, &lane.queue)).or_insert_with(|| of_lane(lane));
            known.counts.add(self.counted(task, &slots), 1);
        }
        lanes.into_values().collect()
    }

    fn queue(&self, name: &str, state: QueueState) -> Queue {
        let is_of = |task: &Task| *task.facts.lane.queue == *name;
        let (counts, next) = (self.count(is_of), self.next(name));
        Queue { name: name.into(), state, counts, oldest_queued_at: self.oldest(name), next }
    }

    /// Of what stands first in each lane, but for who is blocked, the oldest; where all are blocked, of these.
    fn next(&self, queue: &str) -> Option<TaskId> {
        let slots = Slots::of(self);
        let lanes = self.lanes.iter().filter(|lane| *lane.queue == *queue);
        let firsts = lanes.filter_map(|lane| {
            let line = self.line(lane);
            let first = line.iter().find(|id| self.waits(**id, &slots)).or(line.first())?;
            let kept = self.tasks.get(first)?;
            Some((!self.waits(*first, &slots), age(kept), *first))
        });
        firsts.min().map(|(_, _, id)| id)
    }

    /// Since when the first of each lane and priority is queued; the oldest of these.
    fn oldest(&self, queue: &str) -> Option<Timestamp> {
        let mut firsts = BTreeMap::new();
        for id in self.lines(|lane| *lane.queue == *queue).into_values().flatten() {
            let task = &self.tasks.get(&id)?.task;
            firsts.entry((&task.facts.lane, task.priority)).or_insert(task.queued_at);
        }
        firsts.into_values().flatten().min()
    }

    pub(super) fn events(&self, after: Position, most: usize) -> EventPage {
        let first = self.log.front().map_or(self.position.0 + 1, |(position, ..)| position.0);
        if after.0 + 1 < first || after > self.position {
            return EventPage::anew(self.position);
        }
        let mut page = EventPage { next: after, ..EventPage::default() };
        for (position, _, transitions) in self.log.iter().filter(|(position, ..)| *position > after) {
            if page.events.len() >= most {
                break;
            }
            page.events.extend(transitions.iter().cloned());
            page.commits.push((*position, transitions.len()));
            page.next = *position;
        }
        page
    }

    pub(super) fn crash_loops(&self, after: Position, since: Timestamp, most: usize) -> EventPage {
        let mut page = EventPage { next: self.position.max(after), ..EventPage::default() };
        for (position, at, transitions) in self.log.iter().filter(|(position, ..)| *position > after) {
            let found = transitions.iter().filter(|it| *at >= since && is_crash_loop(it));
            let found: Vec<_> = found.cloned().collect();
            if found.is_empty() {
                continue;
            }
            page.commits.push((*position, found.len()));
            page.events.extend(found);
            if page.events.len() >= most {
                page.next = *position;
                break;
            }
        }
        page
    }

    pub(super) fn stats(&self) -> StoreStats {
        StoreStats {
            counts: self.count(|_| true),
            lanes: self.lanes.len(),
            bytes: 0,
            wal_bytes: 0,
            commits: self.commits,
            slots_regained: 0,
            clock_behind: Duration::ZERO,
        }
    }
}

fn of_lane(lane: &Arc<Lane>) -> LaneCounts {
    LaneCounts { lane: Arc::clone(lane), counts: Counts::default() }
}
