//! The outside ledger: what callers were told, what workers were given and returned, what every commit said. It is kept
//! beside the system and in other words than the store's, and everything is held against it.

mod commit;
mod compare;
mod gates;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::accept::{Accepted, Submission};
use tasklane_core::gate::Limit;
use tasklane_core::lease::{Lease, LeaseKey, Token};
use tasklane_core::outcome::Outcome;
use tasklane_core::state::State;
use tasklane_core::task::{Spec, Task, TaskId};
use tasklane_core::time::Timestamp;

pub use seen::Seen;

/// In the calm a reader hears of an end within this time.
const PROMPT_WAIT: Duration = Duration::from_millis(1_500);
/// In the calm a worker is told of a cancellation within this time.
const PROMPT_CANCEL: Duration = Duration::from_millis(2_500);

/// What is known of one task.
pub struct Known {
    /// Where the last transition led.
    pub state: State,
    /// The number of its last attempt.
    pub attempt: u32,
    /// When it came into this state, by the time of the simulated world.
    pub since: Duration,
    spent: u32,
    spec: Arc<Spec>,
    /// The gates it passes.
    limits: Arc<[Limit]>,
    cancel_requested: bool,
    /// When somebody asked to cancel the attempt.
    asked: Option<Duration>,
    moved_at: Timestamp,
    lease: Option<Lent>,
    /// The token and worker of every attempt there was.
    given: BTreeMap<u32, (Token, Arc<str>)>,
    /// The attempts that ended, and the token of the outcome that ended them, if one did.
    ended: BTreeMap<u32, Option<Token>>,
    /// Results that handlers returned.
    returned: BTreeMap<u32, Vec<Bytes>>,
}

/// A lease, as the answers that granted and renewed it promised.
struct Lent {
    lease: Lease,
    started: Timestamp,
}

/// How often what happened: a run in which nothing happens proves nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tasks in the store.
    pub accepted: u64,
    /// Tasks that succeeded.
    pub succeeded: u64,
    /// Tasks that are final otherwise.
    pub otherwise: u64,
    /// Attempts that began.
    pub attempts: u64,
    /// Leases that were lost.
    pub leases_lost: u64,
    /// Outcomes that came too late.
    pub late: u64,
    /// Outcomes that were repeated.
    pub repeated: u64,
    /// Attempts that were cancelled by somebody while they ran.
    pub cancelled: u64,
    /// Submits that found their task there already.
    pub found: u64,
    /// Commits checked.
    pub commits: u64,
}

/// The outside ledger.
#[derive(Default)]
pub struct Ledger {
    /// Every task that was accepted and is still there.
    pub tasks: BTreeMap<TaskId, Known>,
    /// What happened how often.
    pub tally: Tally,
    /// Numbers that callers sent.
    sent: BTreeSet<u64>,
    /// Numbers that were accepted.
    accepted: BTreeSet<u64>,
    deleted: BTreeSet<TaskId>,
    /// The gates that tasks named, by their keys.
    gates: BTreeMap<Box<str>, gates::Passed>,
    now: Duration,
    calm_since: Option<Duration>,
    wrong: Option<String>,
}

impl Ledger {
    /// The first law that was broken, if one was.
    pub fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    /// A law was broken.
    pub fn break_law(&mut self, what: impl FnOnce() -> String) {
        self.wrong.get_or_insert_with(what);
    }

    fn demand(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.break_law(what);
        }
    }

    /// Time has passed.
    pub fn pass(&mut self, now: Duration) {
        self.now = now;
    }

    /// A caller is about to send this.
    pub fn sending(&mut self, submission: &Submission) {
        self.sent.extend(submission.tasks.iter().map(|it| seen::number(&it.payload)));
    }

    /// A server answers a submit: what it names is kept, now.
    pub fn answered(&mut self, accepted: &[Accepted]) {
        for Accepted { id, existing, .. } in accepted {
            self.tally.found += u64::from(*existing);
            let is_kept = self.tasks.contains_key(id) || self.deleted.contains(id);
            self.demand(is_kept, || format!("a submit was answered with {id}, which is not in the store"));
        }
    }

    /// A handler was called.
    pub fn began(&mut self, key: LeaseKey, worker: &str) {
        self.tally.attempts += 1;
        let given = self.tasks.get(&key.id).and_then(|it| it.given.get(&key.attempt));
        let is_given = given.is_some_and(|(token, to)| *token == key.token && **to == *worker);
        let is_gone = self.deleted.contains(&key.id);
        self.demand(is_given || is_gone, || {
            format!("{worker} runs {} attempt {}, which was never given to it", key.id, key.attempt)
        });
    }

    /// A handler returned.
    pub fn returned(&mut self, key: LeaseKey, outcome: &Outcome) {
        if let (Some(known), Outcome::Succeeded(result)) = (self.tasks.get_mut(&key.id), outcome) {
            known.returned.entry(key.attempt).or_default().push(result.clone());
        }
    }

    /// A reader who waited since `begun`, for `time` at most, was answered with this task: it cannot be further than it is,
    /// and in the calm its end, or the end of his time, was long ago.
    pub fn read(&mut self, task: &Task, begun: Duration, time: Duration) {
        let Some(known) = self.tasks.get(&task.facts.id) else { return };
        let (read, is, since, id) = (task.facts.attempt, known.attempt, known.since, task.facts.id);
        let was_final = known.state.is_final() && known.ended.len() as u32 >= is;
        self.demand(read <= is, || format!("a reader saw attempt {read} of {id}, which had {is}"));
        let Some(calm) = self.calm_since.filter(|calm| begun >= *calm) else { return };
        let due = if was_final { since.max(begun).min(begun + time) } else { begun + time };
        let (late, now) = (self.now.saturating_sub(due.max(calm)), self.now);
        self.demand(late <= PROMPT_WAIT, || format!("a reader of {id} was answered at {now:?}, {late:?} late"));
        let is_told = task.facts.state.is_final() || now + PROMPT_WAIT >= begun + time;
        self.demand(is_told, || format!("a reader of {id} was answered at {now:?}, with nothing and before his time"));
    }

    /// From now on everything works.
    pub fn calm(&mut self) {
        self.calm_since = Some(self.now);
    }

    /// In the calm a wish to cancel reaches the worker soon, whichever server took it.
    pub fn cancels_are_prompt(&mut self) {
        let (now, calm) = (self.now, self.calm_since);
        let due = |it: &Known| it.asked.filter(|at| Some(*at) >= calm).is_some_and(|at| at + PROMPT_CANCEL < now);
        let deaf = |it: &Known| it.lease.as_ref().is_none_or(|lent| lent.lease.grace_until.is_none());
        let late = self.tasks.iter().find(|(_, it)| calm.is_some() && it.cancel_requested && due(it) && deaf(it));
        if let Some(id) = late.map(|it| *it.0) {
            self.break_law(|| {
                format!("nobody told the worker of {id} for {PROMPT_CANCEL:?} that it is to be cancelled")
            });
        }
    }

    /// The store was away until now: every lease that was granted before counts anew.
    pub fn outage_over(&mut self, now: Timestamp) {
        for lent in self.tasks.values_mut().filter_map(|it| it.lease.as_mut()) {
            lent.lease.count_anew(now);
        }
    }

    /// How many tasks are not final.
    pub fn unfinished(&self) -> usize {
        self.tasks.values().filter(|it| !it.state.is_final()).count()
    }

    /// One of the tasks in one of these states, or of all if there are none such; `choice` chooses.
    pub fn any(&self, states: &[State], choice: u64) -> Option<TaskId> {
        let wanted: Vec<_> = self.tasks.iter().filter(|(_, it)| states.contains(&it.state)).map(|it| *it.0).collect();
        let all = if wanted.is_empty() { self.tasks.keys().copied().collect() } else { wanted };
        all.get(choice.checked_rem(all.len() as u64)? as usize).copied()
    }

    /// A task that came into the line between these times and still stands in it, though all its gates had room since then.
    pub fn queued_between(&self, from: Duration, to: Duration) -> Option<TaskId> {
        let has_room = |it: &Limit| self.gates.get(&it.key).is_none_or(|gate| gate.was_full < to);
        let waits = |it: &Known| {
            it.state == State::Queued && it.since >= from && it.since < to && it.limits.iter().all(has_room)
        };
        self.tasks.iter().find(|(_, it)| waits(it)).map(|it| *it.0)
    }

    /// What is not final, for people: the dump of the stuck detector.
    pub fn stuck(&self) -> String {
        let unfinished = self.tasks.iter().filter(|(_, it)| !it.state.is_final());
        let lines = unfinished.map(|(id, it)| {
            let lease = it.lease.as_ref().map(|lent| lent.lease.until);
            let since = it.since;
            format!("\n  {id}: {} since {since:?}, attempt {}, lease until {lease:?}", it.state, it.attempt)
        });
        lines.collect()
    }

    /// The numbers of the end.
    pub fn count(&mut self) -> Tally {
        let of = |state| self.tasks.values().filter(|it| it.state == state).count() as u64;
        let final_ones = self.tasks.values().filter(|it| it.state.is_final()).count() as u64;
        self.tally.accepted = self.accepted.len() as u64;
        self.tally.succeeded = of(State::Succeeded);
        self.tally.otherwise = final_ones - self.tally.succeeded;
        self.tally
    }
}
