//! The last station: a settlement is written where its lease still holds.

use tasklane_core::accept::Submission;
use tasklane_core::settle::{Settled, Settlement, overtaken};
use tasklane_core::state::{Reason, State};

use super::Tx;

impl Tx<'_> {
    pub(super) fn settle(&mut self, settlement: Settlement) -> Settled {
        let Settlement { key, facts, decision, then } = settlement;
        let outcome = (key, decision.to.state(), decision.reason);
        let Some(task) = self.model.running(&key) else {
            return if self.is_repeated(outcome) { Settled::Repeated } else { Settled::Lost };
        };
        let meanwhile = task.facts.cancel_requested && !facts.cancel_requested;
        self.apply(key.id, if meanwhile { overtaken(&facts, decision) } else { decision });
        if let Some(kept) = self.model.tasks.get_mut(&key.id) {
            kept.settled = Some(outcome);
        }
        for task in then {
            // Its own keys may lead to a task that is there already, or refuse it: then there is nothing to accept.
            let _ = self.accept(Submission { tasks: vec![task] });
        }
        Settled::Held
    }

    /// Whether this attempt was settled by the same report before. A report repeated after the cancellation became known
    /// to the reporter is decided as cancelled, and so it was written.
    fn is_repeated(&self, outcome: (tasklane_core::lease::LeaseKey, State, Reason)) -> bool {
        let Some(kept) = self.model.tasks.get(&outcome.0.id) else { return false };
        let cancelled = kept.task.facts.state == State::Cancelled && outcome.1 == State::Cancelled;
        kept.settled.is_some_and(|settled| settled == outcome || (settled.0 == outcome.0 && cancelled))
    }
}
