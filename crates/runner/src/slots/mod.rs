//! The ledger: what this worker holds, what it has to say, and how much more it may take. Pure; the lock is elsewhere.
//!
//! A slot is taken by an attempt from its lease until the exchange that reported its outcome came back, so outcomes that
//! cannot be reported are bounded by the slots, too.

mod hands;
mod notes;
mod plan;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tasklane_core::lease::LeaseKey;
use tasklane_core::outcome::Outcome;
use tasklane_core::task::{Progress, TaskId};
use tokio::time::Instant;

use crate::attempt::{Attempt, Stop};
use crate::options::{LOOKS_PER_LEASE, Options, REPORT_OUTCOMES};
use crate::source::Report;

pub(crate) use notes::Noting;
pub(crate) use plan::Plan;
use plan::Turn;

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
    pub(crate) progress: BTreeMap<LeaseKey, Progress>,
    pub(crate) renew: BTreeSet<LeaseKey>,
    /// What attempts say and put aside.
    pub(crate) noting: Noting,
    /// Slots that exchanges in flight may need: for what they brought, or for what they take.
    reserved: usize,
    /// Outcomes in exchanges in flight.
    pub(crate) reporting: usize,
    /// Exchanges in flight that want work.
    wanting: usize,
    /// The last exchange was answered: the next wish may wait. One after silence does not, so that it is soon known
    /// whether somebody is there.
    pub(crate) known: bool,
    /// The last wish was granted in full: there is likely more.
    busy: bool,
    /// Most outcomes of the next report; falls while the source refuses, to find the one it refuses.
    most_outcomes: usize,
    /// What the next report says.
    turn: Turn,
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
            progress: BTreeMap::new(),
            renew: BTreeSet::new(),
            noting: Noting::default(),
            reserved: 0,
            reporting: 0,
            wanting: 0,
            known: false,
            busy: false,
            most_outcomes: REPORT_OUTCOMES,
            turn: Turn::Both,
        }
    }

    /// Takes the attempts that were asked for at `asked`, so leased no earlier, unless the same one is here already (an
    /// answer that was repeated). One whose lease may be nearly over, as the answer was so long on its way, does not begin:
    /// it is given back, should the lease still be good for the server.
    pub(crate) fn take_in(&mut self, attempts: Vec<Arc<Attempt>>, asked: Instant, options: &Options) {
        let age = asked.elapsed();
        for attempt in attempts {
            if let Entry::Vacant(place) = self.held.entry(attempt.key) {
                place.insert(Held { attempt: Arc::clone(&attempt), since: asked });
                let length = attempt.lease_length(options);
                if age + length / LOOKS_PER_LEASE + attempt.grace(Stop::Unrenewed, options) >= length {
                    self.ended(attempt.key, Some(Outcome::Released), None);
                } else {
                    self.ready.push_back(attempt);
                }
            }
        }
    }

    /// Whether something runs, and no wish is in flight whose answer could say that it is to be cancelled.
    pub(crate) fn is_deaf(&self) -> bool {
        self.phase == Phase::Working && self.wanting == 0 && !self.held.is_empty()
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
        let said = report.logs.iter().map(|(key, _)| key).chain(report.checkpoints.iter().map(|(key, _)| key));
        let spoken = report.renew.iter().chain(report.progress.iter().map(|(key, _)| key)).chain(said);
        spoken
            .filter(|key| lost.contains(&key.id))
            .filter_map(|key| self.held.get(key))
            .map(|held| Arc::clone(&held.attempt))
            .collect()
    }

    /// What is held, in the order of keys: for what is done to many and must not depend on where a hash puts them.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Held> {
        let mut all: Vec<_> = self.held.values().collect();
        all.sort_unstable_by_key(|held| held.attempt.key);
        all.into_iter()
    }

    /// The attempts of these tasks.
    pub(crate) fn of_tasks(&self, tasks: &[TaskId]) -> Vec<Arc<Attempt>> {
        if tasks.is_empty() {
            return Vec::new();
        }
        let tasks: HashSet<_> = tasks.iter().collect();
        let named = self.in_order().filter(|held| tasks.contains(&held.attempt.key.id));
        named.map(|held| Arc::clone(&held.attempt)).collect()
    }

    /// Whether nothing is left to be said, and no answer is on its way that may bring work to give back.
    pub(crate) fn all_said(&self) -> bool {
        self.outbox.is_empty() && self.reporting == 0 && self.wanting == 0 && self.noting.is_empty()
    }
}
