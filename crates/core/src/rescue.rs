//! Beside the road: what becomes of a running task whose worker, or whose time, is lost.

use crate::decision::{Decision, Next};
use crate::outcome::{Failure, FailureKind};
use crate::promote::{keeping, too_late};
use crate::settle::failed;
use crate::state::{Reason, State};
use crate::task::{Facts, Task};
use crate::time::Timestamp;

/// What is known of the server in which an attempt runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// It runs in none, or in one that is there.
    Up,
    /// It ended, and the attempt with it.
    Ended,
}

/// Decides a running task at `now`; `None` if its lease holds and none of its times is over. `random` is 64 random bits
/// for the back-off.
pub fn decide(task: &Task, now: Timestamp, host: Host, random: u64) -> Option<Decision> {
    let facts = &task.facts;
    let lease = facts.lease.as_ref().filter(|_| facts.state == State::Running)?;
    let spec = &facts.spec;
    let lost = lease.until <= now;
    let silent = spec.heartbeat_timeout.is_some_and(|after| lease.heard_at.plus(after) <= now);
    let slow = spec.attempt_timeout.zip(facts.started_at).is_some_and(|(after, start)| start.plus(after) <= now);
    if facts.cancel_requested && (lost || lease.grace_until.is_some_and(|until| until <= now)) {
        Some(keeping(facts, Next::Cancelled, Reason::Cancelled))
    } else if spec.deadline.is_some_and(|it| it <= now) {
        let spent = facts.spent.saturating_add(1).min(spec.max_attempts);
        Some(Decision { spent, failure: Some(too_late()), ..keeping(facts, Next::Failed, Reason::Deadline) })
    } else if lost && host == Host::Ended {
        Some(cut_off(facts))
    } else if lost {
        let who = task.worker.as_deref().unwrap_or("unknown");
        let message = format!("worker {who} did not renew its lease in time: it died, stalled or was cut off");
        Some(failed(facts, Failure::new(FailureKind::LeaseLost, message), None, None, random))
    } else if slow || silent {
        let message = if slow {
            "the attempt took longer than attempt_timeout"
        } else {
            "the handler was silent for longer than heartbeat_timeout"
        };
        Some(failed(facts, Failure::new(FailureKind::Timeout, message), None, None, random))
    } else {
        None
    }
}

/// The server that ran the attempt ended under it. That costs the attempt and says nothing of the task: the row of crashes
/// stays as it is, and the task is due again at once. This is right only as what a server runs in its own process is the
/// program's own code, which cannot end the server; whatever runs others' code runs it in a process of its own.
fn cut_off(facts: &Facts) -> Decision {
    let spent = facts.spent.saturating_add(1).min(facts.spec.max_attempts);
    let failure = Failure::new(FailureKind::LeaseLost, "the server that ran it ended");
    let (to, reason) = if spent >= facts.spec.max_attempts {
        (Next::Failed, Reason::AttemptsSpent)
    } else {
        (Next::QueuedAgain, Reason::LeaseLost)
    };
    Decision { spent, failure: Some(failure), ..keeping(facts, to, reason) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::accept::tests::queued;
    use crate::lease::{Lease, Token};

    const SECOND: Duration = Duration::from_secs(1);

    fn running(spent: u32, crashes: u32) -> Task {
        let mut task = queued();
        let mut spec = (*task.facts.spec).clone();
        spec.max_attempts = 4;
        task.facts.spec = spec.into();
        task.start(Some("w"), Lease::begun(Token(7), SECOND, Timestamp::EPOCH), Timestamp::EPOCH);
        (task.facts.spent, task.facts.crashes) = (spent, crashes);
        task
    }

    #[test]
    fn an_attempt_cut_off_by_the_end_of_its_server_is_spent_and_no_crash() {
        let later = Timestamp::EPOCH.plus(SECOND);
        let ended = |spent, crashes| decide(&running(spent, crashes), later, Host::Ended, 0).expect("it is lost");
        let decision = ended(2, 2);
        assert_eq!((decision.to, decision.reason), (Next::QueuedAgain, Reason::LeaseLost));
        assert_eq!((decision.spent, decision.crashes, decision.quarantined), (3, 2, false));
        assert_eq!(decision.failure.map(|it| it.message), Some("the server that ran it ended".into()));
        let last = ended(3, 0);
        assert_eq!((last.to, last.reason, last.quarantined), (Next::Failed, Reason::AttemptsSpent, false));
        let third = decide(&running(2, 2), later, Host::Up, 0).expect("it is lost");
        assert_eq!((third.reason, third.quarantined), (Reason::CrashLoop, true));
        assert_eq!(decide(&running(0, 0), Timestamp::EPOCH, Host::Ended, 0), None, "its lease holds");
    }

    #[test]
    fn a_lease_that_is_cut_off_is_lost_at_once() {
        let mut task = running(0, 0);
        task.facts.lease.as_mut().expect("it runs").cut_off(Timestamp::EPOCH);
        assert!(decide(&task, Timestamp::EPOCH, Host::Ended, 0).is_some());
    }
}
