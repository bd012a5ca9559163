//! The ledger: what this worker holds, what it has to say, and how much more it may take. Pure; the lock is elsewhere.
//!
//! A slot is taken by an attempt from its lease until the exchange that reported its outcome came back, so outcomes that
//! cannot be reported are bounded by the slots, too.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tasklane_core::lease::LeaseKey;
use tasklane_core::outcome::{Failure, Outcome};
use tasklane_core::task::{Progress, TaskId};
use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::options::{HAND_TAKES, Options, REPORT_BYTES, REPORT_OUTCOMES};
use crate::source::{Report, Want};

/// How far the runner's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Takes leases.
    Working,
    /// Takes none any more; reports what ends.
    Draining,
    /// Nobody reports any more.
    Over,
}

/// An attempt this worker holds.
pub(crate) struct Held {
    pub(crate) attempt: Arc<Attempt>,
    /// From when its lease certainly lasts its whole length.
    pub(crate) since: Instant,
}

/// What this worker holds, has to say and may take.
pub(crate) struct Ledger {
    pub(crate) phase: Phase,
    pub(crate) held: HashMap<LeaseKey, Held>,
    /// Not begun yet.
    pub(crate) ready: VecDeque<Arc<Attempt>>,
    /// Hands at work.
    hands: usize,
    /// Somebody will look whether a hand needs help.
    helper_called: bool,
    /// Progress whose time has not come.
    pub(crate) later: Vec<Arc<Attempt>>,
    pub(crate) outbox: VecDeque<(LeaseKey, Outcome)>,
    pub(crate) progress: HashMap<LeaseKey, Progress>,
    pub(crate) renew: HashSet<LeaseKey>,
    /// Slots that exchanges in flight may need: for what they brought, or for what they take.
    reserved: usize,
    /// Outcomes in exchanges in flight.
    pub(crate) reporting: usize,
    /// Exchanges in flight that want work.
    wanting: usize,
    /// The last wish was granted in full: there is likely more.
    busy: bool,
    /// Most outcomes of the next report; falls while the source refuses, to find the one it refuses.
    most_outcomes: usize,
}

/// One exchange, as it was planned.
pub(crate) struct Plan {
    pub(crate) report: Report,
    reserved: usize,
    pub(crate) outcomes: usize,
}

impl Plan {
    /// Whether it only waits for work, so that nothing is lost by giving it up.
    pub(crate) fn only_waits(&self) -> bool {
        self.report.want.is_some_and(|want| !want.wait.is_zero())
    }
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Working,
            held: HashMap::new(),
            ready: VecDeque::new(),
            hands: 0,
            helper_called: false,
            later: Vec::new(),
            outbox: VecDeque::new(),
            progress: HashMap::new(),
            renew: HashSet::new(),
            reserved: 0,
            reporting: 0,
            wanting: 0,
            busy: false,
            most_outcomes: REPORT_OUTCOMES,
        }
    }

    /// Slots that nothing holds and no exchange in flight may fill.
    fn free(&self, options: &Options) -> usize {
        options.slots.saturating_sub(self.held.len() + self.outbox.len() + self.reserved)
    }

    /// Whether a pump would find something to do.
    pub(crate) fn has_plan(&self, options: &Options) -> bool {
        self.has_word() || (self.wanting == 0 && self.want(false, options).is_some())
    }

    fn has_word(&self) -> bool {
        !(self.outbox.is_empty() && self.progress.is_empty() && self.renew.is_empty())
    }

    /// What the next exchange says and wants; `None` where there is nothing to do.
    pub(crate) fn plan(&mut self, options: &Options) -> Option<Plan> {
        let speaks = self.has_word();
        let mut bytes = 0;
        let outcomes = self.take_outcomes(&mut bytes);
        let progress = self.take_progress(&mut bytes);
        let renew = self.renew.drain().collect();
        let want = self.want(speaks, options);
        if !speaks && want.is_none() {
            return None;
        }
        self.wanting += usize::from(want.is_some());
        let reserved = outcomes.len().max(want.map_or(0, |it| it.limit));
        self.reserved += reserved;
        self.reporting += outcomes.len();
        let count = outcomes.len();
        Some(Plan { report: Report { renew, progress, outcomes, want }, reserved, outcomes: count })
    }

    /// A wish for the free slots. One that only waits goes alone: outcomes are not to wait for work. While there is
    /// likely more work, every report asks for it; else one parked wish is enough.
    fn want(&self, speaks: bool, options: &Options) -> Option<Want> {
        let limit = self.free(options).min(options.batch);
        if self.phase != Phase::Working || limit == 0 {
            return None;
        }
        match (speaks, self.busy, self.wanting) {
            (true, true, _) => Some(Want { limit, wait: std::time::Duration::ZERO }),
            (false, _, 0) => Some(Want { limit, wait: options.wait }),
            _ => None,
        }
    }

    fn take_outcomes(&mut self, bytes: &mut usize) -> Vec<(LeaseKey, Outcome)> {
        let most = self.outbox.len().min(self.most_outcomes);
        let mut taken = Vec::with_capacity(most);
        while taken.len() < most
            && let Some((key, outcome)) = self.outbox.pop_front()
        {
            let size = outcome_bytes(&outcome);
            if *bytes + size > REPORT_BYTES && !taken.is_empty() {
                self.outbox.push_front((key, outcome));
                break;
            }
            *bytes += size;
            taken.push((key, outcome));
        }
        taken
    }

    fn take_progress(&mut self, bytes: &mut usize) -> Vec<(LeaseKey, Option<Progress>)> {
        let mut taken = Vec::with_capacity(self.progress.len());
        for (key, progress) in std::mem::take(&mut self.progress) {
            let size =
                progress.message.as_ref().map_or(0, String::len) + progress.data.as_ref().map_or(0, |it| it.len());
            if *bytes + size > REPORT_BYTES && !taken.is_empty() {
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
        self.most_outcomes = REPORT_OUTCOMES;
        if let Some(want) = plan.report.want {
            self.busy = taken >= want.limit;
        }
    }

    /// The exchange failed: what it carried is to be said again.
    pub(crate) fn unanswered(&mut self, plan: Plan) {
        self.let_go(&plan);
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

    /// The source refused the exchange: the next one carries half as many outcomes. One that is refused alone is
    /// returned: repeating it would hold its slot for ever. Progress may be what was refused, and is not worth a try.
    pub(crate) fn refused(&mut self, mut plan: Plan) -> Option<(LeaseKey, Outcome)> {
        let poison = if plan.outcomes == 1 && plan.report.want.is_none() { plan.report.outcomes.pop() } else { None };
        self.busy = false;
        plan.report.progress.clear();
        self.most_outcomes = if poison.is_some() { REPORT_OUTCOMES } else { (plan.outcomes / 2).max(1) };
        self.unanswered(plan);
        poison
    }

    fn let_go(&mut self, plan: &Plan) {
        self.reserved -= plan.reserved;
        self.reporting -= plan.outcomes;
        self.wanting -= usize::from(plan.report.want.is_some());
    }

    /// Takes the attempts, unless the same one is here already (an answer that was repeated).
    pub(crate) fn take_in(&mut self, attempts: Vec<Arc<Attempt>>, now: Instant) {
        for attempt in attempts {
            if let Entry::Vacant(place) = self.held.entry(attempt.key) {
                place.insert(Held { attempt: Arc::clone(&attempt), since: now });
                self.ready.push_back(attempt);
            }
        }
    }

    /// Whether somebody must become the first hand.
    pub(crate) fn join_first(&mut self) -> bool {
        let needed = self.hands == 0 && !self.ready.is_empty();
        self.hands += usize::from(needed);
        needed
    }

    /// Whether somebody is to look later if one more hand is needed; true once per call for help.
    pub(crate) fn wants_helper(&mut self, most: usize) -> bool {
        let wanted = !self.helper_called && self.hands < most && self.ready.len() > HAND_TAKES;
        self.helper_called |= wanted;
        wanted
    }

    /// Whether whoever was called for help must become a hand.
    pub(crate) fn join_late(&mut self) -> bool {
        self.helper_called = false;
        let needed = !self.ready.is_empty();
        self.hands += usize::from(needed);
        needed
    }

    /// Whether the hand may leave: nothing is ready.
    pub(crate) fn leave(&mut self) -> bool {
        let done = self.ready.is_empty();
        self.hands -= usize::from(done);
        done
    }

    /// The next few to begin.
    pub(crate) fn take_ready(&mut self, most: usize, into: &mut Vec<Arc<Attempt>>) {
        let most = most.min(self.ready.len());
        into.extend(self.ready.drain(..most));
    }

    /// Gives back, unspent, what has not begun.
    pub(crate) fn give_back_ready(&mut self) {
        for attempt in std::mem::take(&mut self.ready) {
            self.ended(attempt.key, Some(Outcome::Released), None);
        }
    }

    /// An attempt ended. Nothing happens if it was given up before.
    pub(crate) fn ended(&mut self, key: LeaseKey, outcome: Option<Outcome>, progress: Option<Progress>) {
        if self.held.remove(&key).is_none() {
            return;
        }
        if let Some(outcome) = outcome {
            self.outbox.push_back((key, outcome));
            if let Some(progress) = progress {
                self.progress.insert(key, progress);
            }
        } else {
            self.progress.remove(&key);
        }
    }

    /// The leases that an exchange sent at `sent` began anew, unless its answer says otherwise.
    pub(crate) fn renewed(&mut self, keys: &[LeaseKey], sent: Instant) {
        for key in keys {
            if let Some(held) = self.held.get_mut(key) {
                held.since = held.since.max(sent);
            }
        }
    }

    /// The attempts that `lost` names among those the report spoke of: the same task may be here again, newly leased.
    pub(crate) fn lost(&self, report: &Report, lost: &[TaskId]) -> Vec<Arc<Attempt>> {
        let spoken = report.renew.iter().chain(report.progress.iter().map(|(key, _)| key));
        spoken
            .filter(|key| lost.contains(&key.id))
            .filter_map(|key| self.held.get(key))
            .map(|held| Arc::clone(&held.attempt))
            .collect()
    }

    /// The attempts of these tasks.
    pub(crate) fn of_tasks(&self, tasks: &[TaskId]) -> Vec<Arc<Attempt>> {
        if tasks.is_empty() {
            return Vec::new();
        }
        let tasks: HashSet<_> = tasks.iter().collect();
        let named = self.held.values().filter(|held| tasks.contains(&held.attempt.key.id));
        named.map(|held| Arc::clone(&held.attempt)).collect()
    }

    /// Whether nothing is left to be said.
    pub(crate) fn all_said(&self) -> bool {
        self.outbox.is_empty() && self.reporting == 0
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
