//! Beside the road: running tasks whose lease or time is over. Leases do not run out while nobody can renew them: see
//! [`super::outage`].

use std::time::Duration;

use tasklane_core::lease::mix;
use tasklane_core::ports::store::{Answers, Batch};
use tasklane_core::rescue::{self, Host};
use uuid::Uuid;

use super::alarms::BUNDLE;
use super::error::Result;
use super::outage::SILENCE;
use super::row::Kept;
use super::tx::Tx;

/// When to look again at what is due and held by another commit.
const HELD_ELSEWHERE: Duration = Duration::from_millis(50);

impl Tx<'_> {
    pub(super) async fn rescue_all(&mut self, batches: &[Batch]) -> Result<()> {
        if batches.iter().any(|it| it.rescue > 0) {
            self.pulse().await?;
        }
        for (caller, batch) in batches.iter().enumerate().filter(|(_, batch)| batch.rescue > 0) {
            self.caller = caller;
            let mut alarmed = self.alarmed().await?;
            let now = self.now;
            let is_due = |kept: &Kept| kept.task.facts.due_at().is_some_and(|at| at <= now);
            let due = alarmed.iter().take(batch.rescue).take_while(|it| is_due(it)).count();
            let (due, later) = alarmed.split_at_mut(due);
            let ended = self.cut_off(due.iter(), SILENCE).await?;
            let decide = |kept: &Kept, decided| {
                let host = if ended.contains(&kept.task.facts.id) { Host::Ended } else { Host::Up };
                rescue::decide(&kept.task, now, host, mix(batch.seed, decided as u64))
            };
            let rescued = self.decide_each(due, decide).await?;
            self.answer().rescue = rescued;
            self.look_later(later).await?;
        }
        if batches.iter().any(|it| it.rescue > 0 || it.promote > 0) {
            // As much was moved as was asked for, or nothing was asked.
            let has_more = |(answers, batch): (&Answers, &Batch)| {
                answers.promote == batch.promote || answers.rescue == batch.rescue
            };
            let more = self.answers.iter().zip(batches).any(has_more);
            // What is due and was not moved is held by somebody else just now.
            self.look_ahead(if more { Duration::ZERO } else { HELD_ELSEWHERE }).await?;
        }
        Ok(())
    }

    /// Sets an alarm for tasks that go on running.
    pub(super) async fn look_later(&mut self, running: &[Kept]) -> Result<()> {
        for bundle in running.chunks(BUNDLE) {
            let ids: Vec<Uuid> = bundle.iter().map(|kept| kept.task.facts.id.0).collect();
            if let Some(at) = bundle.iter().filter_map(|kept| kept.task.facts.due_at()).min() {
                self.set_alarm(at, ids).await?;
            }
        }
        Ok(())
    }
}
