//! The last station: what becomes of a running task after an outcome. This is the one big decision.

use crate::accept::NewTask;
use crate::decision::{Decision, Next};
use crate::lease::LeaseKey;
use crate::limit;
use crate::outcome::{Failure, FailureKind, Outcome, cut};
use crate::promote::keeping;
use crate::state::{Reason, State};
use crate::task::Facts;
use std::time::Duration;

/// What becomes of a running task, to be written where the compare-and-set holds: the task still runs under this lease.
/// The store writes [`Settlement::on`].
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The lease it is written under.
    pub key: LeaseKey,
    /// The facts it was decided on.
    pub facts: Facts,
    /// What becomes of the task.
    pub decision: Decision,
    /// Tasks accepted in the same commit, where the compare-and-set held.
    pub then: Vec<NewTask>,
}

impl Settlement {
    /// The decision to be written on a task that is as `now` says: the one that was made; or, where somebody asked to
    /// cancel the task since its facts were read, as if it had been made later. The store alone sees the two meet.
    pub fn on(&self, now: &Facts) -> Decision {
        let decision = self.decision.clone();
        if !now.cancel_requested || self.facts.cancel_requested {
            return decision;
        }
        let (result, failure) = (decision.result, decision.failure);
        Decision { result, failure, ..keeping(&self.facts, Next::Cancelled, Reason::Cancelled) }
    }
}

/// How a report was decided. The one that settled an attempt is kept, so that its repetition is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Where the task was to go.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

impl Mark {
    /// The mark of this decision.
    pub fn of(decision: &Decision) -> Self {
        Self { to: decision.to.state(), reason: decision.reason }
    }

    /// Whether a report of the same attempt repeats the one that settled it as `settled`, whereupon the task is in `state`.
    /// A report repeated after the cancellation became known to the reporter is decided as cancelled, and so it was written.
    pub fn repeats(self, settled: Option<Self>, state: State) -> bool {
        let is_cancelled = state == State::Cancelled && self.to == State::Cancelled;
        settled.is_some_and(|settled| settled == self || is_cancelled)
    }
}

/// What the store says of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Written.
    Held,
    /// This very attempt was settled the same way before; accepted silently.
    Repeated,
    /// The lease is no longer valid: nothing was written.
    Lost,
}

/// Decides a running task, whose attempt `worker` reports; `random` is 64 random bits for the back-off.
pub fn decide(facts: &Facts, outcome: Outcome, worker: &str, random: u64) -> Decision {
    if facts.cancel_requested && outcome != Outcome::Released {
        return cancelled(facts, outcome);
    }
    match outcome {
        Outcome::Succeeded(result) => Decision {
            spent: facts.spent.saturating_add(1).min(facts.spec.max_attempts),
            crashes: 0,
            result: Some(result),
            ..keeping(facts, Next::Succeeded, Reason::Succeeded)
        },
        Outcome::Failed { failure, retry_after } => failed(facts, failure, Some(worker), retry_after, random),
        Outcome::Snoozed(after) => Decision { crashes: 0, ..keeping(facts, Next::Scheduled(after), Reason::Snoozed) },
        Outcome::Released if facts.cancel_requested => cancelled(facts, Outcome::Released),
        Outcome::Released => keeping(facts, Next::QueuedAgain, Reason::Released),
        Outcome::Cancelled => cancelled(facts, Outcome::Cancelled),
    }
}

/// Any report after a cancellation was asked for settles the task as cancelled; a success keeps its result in the attempt.
fn cancelled(facts: &Facts, outcome: Outcome) -> Decision {
    let (result, failure) = match outcome {
        Outcome::Succeeded(result) => (Some(result), None),
        Outcome::Failed { failure, .. } => (None, Some(failure)),
        Outcome::Snoozed(_) | Outcome::Released | Outcome::Cancelled => (None, None),
    };
    Decision { result, failure, ..keeping(facts, Next::Cancelled, Reason::Cancelled) }
}

/// A failure: final if it says so, if it was the last attempt, or if attempt after attempt kills its worker. `worker` is
/// who it was, unless the failure names it.
pub(crate) fn failed(
    facts: &Facts,
    failure: Failure,
    worker: Option<&str>,
    retry_after: Option<Duration>,
    random: u64,
) -> Decision {
    let spent = facts.spent.saturating_add(1).min(facts.spec.max_attempts);
    let crashed = failure.kind.is_crash();
    let crashes = if crashed { facts.crashes + 1 } else { 0 };
    let (to, reason, quarantined) = if !failure.retryable || failure.kind == FailureKind::Permanent {
        (Next::Failed, Reason::Permanent, false)
    } else if crashes >= limit::CRASHES_IN_A_ROW {
        (Next::Failed, Reason::CrashLoop, true)
    } else if spent >= facts.spec.max_attempts {
        (Next::Failed, Reason::AttemptsSpent, crashed)
    } else if failure.kind == FailureKind::LeaseLost && crashes < 2 {
        // A worker that vanished once says nothing about the task: it is due again at once, at the place it had.
        (Next::QueuedAgain, Reason::LeaseLost, false)
    } else {
        let after = retry_after.unwrap_or_else(|| facts.spec.retry.delay(spent, random));
        let lost = failure.kind == FailureKind::LeaseLost;
        (Next::Retrying(after), if lost { Reason::LeaseLost } else { Reason::AttemptFailed }, false)
    };
    let failure = if quarantined { of_quarantined(failure, worker, crashes) } else { failure };
    Decision { spent, crashes, quarantined, failure: Some(failure), ..keeping(facts, to, reason) }
}

/// The failure, with who ran the last attempt and why there is no other.
fn of_quarantined(mut failure: Failure, worker: Option<&str>, crashes: u32) -> Failure {
    let who = worker.map(|it| format!("worker {it}; ")).unwrap_or_default();
    let why = if crashes >= limit::CRASHES_IN_A_ROW {
        format!("after {crashes} attempts in a row that ended like this")
    } else {
        "as the last attempt it had ended like this".to_owned()
    };
    let note = format!(" ({who}quarantined {why})");
    failure.message = cut(failure.message, limit::FAILURE_MESSAGE_BYTES.saturating_sub(note.len())) + &note;
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::queued;
    use crate::lease::{Lease, Token};
    use crate::time::Timestamp;

    fn succeeded() -> Settlement {
        let (mut task, at) = (queued(), Timestamp::EPOCH);
        task.start(None, Lease::begun(Token(7), Duration::from_secs(1), at), at);
        let decision = decide(&task.facts, Outcome::Succeeded("1".into()), "w", 0);
        let key = LeaseKey { id: task.facts.id, attempt: 1, token: Token(7) };
        Settlement { key, facts: task.facts, decision, then: Vec::new() }
    }

    #[test]
    fn a_wish_to_cancel_overtakes_what_was_decided_without_knowing_of_it() {
        let mut settlement = succeeded();
        assert_eq!(settlement.on(&settlement.facts), settlement.decision);
        let asked = Facts { cancel_requested: true, ..settlement.facts.clone() };
        let later = decide(&asked, Outcome::Succeeded("1".into()), "w", 0);
        assert_eq!((later.to, settlement.on(&asked)), (Next::Cancelled, later));
        settlement.facts.cancel_requested = true;
        assert_eq!(settlement.on(&asked), settlement.decision, "whoever decided knew of it");
    }

    fn killed(crashes: u32, max_attempts: u32, message: &str) -> Decision {
        let mut task = queued();
        let mut spec = (*task.facts.spec).clone();
        spec.max_attempts = max_attempts;
        task.facts.spec = spec.into();
        task.start(None, Lease::begun(Token(7), Duration::from_secs(1), Timestamp::EPOCH), Timestamp::EPOCH);
        (task.facts.crashes, task.facts.spent) = (crashes, crashes);
        decide(&task.facts, Outcome::failed(FailureKind::Killed, message), "mill-7", 0)
    }

    #[test]
    fn the_failure_of_a_quarantined_task_names_the_worker_that_ran_it_last() {
        let message = |decision: Decision| decision.failure.expect("it failed").message;
        let row = killed(2, 9, "signal 11");
        assert!(row.quarantined);
        let named = "signal 11 (worker mill-7; quarantined after 3 attempts in a row that ended like this)";
        assert_eq!(message(row), named);
        let named = "signal 11 (worker mill-7; quarantined as the last attempt it had ended like this)";
        assert_eq!(message(killed(0, 1, "signal 11")), named);
        assert_eq!(message(killed(1, 9, "signal 11")), "signal 11", "one more is left to it");
        let long = message(killed(2, 9, &"x".repeat(limit::FAILURE_MESSAGE_BYTES)));
        assert!(long.len() <= limit::FAILURE_MESSAGE_BYTES + 20 && long.contains("[cut] (worker mill-7;"));
    }

    #[test]
    fn a_report_repeats_the_one_that_settled_or_any_where_both_are_cancelled() {
        let succeeded = Mark::of(&succeeded().decision);
        let cancelled = Mark { to: State::Cancelled, reason: Reason::Cancelled };
        assert_eq!(succeeded, Mark { to: State::Succeeded, reason: Reason::Succeeded });
        assert!(succeeded.repeats(Some(succeeded), State::Succeeded));
        assert!(!cancelled.repeats(Some(succeeded), State::Succeeded), "the task did not end so");
        assert!(cancelled.repeats(Some(succeeded), State::Cancelled), "the success was overtaken");
        assert!(succeeded.repeats(Some(succeeded), State::Cancelled), "nor did the reporter know of it");
        assert!(!succeeded.repeats(Some(cancelled), State::Cancelled));
        assert!(!succeeded.repeats(None, State::Succeeded) && !cancelled.repeats(None, State::Cancelled));
    }
}
