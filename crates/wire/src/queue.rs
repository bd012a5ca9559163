//! A queue as it is read.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasklane_core::gate::Bounds;
use tasklane_core::queue::{Counts, Queue, QueueState};
use tasklane_core::state::State;
use tasklane_core::time::Timestamp;

use crate::gate::LimitsShape;

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueShape {
    /// Its name.
    pub name: String,
    /// Whether it gives and takes.
    pub state: QueueState,
    /// How many unfinished tasks stand in each state.
    pub counts: CountsShape,
    /// How long the task that has been queued longest has been so.
    #[serde(default, with = "crate::duration::optional", skip_serializing_if = "Option::is_none")]
    pub oldest_queued_age: Option<Duration>,
    /// In few words, how it is doing.
    pub verdict: String,
    /// What its gate lets through, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsShape>,
}

/// How many unfinished tasks stand in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountsShape {
    /// Their time has not come.
    pub scheduled: u64,
    /// Parents are not done, or a gate is full.
    pub blocked: u64,
    /// May start now.
    pub queued: u64,
    /// Leased by workers.
    pub running: u64,
    /// Suspended from inside.
    pub waiting: u64,
    /// Wait for their back-off.
    pub retrying: u64,
}

impl From<&Counts> for CountsShape {
    fn from(counts: &Counts) -> Self {
        Self {
            scheduled: counts.of(State::Scheduled),
            blocked: counts.of(State::Blocked),
            queued: counts.of(State::Queued),
            running: counts.of(State::Running),
            waiting: counts.of(State::Waiting),
            retrying: counts.of(State::Retrying),
        }
    }
}

impl QueueShape {
    /// The shape of `queue` at `now`, with the bounds of its gate.
    pub fn new(queue: &Queue, now: Timestamp, verdict: impl Into<String>, limits: Option<&Bounds>) -> Self {
        Self {
            name: queue.name.to_string(),
            state: queue.state,
            counts: (&queue.counts).into(),
            oldest_queued_age: queue.oldest_queued_at.map(|it| now.since(it)),
            verdict: verdict.into(),
            limits: limits.map(LimitsShape::from),
        }
    }
}
