//! The laws of DESIGN §2 and §3 under random commands: a small world around one task, in which everybody who may touch a
//! task does so at random moments, and which checks every step.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tasklane_core::accept::{Deadlines, Moment, NewTask, Start, UniquePolicy, replace};
use tasklane_core::decision::Decision;
use tasklane_core::gate::Limit;
use tasklane_core::hand::{self, Hand, Ruling};
use tasklane_core::lease::{Lease, LeaseKey, Token};
use tasklane_core::outcome::{Failure, FailureKind, Outcome};
use tasklane_core::rescue::Host;
use tasklane_core::retry::Retry;
use tasklane_core::settle::Settlement;
use tasklane_core::state::{Reason, State, permits};
use tasklane_core::task::{Facts, Lane, Scope, Spec, Task, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_core::{promote, rescue, settle};
use uuid::Uuid;

/// What somebody does. Times are seconds.
#[derive(Debug, Clone)]
enum Command {
    Pass(u64),
    Lease { length: u64 },
    Renew { nth_key: usize },
    Report { nth_key: usize, outcome: Outcome },
    Hand(Hand),
    DeliverCancel,
    Replace { delay: u64 },
    Promote,
    Rescue,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let kind = prop::sample::select(FailureKind::ALL);
    let failed =
        (kind, any::<bool>(), prop::option::of(0_u64..600)).prop_map(|(kind, retryable, after)| Outcome::Failed {
            failure: Failure { retryable, ..Failure::new(kind, "no") },
            retry_after: after.map(Duration::from_secs),
        });
    prop_oneof![
        2 => Just(Outcome::Succeeded(Bytes::from_static(b"1"))),
        4 => failed,
        1 => (0_u64..600).prop_map(|after| Outcome::Snoozed(Duration::from_secs(after))),
        2 => Just(Outcome::Released),
        1 => Just(Outcome::Cancelled),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let hands = vec![
        Hand::Cancel,
        Hand::Purge,
        Hand::Retry,
        Hand::Reschedule(Start::Now),
        Hand::Reschedule(Start::After(Duration::from_secs(30))),
        Hand::Delete,
        Hand::Hide,
    ];
    prop_oneof![
        4 => (0_u64..900).prop_map(Command::Pass),
        6 => (1_u64..120).prop_map(|length| Command::Lease { length }),
        2 => any::<usize>().prop_map(|nth_key| Command::Renew { nth_key }),
        6 => (any::<usize>(), outcome()).prop_map(|(nth_key, outcome)| Command::Report { nth_key, outcome }),
        3 => prop::sample::select(hands).prop_map(Command::Hand),
        1 => Just(Command::DeliverCancel),
        1 => (0_u64..60).prop_map(|delay| Command::Replace { delay }),
        5 => Just(Command::Promote),
        4 => Just(Command::Rescue),
    ]
}

fn new_task() -> impl Strategy<Value = NewTask> {
    let seconds = |range: std::ops::Range<u64>| prop::option::weighted(0.3, range.prop_map(Duration::from_secs));
    let spec =
        (1_u32..6, seconds(1..300), seconds(1..300), any::<bool>()).prop_map(|(max, attempt, silence, jitter)| Spec {
            max_attempts: max,
            attempt_timeout: attempt,
            heartbeat_timeout: silence,
            retry: Retry::Delays { delays: vec![Duration::from_secs(1), Duration::from_secs(60)], jitter },
            ..Spec::default()
        });
    (spec, 0_u64..60, seconds(1..3000), seconds(1..6000)).prop_map(|(spec, delay, start, end)| NewTask {
        id: TaskId(Uuid::from_u128(1)),
        lane: Lane::new("default", "demo"),
        scope: Scope::native(),
        payload: Bytes::from_static(b"null"),
        start: if delay == 0 { Start::Now } else { Start::After(Duration::from_secs(delay)) },
        priority: 0,
        limits: Limit::none(),
        spec: Spec::share(spec),
        deadlines: Deadlines { start: start.map(Moment::After), end: end.map(Moment::After) },
        unique_policy: UniquePolicy::Return,
        idempotency: None,
    })
}

/// One task, the time, and everything that must hold over its whole life.
struct World {
    now: Timestamp,
    task: Task,
    newer: NewTask,
    random: u64,
    keys: Vec<LeaseKey>,
    attempts: BTreeSet<u32>,
}

impl World {
    fn new(new: NewTask) -> Self {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let task = new.clone().into_task(now);
        assert!(permits(None, task.facts.state, Reason::Accepted));
        Self { now, task, newer: new, random: 7, keys: Vec::new(), attempts: BTreeSet::new() }
    }

    fn draw(&mut self) -> u64 {
        self.random = tasklane_core::lease::mix(self.random, 1);
        self.random
    }

    /// What every store does with a lease: the compare-and-set on state, attempt and token.
    fn holds(&self, key: &LeaseKey) -> bool {
        self.task.facts.runs_under(key)
    }

    fn apply(&mut self, decision: Decision, by_hand: bool) {
        let (from, quarantined) = (self.task.facts.state, decision.quarantined);
        let spent_before = self.task.facts.spent;
        let applied = self.task.apply(decision, self.now);
        let (to, reason) = (self.task.facts.state, self.task.reason);
        assert!(permits(Some(from), to, reason), "{from} -> {to} for {reason} is not in the table");
        assert!(!from.is_final() || by_hand, "{from} -> {to} for {reason}: a final task changed without a hand");
        let ended_by_outcome = matches!(
            reason,
            Reason::AttemptFailed | Reason::AttemptsSpent | Reason::Permanent | Reason::CrashLoop | Reason::LeaseLost
        );
        if ended_by_outcome || reason == Reason::Succeeded {
            assert_eq!(self.task.facts.spent, spent_before + 1, "{reason} did not charge the attempt");
        } else {
            assert!(self.task.facts.spent >= spent_before || reason == Reason::Retried, "attempts were given back");
        }
        assert!(!quarantined || to == State::Failed);
        if let Some(ended) = applied.ended {
            assert_eq!(ended.attempt, self.task.facts.attempt);
            assert!(ended.ended_at.is_some() && ended.reason.is_some());
        }
    }

    fn lease(&mut self, length: u64) {
        // A store leases what is queued and not already due for an end.
        if self.task.facts.state != State::Queued || promote::decide(&self.task, self.now).is_some() {
            return;
        }
        let token = Token(self.draw());
        self.task.start(None, Lease::begun(token, Duration::from_secs(length), self.now), self.now);
        let facts = &self.task.facts;
        assert!(permits(Some(State::Queued), State::Running, Reason::Leased));
        assert!(facts.spent < facts.spec.max_attempts, "an attempt was started that must not be charged any more");
        assert!(self.attempts.last().is_none_or(|last| *last < facts.attempt), "attempt {} is not new", facts.attempt);
        self.attempts.insert(facts.attempt);
        self.keys.push(LeaseKey { id: facts.id, attempt: facts.attempt, token });
    }

    fn hand(&mut self, hand: Hand) {
        match hand::decide(&self.task, hand, self.now) {
            Ok(Ruling::Apply(decision)) => self.apply(decision, true),
            Ok(Ruling::RequestCancel) => {
                assert_eq!(self.task.facts.state, State::Running);
                self.task.facts.cancel_requested = true;
            }
            Ok(Ruling::Hide) => {
                assert!(self.task.facts.state.is_final(), "an unfinished task was hidden");
                self.task.hidden_at = Some(self.now);
            }
            Ok(Ruling::Delete) => assert!(self.task.facts.state.is_final(), "an unfinished task was deleted"),
            Ok(Ruling::Nothing) | Err(_) => {}
        }
    }

    fn report(&mut self, nth_key: usize, outcome: Outcome) {
        let Some(key) = (!self.keys.is_empty()).then(|| self.keys[nth_key % self.keys.len()]) else { return };
        if self.holds(&key) {
            let cancelled = self.task.facts.cancel_requested;
            let random = self.draw();
            // Half of the time the facts are those of before the cancellation, as a server that holds them has them.
            let stale = cancelled && random.is_multiple_of(2);
            let facts = Facts { cancel_requested: cancelled && !stale, ..self.task.facts.clone() };
            let decision = settle::decide(&facts, outcome, "w", random);
            let settlement = Settlement { key, facts, decision, then: Vec::new() };
            self.apply(settlement.on(&self.task.facts), false);
            assert!(!cancelled || self.task.facts.state == State::Cancelled, "a cancelled task went on");
        }
    }

    fn step(&mut self, command: Command) {
        match command {
            Command::Pass(seconds) => self.now = self.now.plus(Duration::from_secs(seconds)),
            Command::Lease { length } => self.lease(length),
            Command::Renew { nth_key } => {
                let Some(key) = (!self.keys.is_empty()).then(|| self.keys[nth_key % self.keys.len()]) else { return };
                if self.holds(&key) {
                    self.task.facts.lease.as_mut().unwrap().renew(self.now);
                }
            }
            Command::Report { nth_key, outcome } => self.report(nth_key, outcome),
            Command::Hand(hand) => self.hand(hand),
            Command::DeliverCancel => {
                self.task.facts.begin_grace(self.now);
            }
            Command::Replace { delay } => {
                if self.task.facts.attempt == 0 && !self.task.facts.state.is_final() {
                    let from = self.task.facts.state;
                    let newer = NewTask { start: Start::After(Duration::from_secs(delay)), ..self.newer.clone() };
                    replace(&mut self.task, newer, self.now);
                    assert!(permits(Some(from), self.task.facts.state, Reason::Replaced));
                }
            }
            Command::Promote => {
                if let Some(decision) = promote::decide(&self.task, self.now) {
                    self.apply(decision, false);
                }
            }
            Command::Rescue => {
                let random = self.draw();
                let host = if random.is_multiple_of(3) { Host::Ended } else { Host::Up };
                if let Some(decision) = rescue::decide(&self.task, self.now, host, random) {
                    self.apply(decision, false);
                }
            }
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        let facts = &self.task.facts;
        assert!(facts.spent <= facts.spec.max_attempts, "{} of {} spent", facts.spent, facts.spec.max_attempts);
        let valid = self.keys.iter().filter(|key| self.holds(key)).count();
        assert_eq!(valid, usize::from(facts.state == State::Running), "valid leases of a task that is {}", facts.state);
        assert_eq!(facts.lease.is_some(), facts.state == State::Running);
        assert_eq!(self.task.finished_at.is_some(), facts.state.is_final());
        assert_eq!(self.task.result.is_some(), facts.state == State::Succeeded);
        assert!(!self.task.quarantined || facts.state == State::Failed);
        assert!(self.task.hidden_at.is_none() || facts.state.is_final(), "a hidden task went on");
        let waits = matches!(facts.state, State::Scheduled | State::Retrying | State::Waiting);
        assert_eq!(facts.run_at.is_some(), waits, "run_at of a task that is {}", facts.state);
        self.check_due();
    }

    /// `due_at` is when promote or rescue next has something to do: never too late, and nothing happens before it.
    fn check_due(&self) {
        let acts =
            |at| promote::decide(&self.task, at).is_some() || rescue::decide(&self.task, at, Host::Up, 0).is_some();
        match self.task.facts.due_at() {
            Some(due) => {
                assert!(acts(due), "{}: nothing happens when it is due", self.task.facts.state);
                assert!(!acts(due.minus(Duration::from_micros(1))), "{}: due too late", self.task.facts.state);
            }
            None => assert!(!acts(Timestamp::MAX), "{}: nobody would look at it again", self.task.facts.state),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_commands_breaks_a_law(new in new_task(), commands in prop::collection::vec(command(), 1..80)) {
        let mut world = World::new(new);
        world.check();
        for command in commands {
            world.step(command);
            world.check();
        }
    }
}
