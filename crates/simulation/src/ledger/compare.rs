//! After a commit: does the store hold what the transitions led to, neither more nor less?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tasklane_core::queue::Counts;
use tasklane_core::state::State;
use tasklane_core::task::{Task, TaskId};

use super::Ledger;
use super::seen::number;

impl Ledger {
    /// Holds every task of the store, and its counts, against what is known.
    pub fn compare(&mut self, all: &[Task], counts: &Counts, now: Duration) {
        self.now = now;
        let (kept, known) = (all.len(), self.tasks.len());
        self.demand(kept == known, || format!("the store has {kept} tasks, and {known} were accepted"));
        if let Some(id) = self.unlent() {
            self.break_law(|| format!("{id} is leased to nobody and runs, or the other way round"));
        }
        let mut counted = Counts::default();
        let mut unique: BTreeMap<&str, TaskId> = BTreeMap::new();
        for task in all {
            counted.add(task.counted(), 1);
            self.compare_one(task);
            let key = task.facts.spec.unique.as_ref().filter(|_| !task.facts.state.is_final());
            if let Some(other) = key.and_then(|it| unique.insert(&it.key, task.facts.id)) {
                self.break_law(|| format!("{other} and {} hold one unique key", task.facts.id));
            }
        }
        self.demand(counted == *counts, || format!("counts are {counts:?}, and there are {counted:?}"));
    }

    fn compare_one(&mut self, task: &Task) {
        let facts = &task.facts;
        let Some(mut known) = self.tasks.remove(&facts.id) else {
            return self.break_law(|| format!("{} is in the store and was never accepted", facts.id));
        };
        let is_blocked = facts.state == State::Blocked;
        let state = if is_blocked { State::Queued } else { facts.state };
        let is_behind = known.state == State::Queued && self.is_full(&known.limits);
        self.demand(is_blocked == is_behind, || {
            format!("{} is {}, and behind a full gate: {is_behind}", facts.id, facts.state)
        });
        let is_same = (state, facts.attempt) == (known.state, known.attempt);
        self.demand(is_same, || {
            let (is, was) = ((state, facts.attempt), (known.state, known.attempt));
            format!("{} is {is:?}, and its events led to {was:?}", facts.id)
        });
        let (token, given) = (facts.lease.as_ref().map(|it| it.token), known.lease.as_ref().map(|it| it.lease.token));
        self.demand(token == given, || format!("{} runs under a lease that nobody was given", facts.id));
        let most = facts.spec.max_attempts;
        self.demand(facts.spent <= most, || format!("{} spent {} of {most}", facts.id, facts.spent));
        self.demand(facts.spent >= known.spent, || format!("{} got attempts back", facts.id));
        self.demand(task.finished_at.is_some() == facts.state.is_final(), || format!("{} ended, or not", facts.id));
        let result = task.result.as_ref().filter(|_| facts.state == State::Succeeded);
        let returned = known.returned.get(&facts.attempt);
        let is_returned = result.is_none_or(|it| returned.is_some_and(|all| all.contains(it)));
        self.demand(is_returned, || format!("the result of {} is not what its last attempt returned", facts.id));
        self.demand(facts.cancel_requested == known.cancel_requested || facts.state.is_final(), || {
            format!("{}: a wish to cancel it came or went by itself", facts.id)
        });
        let is_sent = self.sent.contains(&number(&task.payload));
        self.demand(is_sent, || format!("the payload of {} is one that nobody sent", facts.id));
        known.spent = facts.spent;
        known.spec = Arc::clone(&facts.spec);
        self.tasks.insert(facts.id, known);
    }
}
