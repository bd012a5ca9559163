//! The third station: who wants work gets what stands first in the lanes it serves.

use std::cmp::Reverse;

use tasklane_core::lease::{LeaseRequest, Leased};
use tasklane_core::limit;
use tasklane_core::promote;
use tasklane_core::queue::QueueState;
use tasklane_core::rescue::Host;
use tasklane_core::sabotage::{self, Sabotage};
use tasklane_core::state::State;
use tasklane_core::task::{Task, TaskId};
use tasklane_core::time::Timestamp;

use super::gate::Slots;
use super::{Kept, Model, Tx};

impl Model {
    /// Queued tasks that `wanted` lets through, in the order they would be leased in.
    pub(super) fn line(&self, wanted: impl Fn(&Task) -> bool) -> Vec<TaskId> {
        let queued = self.tasks.values().filter(|kept| kept.task.facts.state == State::Queued && wanted(&kept.task));
        let mut line: Vec<_> = queued.map(|kept| (place(kept), kept.task.facts.id)).collect();
        line.sort_unstable();
        line.into_iter().map(|(_, id)| id).collect()
    }
}

/// Where a queued task stands: by priority, then rank, then the order of acceptance, which is the order of ids where
/// the server draws them.
pub(super) fn place(kept: &Kept) -> (Reverse<i32>, Timestamp, u64) {
    (Reverse(kept.task.priority), kept.task.rank, kept.seq)
}

impl Tx<'_> {
    pub(super) fn lease(&mut self, request: &LeaseRequest) -> Vec<Leased> {
        let model = &self.model;
        let line = model.line(|task| {
            let lane = &task.facts.lane;
            model.queues.get(&lane.queue) != Some(&QueueState::Paused) && request.serves(lane)
        });
        let (mut leased, mut bytes, mut slots) = (Vec::new(), 0, Slots::of(model));
        for id in line {
            if leased.len() == request.limit || bytes >= limit::LEASE_BYTES {
                break;
            }
            // Whoever is behind a full gate is not looked at, not even for a deadline.
            if !self.may_pass(id, &slots) {
                continue;
            }
            let started = self.start(id, request, leased.len());
            if let Some(started) = &started {
                slots.take(&started.facts);
                self.pass_gates(&started.facts);
            }
            bytes += started.as_ref().map_or(0, Leased::bytes);
            leased.extend(started);
        }
        leased
    }

    /// Whether all gates of a task have room.
    fn may_pass(&self, id: TaskId, slots: &Slots) -> bool {
        let facts = self.model.tasks.get(&id).map(|kept| &kept.task.facts);
        facts.is_some_and(|it| slots.is_open(self.model, it, self.now)) || sabotage::is(Sabotage::UncountedGate)
    }

    /// Starts an attempt, unless a deadline of the task has passed.
    fn start(&mut self, id: TaskId, request: &LeaseRequest, index: usize) -> Option<Leased> {
        let now = self.now;
        let kept = self.model.tasks.get_mut(&id)?;
        let task = &mut kept.task;
        if let Some(decision) = promote::decide(task, now) {
            self.apply(id, decision);
            return None;
        }
        kept.settled = None;
        (kept.home, kept.host) = (request.home, Host::Up);
        task.start(Some(&request.worker), request.lease(index, now), now);
        let waited = task.waited(now);
        self.answers.transitions.push(task.transition(Some(State::Queued), now));
        let checkpoints = kept.checkpoints.values().cloned().collect();
        Some(Leased { facts: task.facts.clone(), payload: task.payload.clone(), waited, checkpoints })
    }
}
