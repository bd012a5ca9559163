//! The third station: who wants work gets what stands first in the lanes it serves.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_core::lease::{LeaseRequest, Leased};
use tasklane_core::limit;
use tasklane_core::promote;
use tasklane_core::queue::QueueState;
use tasklane_core::rescue::Host;
use tasklane_core::sabotage::{self, Sabotage};
use tasklane_core::state::State;
use tasklane_core::task::{Facts, Lane, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::outbox::Moved;

use super::gate::Slots;
use super::{Kept, Model, Tx};

impl Model {
    /// What is queued in each lane that `wanted` lets through, in its order.
    pub(super) fn lines(&self, wanted: impl Fn(&Lane) -> bool) -> BTreeMap<Arc<Lane>, Vec<TaskId>> {
        let is_queued = |facts: &Facts| facts.state == State::Queued && wanted(&facts.lane);
        let mut queued: Vec<_> = self.tasks.values().filter(|kept| is_queued(&kept.task.facts)).collect();
        queued.sort_unstable_by_key(|kept| place(kept));
        let mut lines: BTreeMap<Arc<Lane>, Vec<TaskId>> = BTreeMap::new();
        for facts in queued.into_iter().map(|kept| &kept.task.facts) {
            lines.entry(Arc::clone(&facts.lane)).or_default().push(facts.id);
        }
        lines
    }

    /// What is queued in a lane, in its order.
    pub(super) fn line(&self, lane: &Lane) -> Vec<TaskId> {
        self.lines(|it| it == lane).into_values().flatten().collect()
    }
}

/// Where a queued task stands in its lane: by priority, then its place, then the order of acceptance, which is the order of
/// ids where the server draws them.
pub(super) fn place(kept: &Kept) -> (Reverse<i32>, i64, u64) {
    (Reverse(kept.task.priority), kept.task.place(), kept.seq)
}

/// How old a queued task is among others of its priority.
pub(super) fn age(kept: &Kept) -> (Reverse<i32>, Timestamp, u64) {
    (Reverse(kept.task.priority), kept.task.rank, kept.seq)
}

impl Tx<'_> {
    pub(super) fn lease(&mut self, request: &LeaseRequest) -> Vec<Leased> {
        let model = &self.model;
        let is_open = |lane: &Lane| model.queues.get(&lane.queue) != Some(&QueueState::Paused);
        let mut lines = model.lines(|lane| is_open(lane) && request.serves(lane));
        let (mut leased, mut bytes, mut slots) = (Vec::new(), 0, Slots::of(model));
        while leased.len() < request.limit && bytes < limit::LEASE_BYTES {
            let Some(id) = self.take_next(&mut lines, &slots) else { break };
            let stood = self.model.tasks.get(&id).map(|kept| kept.task.clone());
            let started = self.start(id, request, leased.len());
            if let Some(started) = &started {
                slots.take(&started.facts);
                self.pass_gates(&started.facts);
                stood.inspect(|task| self.lease_turn(task));
            }
            bytes += started.as_ref().map_or(0, Leased::bytes);
            leased.extend(started);
        }
        leased
    }

    /// Of what stands first in each line the oldest. Whoever is behind a full gate is not looked at, not even for a deadline.
    fn take_next(&self, lines: &mut BTreeMap<Arc<Lane>, Vec<TaskId>>, slots: &Slots) -> Option<TaskId> {
        let first = |line: &Vec<TaskId>| line.iter().position(|id| self.may_pass(*id, slots));
        let firsts = lines.values_mut().filter_map(|line| {
            let at = first(line)?;
            Some((self.model.tasks.get(&line[at]).map(age), at, line))
        });
        let (_, at, line) = firsts.min_by_key(|(age, ..)| *age)?;
        Some(line.remove(at))
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
        self.outbox.follow(0, &Moved::of(task, Some(State::Queued), now));
        let checkpoints = kept.checkpoints.values().cloned().collect();
        Some(Leased { facts: task.facts.clone(), payload: task.payload.clone(), waited, checkpoints })
    }
}
