//! What clients read about tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tasklane_core::schedule::ScheduleId;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::failure::FailureShape;
use crate::problem::Problem;

/// A task, as a client reads it. [`super::write`] writes the same members.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Task {
    /// Which task.
    pub id: TaskId,
    /// Which code handles it.
    #[serde(rename = "type")]
    pub task_type: String,
    /// Its queue.
    pub queue: String,
    /// Where it stands.
    pub state: State,
    /// Why it is there.
    pub reason: Reason,
    /// Higher runs first.
    pub priority: i32,
    /// The input.
    pub payload: Box<RawValue>,
    /// The result; only of a succeeded task.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub result: Option<Box<RawValue>>,
    /// The last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureShape>,
    /// How far it says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressShape>,
    /// Who ran the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The number of its last attempt; 0 before the first.
    pub attempt: u32,
    /// How many attempts were charged.
    pub spent: u32,
    /// How many attempts may be charged.
    pub max_attempts: u32,
    /// The back-off.
    pub retry: serde_json::Value,
    /// Who it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Free words to find it by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Longest time of one attempt.
    #[serde(default, with = "crate::duration::optional", skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<Duration>,
    /// Longest silence of the handler.
    #[serde(default, with = "crate::duration::optional", skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout: Option<Duration>,
    /// The gates it passes by their keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<NamedGate>,
    /// The unique key it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<String>,
    /// The schedule that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleId>,
    /// The moment of that schedule for which it was made, or at which somebody had it run.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub slot: Option<Timestamp>,
    /// The task whose input this one repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<TaskId>,
    /// W3C trace context of the submitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// When it leaves `scheduled` or `retrying`.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub run_at: Option<Timestamp>,
    /// Not started by then: expired.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub start_deadline: Option<Timestamp>,
    /// Not finished by then: failed.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// When it was accepted.
    #[serde(with = "crate::time::shape")]
    pub created_at: Timestamp,
    /// When it last became queued.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    /// When the last attempt started.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it became final.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Somebody asked to cancel it.
    pub cancel_requested: bool,
    /// Set by the crash-loop guard.
    pub quarantined: bool,
}

/// A gate that a task names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedGate {
    /// Its key.
    pub key: String,
}

/// A result may be `null`, which is not the same as none.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// How far a running task says it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProgressShape {
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// A line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// JSON for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// The short answer to one submitted task of a batch: id and state where it was accepted or there already, else the error
/// (only where tasks stand alone).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AcceptedShape {
    /// Which task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<TaskId>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<Problem>>,
}

/// The answer to a batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BatchShape {
    /// In the order of the request.
    pub tasks: Vec<AcceptedShape>,
}

/// An attempt of the history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AttemptShape {
    /// Its number, from 1.
    pub attempt: u32,
    /// Who ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When it started.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended; absent while it runs.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why the task left `running`; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Whether it was charged.
    pub charged: bool,
    /// How it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureShape>,
    /// A result that did not become the task's.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    pub result: Option<Box<RawValue>>,
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; only an absent one means the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Why a task is not running.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Why {
    /// Which task.
    pub id: TaskId,
    /// Where it stands.
    pub state: State,
    /// Every reason; empty where nothing stands in its way.
    pub reasons: Vec<ReasonShape>,
}

/// One reason.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReasonShape {
    /// Stable, snake case.
    pub code: String,
    /// What stands in the way.
    pub message: String,
    /// What opens it.
    pub remedy: String,
    /// When it opens by itself, if that is known.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
}
