//! The last station: what becomes of a running task after an outcome. This is the one big decision.

use crate::accept::NewTask;
use crate::decision::{Decision, Next};
use crate::lease::LeaseKey;
use crate::limit;
use crate::outcome::{Failure, FailureKind, Outcome};
use crate::promote::keeping;
use crate::state::Reason;
use crate::task::Facts;
use std::time::Duration;

/// What becomes of a running task, to be written where the compare-and-set holds: the task still runs under this lease.
/// Where somebody asked to cancel it since `facts` were read, the store writes [`overtaken`] instead.
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

/// Decides a running task; `random` is 64 random bits for the back-off.
pub fn decide(facts: &Facts, outcome: Outcome, random: u64) -> Decision {
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
        Outcome::Failed { failure, retry_after } => failed(facts, failure, retry_after, random),
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

/// What a decision becomes when somebody asked to cancel the task between the decision and its writing: as if it had
/// been decided later. The store, which alone sees the two meet, puts it in the decision's place.
pub fn overtaken(facts: &Facts, decision: Decision) -> Decision {
    let (result, failure) = (decision.result, decision.failure);
    Decision { result, failure, ..keeping(facts, Next::Cancelled, Reason::Cancelled) }
}

/// A failure: final if it says so, if it was the last attempt, or if attempt after attempt kills its worker.
pub(crate) fn failed(facts: &Facts, failure: Failure, retry_after: Option<Duration>, random: u64) -> Decision {
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
    Decision { spent, crashes, quarantined, failure: Some(failure), ..keeping(facts, to, reason) }
}
