//! The last station: a settlement is written where its lease still holds.

use tasklane_core::accept::Submission;
use tasklane_core::lease::LeaseKey;
use tasklane_core::settle::{Mark, Settled, Settlement};

use super::Tx;

impl Tx<'_> {
    pub(super) fn settle(&mut self, settlement: Settlement) -> Settled {
        let (key, mark) = (settlement.key, Mark::of(&settlement.decision));
        let Some(task) = self.model.running(&key) else {
            return if self.is_repeated(&key, mark) { Settled::Repeated } else { Settled::Lost };
        };
        let decision = settlement.on(&task.facts);
        self.apply(key.id, decision);
        if let Some(kept) = self.model.tasks.get_mut(&key.id) {
            kept.settled = Some((key, mark));
        }
        for task in settlement.then {
            // Its own keys may lead to a task that is there already, or refuse it: then there is nothing to accept.
            let _ = self.accept(Submission { tasks: vec![task] });
        }
        Settled::Held
    }

    /// Whether this attempt was settled by the same report before.
    fn is_repeated(&self, key: &LeaseKey, mark: Mark) -> bool {
        let Some(kept) = self.model.tasks.get(&key.id) else { return false };
        let settled = kept.settled.filter(|(settled, _)| settled == key).map(|(_, mark)| mark);
        mark.repeats(settled, kept.task.facts.state)
    }
}
