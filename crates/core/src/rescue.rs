//! Beside the road: what becomes of a running task whose worker, or whose time, is lost.

use crate::decision::{Decision, Next};
use crate::outcome::{Failure, FailureKind};
use crate::promote::{keeping, too_late};
use crate::settle::failed;
use crate::state::{Reason, State};
use crate::task::Task;
use crate::time::Timestamp;

/// Decides a running task at `now`; `None` if its lease holds and none of its times is over. `random` is 64 random bits
/// for the back-off.
pub fn decide(task: &Task, now: Timestamp, random: u64) -> Option<Decision> {
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
