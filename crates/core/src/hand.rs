//! Beside the road: what somebody may do to a task by hand.

use std::sync::Arc;

use crate::accept::Start;
use crate::decision::{Decision, Next};
use crate::error::HandError;
use crate::promote::keeping;
use crate::state::{Reason, State};
use crate::task::{Spec, Task};
use crate::time::Timestamp;

/// An action on one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// Stop it.
    Cancel,
    /// Stop it unless it runs.
    Purge,
    /// Try the same task again.
    Retry,
    /// Start it at another time.
    Reschedule(Start),
    /// Forget it.
    Delete,
}

/// What an action leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Ruling {
    /// The task changes.
    Apply(Decision),
    /// The worker is told to stop; the task changes when it reports, or when its time to do so is over.
    RequestCancel,
    /// The task is forgotten.
    Delete,
    /// It is as it was asked to be.
    Nothing,
}

/// Decides an action on `task` at `now`.
///
/// # Errors
/// [`HandError::InvalidTransition`] where the state does not allow it.
pub fn decide(task: &Task, hand: Hand, now: Timestamp) -> Result<Ruling, HandError> {
    let facts = &task.facts;
    let refused = |wanted| Err(HandError::InvalidTransition { state: facts.state, wanted });
    match (hand, facts.state) {
        (Hand::Cancel, State::Running) if facts.cancel_requested => Ok(Ruling::Nothing),
        (Hand::Cancel, State::Running) => Ok(Ruling::RequestCancel),
        (Hand::Purge, State::Running) => refused("purged"),
        (Hand::Cancel | Hand::Purge, state) if state.is_final() => refused("cancelled"),
        (Hand::Cancel | Hand::Purge, _) => {
            let failure = task.failure.clone();
            Ok(Ruling::Apply(Decision { failure, ..keeping(facts, Next::Cancelled, Reason::Cancelled) }))
        }
        (Hand::Retry, State::Failed | State::Expired | State::Cancelled) => Ok(Ruling::Apply(Decision {
            spent: 0,
            crashes: 0,
            spec: without_past_deadlines(&facts.spec, now),
            ..keeping(facts, Next::Queued, Reason::Retried)
        })),
        (Hand::Retry, _) => refused("retried"),
        (Hand::Reschedule(start), State::Scheduled | State::Blocked | State::Queued | State::Retrying) => {
            let to = start.resolve(now).map_or(Next::Queued, |at| Next::Scheduled(at.since(now)));
            let failure = task.failure.clone();
            Ok(Ruling::Apply(Decision { failure, ..keeping(facts, to, Reason::Rescheduled) }))
        }
        (Hand::Reschedule(_), _) => refused("rescheduled"),
        (Hand::Delete, state) if state.is_final() => Ok(Ruling::Delete),
        (Hand::Delete, _) => refused("deleted"),
    }
}

/// A task tried again by hand would end at once by a deadline that has passed; the hand overrules it.
fn without_past_deadlines(spec: &Arc<Spec>, now: Timestamp) -> Option<Arc<Spec>> {
    let past = |moment: Option<Timestamp>| moment.is_some_and(|it| it <= now);
    (past(spec.start_deadline) || past(spec.deadline)).then(|| {
        let start_deadline = spec.start_deadline.filter(|it| *it > now);
        let deadline = spec.deadline.filter(|it| *it > now);
        Arc::new(Spec { start_deadline, deadline, ..(**spec).clone() })
    })
}
