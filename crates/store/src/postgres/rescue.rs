//! Beside the road: running tasks whose lease or time is over. Leases do not run out while nobody can renew them: see
//! [`super::outage`].

use tasklane_core::lease::mix;
use tasklane_core::ports::store::Batch;
use tasklane_core::rescue;

use super::due::RUNNING;
use super::error::Result;
use super::tx::Tx;

impl Tx<'_> {
    pub(super) async fn rescue_all(&mut self, batches: &[Batch]) -> Result<()> {
        if batches.iter().any(|it| it.rescue > 0) {
            self.pulse().await?;
        }
        for (caller, batch) in batches.iter().enumerate() {
            self.caller = caller;
            let (now, seed) = (self.now, batch.seed);
            let decide = |kept: &super::row::Kept, decided| rescue::decide(&kept.task, now, mix(seed, decided as u64));
            self.answers[caller].rescue = self.decide_due(&RUNNING, batch.rescue, decide).await?;
        }
        if batches.iter().any(|it| it.rescue > 0 || it.promote > 0) {
            self.look_ahead().await?;
        }
        Ok(())
    }
}
