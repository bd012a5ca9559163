//! The second station: tasks whose moment has come.

use tasklane_core::promote;
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::{Model, Tx};

impl Model {
    /// Tasks that are due, running or not, the longest due first.
    pub(super) fn due(&self, now: Timestamp, running: Which) -> Vec<TaskId> {
        let of = |state| (state == State::Running) == (running == Which::Running);
        let facts = self.tasks.values().map(|kept| &kept.task.facts).filter(|facts| of(facts.state));
        let mut due: Vec<_> =
            facts.filter_map(|facts| Some((facts.due_at()?, facts.id))).filter(|it| it.0 <= now).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Running,
    NotRunning,
}

impl Tx<'_> {
    pub(super) fn promote(&mut self, most: usize) {
        for id in self.model.due(self.now, Which::NotRunning).into_iter().take(most) {
            let decision = self.model.tasks.get(&id).and_then(|kept| promote::decide(&kept.task, self.now));
            if let Some(decision) = decision {
                self.apply(id, decision);
                self.answers.promote += 1;
            }
        }
    }
}
