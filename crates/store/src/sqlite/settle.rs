//! The last station: a settlement is written where its lease still holds. What runs is in memory, so this is one
//! statement a task.

use tasklane_core::accept::Submission;
use tasklane_core::ports::store::Batch;
use tasklane_core::settle::{Mark, Settled, Settlement};

use super::error::Result;
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
        let mark = Mark::of(&settlement.decision);
        let Some(mut kept) = self.live.running.take_held(&settlement.key) else {
            let repeated = self.is_repeated(settlement, mark)?;
            return Ok(if repeated { Settled::Repeated } else { Settled::Lost });
        };
        let decision = settlement.on(&kept.task.facts);
        self.end_attempt(&mut kept, decision, Some(mark))?;
        for task in &settlement.then {
            // Its own keys may lead to a task that is there already, or refuse it: then there is nothing to accept.
            let _ = self.accept(Submission { tasks: vec![task.clone()] })?;
        }
        Ok(Settled::Held)
    }

    /// Whether this attempt was settled by the same report before.
    fn is_repeated(&mut self, settlement: &Settlement, mark: Mark) -> Result<bool> {
        let key = &settlement.key;
        if self.live.running.get(key.id).is_some() {
            return Ok(false);
        }
        let Some(kept) = self.sql.by_id(key.id, &self.live.names)? else { return Ok(false) };
        let facts = &kept.task.facts;
        let same = mark.repeats(kept.settled, facts.state);
        Ok(same && facts.attempt == key.attempt && kept.token == key.token)
    }
}
