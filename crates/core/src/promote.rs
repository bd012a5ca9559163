//! The second station: what becomes of a task that is not running when its next moment has come.

use crate::decision::{Decision, Next};
use crate::outcome::{Failure, FailureKind};
use crate::state::{Reason, State};
use crate::task::{Facts, Task};
use crate::time::Timestamp;

/// Decides a task that is not running at `now`; `None` if nothing is due.
pub fn decide(task: &Task, now: Timestamp) -> Option<Decision> {
    let facts = &task.facts;
    let passed = |moment: Option<Timestamp>| moment.is_some_and(|it| it <= now);
    let waits_to_start = matches!(facts.state, State::Scheduled | State::Blocked | State::Queued);
    let waits_for_time = matches!(facts.state, State::Scheduled | State::Retrying | State::Waiting);
    if facts.state.is_final() || facts.state == State::Running {
        None
    } else if passed(facts.spec.deadline) {
        Some(Decision { failure: Some(too_late()), ..keeping(facts, Next::Failed, Reason::Deadline) })
    } else if waits_to_start && facts.attempt == 0 && passed(facts.spec.start_deadline) {
        Some(keeping(facts, Next::Expired, Reason::StartDeadline))
    } else if waits_for_time && passed(facts.run_at) {
        // A retrying task keeps its last failure until it succeeds, so that a reader sees why it is tried again.
        Some(Decision { failure: task.failure.clone(), ..keeping(facts, Next::Queued, Reason::Due) })
    } else {
        None
    }
}

/// The failure of a task whose deadline passed.
pub fn too_late() -> Failure {
    Failure { retryable: false, ..Failure::new(FailureKind::Timeout, "the task's deadline passed before it was done") }
}

/// What becomes of a queued task that is not what was accepted, found when it would be leased: it fails for `cause`, and
/// no worker ever gets it.
pub fn damaged(facts: &Facts, cause: impl Into<String>) -> Decision {
    let failure = Failure { retryable: false, ..Failure::new(FailureKind::Permanent, cause) };
    Decision { failure: Some(failure), ..keeping(facts, Next::Failed, Reason::Damaged) }
}

/// A decision that changes no counter.
pub(crate) fn keeping(facts: &Facts, to: Next, reason: Reason) -> Decision {
    Decision {
        to,
        reason,
        spent: facts.spent,
        crashes: facts.crashes,
        quarantined: false,
        result: None,
        failure: None,
        spec: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::queued;
    use crate::state::permits;

    #[test]
    fn a_damaged_task_fails_for_good_uncharged_and_for_its_cause() {
        let mut task = queued();
        (task.facts.spent, task.facts.crashes) = (1, 1);
        let decision = damaged(&task.facts, "worn out");
        assert_eq!((decision.to, decision.reason), (Next::Failed, Reason::Damaged));
        assert!(permits(Some(State::Queued), State::Failed, Reason::Damaged));
        assert_eq!((decision.spent, decision.crashes, decision.quarantined), (1, 1, false));
        let failure = decision.failure.as_ref().map(|it| (it.kind, it.retryable, &*it.message));
        assert_eq!(failure, Some((FailureKind::Permanent, false, "worn out")));
    }
}
