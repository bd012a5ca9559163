//! What the next exchange says and wants, and what becomes of it.

use std::time::Duration;

use tasklane_core::lease::LeaseKey;
use tasklane_core::outcome::{Failure, Outcome};
use tasklane_core::task::Progress;

use super::notes::{Flight, write};
use super::{Ledger, Phase};
use crate::options::{Options, RENEWING_BYTES, REPORT_BYTES, REPORT_ITEMS, REPORT_OUTCOMES};
use crate::source::{Report, Want};
use tokio::time::Instant;

/// One exchange, as it was planned.
pub(crate) struct Plan {
    pub(crate) report: Report,
    reserved: usize,
    pub(crate) outcomes: usize,
    /// What the report carries of attempts' logs and checkpoints.
    notes: Flight,
}

/// Whether a report carries notes and outcomes. After one with both was refused they go by turns, until it is known
/// which of them it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Both.
    Both,
    /// Notes alone if there are any, else outcomes.
    Notes,
    /// Outcomes alone if there are any, else notes.
    Outcomes,
}

impl Plan {
    /// Whether it only waits for work, so that nothing is lost by giving it up.
    pub(crate) fn only_waits(&self) -> bool {
        self.report.want.is_some_and(|want| !want.wait.is_zero())
    }
}

impl Ledger {
    /// Slots that nothing holds and no exchange in flight may fill.
    fn free(&self, options: &Options) -> usize {
        options.slots.saturating_sub(self.held.len() + self.outbox.len() + self.reserved)
    }

    /// Whether a pump would find something to do.
    pub(crate) fn has_plan(&self, options: &Options) -> bool {
        self.has_word() || (self.wanting == 0 && self.want(false, options).is_some())
    }

    fn has_word(&self) -> bool {
        !(self.outbox.is_empty() && self.progress.is_empty() && self.renew.is_empty()) || self.noting.has_word()
    }

    /// What the next exchange says and wants; `None` where there is nothing to do.
    pub(crate) fn plan(&mut self, options: &Options) -> Option<Plan> {
        let renews = !self.renew.is_empty();
        let (mut bytes, now) = (if renews { REPORT_BYTES - RENEWING_BYTES } else { 0 }, Instant::now());
        let (notes, outcomes) = self.take_turn(&mut bytes, now);
        self.noting.fly(&notes);
        let progress = self.take_progress(&mut bytes);
        let renew = self.take_renew();
        // An outcome that waits for a flight of what its attempt said is no word yet.
        let speaks = !(outcomes.is_empty() && progress.is_empty() && renew.is_empty() && notes.is_empty());
        let want = self.want(speaks, options);
        if !speaks && want.is_none() {
            return None;
        }
        self.wanting += usize::from(want.is_some());
        let reserved = outcomes.len().max(want.map_or(0, |it| it.limit));
        self.reserved += reserved;
        self.reporting += outcomes.len();
        let count = outcomes.len();
        let mut report = Report { renew, progress, outcomes, want, ..Report::default() };
        write(&mut report, &notes, now);
        Some(Plan { report, reserved, outcomes: count, notes })
    }

    fn take_turn(&mut self, bytes: &mut usize, now: Instant) -> (Flight, Vec<(LeaseKey, Outcome)>) {
        let mut outcomes = if self.turn == Turn::Outcomes { self.take_outcomes(bytes) } else { Vec::new() };
        let carries_notes = outcomes.is_empty() && self.has_word();
        let notes = if carries_notes { self.noting.take(bytes, now) } else { Flight::new() };
        if self.turn == Turn::Both || (self.turn == Turn::Notes && notes.is_empty()) {
            outcomes = self.take_outcomes(bytes);
        }
        if self.turn != Turn::Both {
            self.turn = if notes.is_empty() { Turn::Notes } else { Turn::Outcomes };
        }
        (notes, outcomes)
    }

    /// A wish for the free slots. One that only waits goes alone: outcomes are not to wait for work. While there is
    /// likely more work, every report asks for it; else one parked wish is enough.
    fn want(&self, speaks: bool, options: &Options) -> Option<Want> {
        let limit = self.free(options).min(options.batch);
        if self.phase != Phase::Working || limit == 0 {
            return None;
        }
        match (speaks, self.busy, self.wanting) {
            (true, true, _) => Some(Want { limit, wait: Duration::ZERO }),
            (false, _, 0) => Some(Want { limit, wait: if self.known { options.wait } else { Duration::ZERO } }),
            _ => None,
        }
    }

    fn take_outcomes(&mut self, bytes: &mut usize) -> Vec<(LeaseKey, Outcome)> {
        let most = self.outbox.len().min(self.most_outcomes);
        let mut taken = Vec::with_capacity(most);
        let (checks, mut held_back) = (!self.noting.is_empty(), Vec::new());
        while taken.len() < most
            && let Some((key, outcome)) = self.outbox.pop_front()
        {
            if checks && self.noting.holds_back(&key) {
                held_back.push((key, outcome));
                continue;
            }
            let size = outcome_bytes(&outcome);
            if *bytes + size > REPORT_BYTES && !taken.is_empty() {
                self.outbox.push_front((key, outcome));
                break;
            }
            *bytes += size;
            taken.push((key, outcome));
        }
        held_back.into_iter().rev().for_each(|item| self.outbox.push_front(item));
        taken
    }

    fn take_renew(&mut self) -> Vec<LeaseKey> {
        if self.renew.len() <= REPORT_ITEMS {
            return std::mem::take(&mut self.renew).into_iter().collect();
        }
        let taken: Vec<_> = self.renew.iter().take(REPORT_ITEMS).copied().collect();
        for key in &taken {
            self.renew.remove(key);
        }
        taken
    }

    fn take_progress(&mut self, bytes: &mut usize) -> Vec<(LeaseKey, Option<Progress>)> {
        let mut taken = Vec::with_capacity(self.progress.len().min(REPORT_ITEMS));
        for (key, progress) in std::mem::take(&mut self.progress) {
            let size =
                progress.message.as_ref().map_or(0, String::len) + progress.data.as_ref().map_or(0, |it| it.len());
            if taken.len() >= REPORT_ITEMS || (*bytes + size > REPORT_BYTES && !taken.is_empty()) {
                self.progress.insert(key, progress);
            } else {
                *bytes += size;
                taken.push((key, Some(progress)));
            }
        }
        taken
    }

    /// The exchange came back: its slots are free again, but for what `taken` brings.
    pub(crate) fn answered(&mut self, plan: &Plan, taken: usize) {
        self.let_go(plan);
        self.known = true;
        self.noting.accepted(&plan.notes);
        if plan.outcomes > 0 {
            (self.most_outcomes, self.turn) = (REPORT_OUTCOMES, Turn::Both);
        }
        if let Some(want) = plan.report.want {
            self.busy = taken >= want.limit;
        }
    }

    /// The exchange failed: what it carried is to be said again.
    pub(crate) fn unanswered(&mut self, plan: Plan) {
        self.let_go(&plan);
        self.noting.put_back(plan.notes);
        for item in plan.report.outcomes.into_iter().rev() {
            self.outbox.push_front(item);
        }
        for (key, progress) in plan.report.progress {
            if let Some(progress) = progress
                && self.held.contains_key(&key)
            {
                self.progress.entry(key).or_insert(progress);
            }
        }
        self.renew.extend(plan.report.renew.into_iter().filter(|key| self.held.contains_key(key)));
    }

    /// The source refused the exchange: the next one carries half as many outcomes, or notes of half as many attempts. An
    /// outcome that is refused alone is returned: repeating it would hold its slot for ever. Progress may be what was
    /// refused, and is not worth a try.
    pub(crate) fn refused(&mut self, mut plan: Plan) -> Option<(LeaseKey, Outcome)> {
        let mut poison = None;
        plan.report.progress.clear();
        match (plan.notes.len(), plan.outcomes) {
            (0, 1) if plan.report.want.is_none() => {
                poison = plan.report.outcomes.pop();
                (self.most_outcomes, self.turn) = (REPORT_OUTCOMES, Turn::Both);
            }
            (0, outcomes) => self.most_outcomes = (outcomes / 2).max(1),
            (1, 0) if plan.report.want.is_some() => {}
            (_, 0) => self.noting.refused(&mut plan.notes),
            _ => self.turn = Turn::Notes,
        }
        self.busy = false;
        self.unanswered(plan);
        poison
    }

    fn let_go(&mut self, plan: &Plan) {
        self.reserved -= plan.reserved;
        self.reporting -= plan.outcomes;
        self.wanting -= usize::from(plan.report.want.is_some());
        self.noting.landed(&plan.notes);
    }
}

fn outcome_bytes(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Succeeded(result) => result.len(),
        Outcome::Failed { failure, .. } => failure_bytes(failure),
        Outcome::Snoozed(_) | Outcome::Released | Outcome::Cancelled => 0,
    }
}

fn failure_bytes(failure: &Failure) -> usize {
    failure.message.len()
        + failure.details.as_ref().map_or(0, |it| it.len())
        + failure.stack.as_ref().map_or(0, String::len)
}
