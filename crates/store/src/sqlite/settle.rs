//! The last station: a settlement is written where its lease still holds. What runs is in memory, so this is one
//! statement a task.

use tasklane_core::accept::Submission;
use tasklane_core::ports::store::Batch;
use tasklane_core::settle::{Settled, Settlement, overtaken};
use tasklane_core::state::State;

use super::error::Result;
use super::row::Mark;
use super::tx::Tx;

impl Tx<'_, '_> {
    pub(super) fn settle_all(&mut self, batch: &mut Batch) -> Result<()> {
        for settlement in &batch.settle {
            let settled = self.settle(settlement)?;
            self.answer().settle.push(settled);
        }
        Ok(())
    }

    fn settle(&mut self, settlement: &Settlement) -> Result<Settled> {
        let Settlement { key, facts, decision, then } = settlement;
        let mark = Mark { to: decision.to.state(), reason: decision.reason };
        let Some(mut kept) = self.live.running.take_held(key) else {
            let repeated = self.is_repeated(settlement, mark)?;
            return Ok(if repeated { Settled::Repeated } else { Settled::Lost });
        };
        let meanwhile = kept.task.facts.cancel_requested && !facts.cancel_requested;
        let decision = decision.clone();
        let decision = if meanwhile { overtaken(facts, decision) } else { decision };
        self.end_attempt(&mut kept, decision, Some(mark))?;
        for task in then {
            // Its own keys may lead to a task that is there already, or refuse it: then there is nothing to accept.
            let _ = self.accept(Submission { tasks: vec![task.clone()] })?;
        }
        Ok(Settled::Held)
    }

    /// Whether this attempt was settled by the same report before. A report repeated after the cancellation became known
    /// to the reporter is decided as cancelled, and so it was written.
    fn is_repeated(&mut self, settlement: &Settlement, mark: Mark) -> Result<bool> {
        let key = &settlement.key;
        if self.live.running.get(key.id).is_some() {
            return Ok(false);
        }
        let Some(kept) = self.sql.by_id(key.id, &self.live.names)? else { return Ok(false) };
        let facts = &kept.task.facts;
        let cancelled = facts.state == State::Cancelled && mark.to == State::Cancelled;
        let same = kept.settled.is_some_and(|settled| settled == mark || cancelled);
        Ok(same && facts.attempt == key.attempt && kept.token == key.token)
    }
}
