//! Beside the road: running tasks whose lease or time is over.

use tasklane_core::lease::mix;
use tasklane_core::rescue;

use super::Tx;
use super::promote::Which;

impl Tx<'_> {
    pub(super) fn rescue(&mut self, most: usize, seed: u64) {
        for id in self.model.due(self.now, Which::Running).into_iter().take(most) {
            let random = mix(seed, self.answers.rescue as u64);
            let kept = self.model.tasks.get(&id);
            let decision = kept.and_then(|kept| rescue::decide(&kept.task, self.now, kept.host, random));
            if let Some(decision) = decision {
                self.apply(id, decision);
                self.answers.rescue += 1;
            }
        }
    }
}
