//! Turns of tenants that share a lane. What is asked of a line is counted.

use std::convert::Infallible;
use std::sync::Arc;

use tasklane_core::decision::{Decision, Next};
use tasklane_core::fair::{Fairness, Line};
use tasklane_core::state::State;
use tasklane_core::task::{Facts, Lane, Task, TaskId};

use super::{Model, Tx};

/// The line of one lane and priority.
struct LineOf<'m> {
    model: &'m Model,
    lane: &'m Lane,
    priority: i32,
    /// Who is about to join it.
    but: TaskId,
}

impl LineOf<'_> {
    fn places(&self) -> impl Iterator<Item = i64> {
        self.queued_in_lane().filter(|task| task.priority == self.priority).map(Task::place)
    }

    fn queued_in_lane(&self) -> impl Iterator<Item = &Task> {
        let tasks = self.model.tasks.values().map(|kept| &kept.task);
        let is_there =
            |facts: &Facts| facts.state == State::Queued && *facts.lane == *self.lane && facts.id != self.but;
        tasks.filter(move |task| is_there(&task.facts))
    }
}

impl Line for LineOf<'_> {
    type Error = Infallible;

    fn first(&mut self) -> Result<Option<i64>, Infallible> {
        Ok(self.places().min())
    }

    fn last(&mut self) -> Result<Option<i64>, Infallible> {
        Ok(self.places().max())
    }

    fn queued(&mut self, tenant: &str) -> Result<u64, Infallible> {
        Ok(self.queued_in_lane().filter(|task| *task.facts.scope.tenant == *tenant).count() as u64)
    }
}

impl Tx<'_> {
    /// A task was accepted: from the first one of a named tenant on, its lane is shared.
    pub(super) fn share(&mut self, facts: &Facts) {
        let takes_turns = self.model.fairness.in_lane(&facts.lane).is_some();
        if takes_turns && !facts.scope.tenant.is_empty() {
            self.model.shared.insert(Arc::clone(&facts.lane));
        }
    }

    /// The turn of a task that becomes queued by this.
    pub(super) fn turn(&mut self, task: &Task, to: Next) -> Option<i64> {
        let facts = &task.facts;
        let weights = self.model.fairness.in_lane(&facts.lane).filter(|_| self.model.shared.contains(&facts.lane))?;
        let (tenant, cost) = (&facts.scope.tenant, weights.cost(&facts.scope.tenant));
        let key = (Arc::clone(&facts.lane), task.priority);
        let mut turns = self.model.turns.remove(&key).unwrap_or_default();
        let mut line = LineOf { model: self.model, lane: &facts.lane, priority: task.priority, but: facts.id };
        let Ok(turn) = match to {
            Next::Queued => turns.next(tenant, cost, self.now, &mut line).map(Some),
            Next::QueuedAgain => turns.again(self.now, &mut line).map(Some),
            _ => Ok(None),
        };
        self.model.turns.insert(key, turns);
        turn
    }

    /// What becomes of its turn, as a decision is carried out.
    pub(super) fn turn_by(&mut self, id: TaskId, decision: &Decision) -> Option<i64> {
        let task = self.model.tasks.get(&id)?.task.clone();
        self.leave_line(&task);
        self.turn(&task, decision.to)
    }

    /// A task leaves the line without being leased.
    pub(super) fn leave_line(&mut self, task: &Task) {
        let (facts, tenant) = (&task.facts, &task.facts.scope.tenant);
        let Some(cost) = self.model.fairness.in_lane(&facts.lane).map(|weights| weights.cost(tenant)) else { return };
        if task.turn.is_some()
            && let Some(turns) = self.model.turns.get_mut(&(Arc::clone(&facts.lane), task.priority))
        {
            turns.left(tenant, cost);
        }
    }

    /// A task of this place starts.
    pub(super) fn lease_turn(&mut self, task: &Task) {
        if self.model.shared.contains(&task.facts.lane) {
            let key = (Arc::clone(&task.facts.lane), task.priority);
            self.model.turns.entry(key).or_default().leased(task.place());
        }
    }
}

impl Model {
    /// A model of a store with this.
    pub(super) fn with(fairness: Fairness) -> Self {
        Self { fairness, ..Self::default() }
    }
}
