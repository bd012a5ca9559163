//! How a queue is doing, in few words.

use tasklane_core::error::StoreError;
use tasklane_core::queue::{Queue, QueueState};
use tasklane_core::state::State;
use tasklane_engine::{Asker, Engine, WhyReason};

/// The verdict that can be told from the queue alone; `None` where tasks wait, none runs and the cause is worth a look.
pub(super) fn at_a_glance(queue: &Queue) -> Option<&'static str> {
    let count = |state| queue.counts.of(state);
    match queue.state {
        QueueState::Paused => Some("paused"),
        QueueState::Draining => Some("draining"),
        QueueState::Active if count(State::Running) > 0 => Some("working"),
        QueueState::Active if count(State::Queued) + count(State::Blocked) > 0 => None,
        QueueState::Active if count(State::Scheduled) + count(State::Retrying) > 0 => Some("nothing is due"),
        QueueState::Active => Some("idle"),
    }
}

/// The verdict of a queue whose tasks wait while none runs, without a look at the cause.
pub(super) const WAITING: &str = "waiting for workers";

/// The verdict, with a look at what stands before the next task where that matters.
pub(super) async fn verdict(engine: &Engine, queue: &Queue) -> Result<String, StoreError> {
    if let Some(verdict) = at_a_glance(queue) {
        return Ok(verdict.to_owned());
    }
    let why = match queue.next {
        Some(next) => engine.why(next, Asker::Operator).await?,
        None => None,
    };
    let stuck = |reason: &WhyReason| matches!(reason.code, "no_worker" | "gate_full");
    let cause = why.and_then(|it| it.reasons.into_iter().find(stuck));
    Ok(cause.map_or_else(
        || WAITING.to_owned(),
        |it| {
            // What opens by itself is waited for.
            let word = if it.opens_at.is_some() { "waiting" } else { "stuck" };
            format!("{word}: {}", it.message)
        },
    ))
}
