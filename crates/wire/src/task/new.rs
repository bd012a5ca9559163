//! A new task as a caller writes it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use tasklane_core::accept::{Moment, Start, UniquePolicy};
use tasklane_core::retry::Retry;
use tasklane_core::task::TaskId;

use crate::gate::LimitShape;

/// A new task. What is `None` (or empty) is left to the server's defaults.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewTask<'a> {
    /// Which code handles it.
    pub task_type: Cow<'a, str>,
    /// The input, JSON; empty is `null`.
    pub payload: &'a str,
    /// An id of the caller's own: a UUIDv7.
    pub id: Option<TaskId>,
    /// Its queue.
    pub queue: Option<Cow<'a, str>>,
    /// Higher runs first.
    pub priority: Option<i32>,
    /// `delay` or `run_at`.
    pub start: Option<Start>,
    /// Not started by then: expired.
    pub start_deadline: Option<Moment>,
    /// Not finished by then: failed.
    pub deadline: Option<Moment>,
    /// Longest time of one attempt.
    pub attempt_timeout: Option<Duration>,
    /// Longest silence of the handler.
    pub heartbeat_timeout: Option<Duration>,
    /// How many attempts may be charged.
    pub max_attempts: Option<u32>,
    /// The back-off.
    pub retry: Option<Retry>,
    /// Who it is for.
    pub tenant: Option<Cow<'a, str>>,
    /// Free words to find it by.
    pub labels: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// The unique key it is to hold.
    pub unique: Option<UniqueShape<'a>>,
    /// The gates it passes by their keys.
    pub limits: Vec<LimitShape<'a>>,
    /// The key that makes a repeated submit harmless.
    pub idempotency_key: Option<Cow<'a, str>>,
}

/// A unique key as a caller writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct UniqueShape<'a> {
    /// The key.
    pub key: Cow<'a, str>,
    /// What happens when it is held.
    pub policy: UniquePolicy,
    /// Held at least this long after acceptance.
    pub held_for: Option<Duration>,
}

impl<'a> NewTask<'a> {
    /// A task of this type and payload (JSON) with the server's defaults.
    pub fn new(task_type: &'a str, payload: &'a str) -> Self {
        Self { task_type: task_type.into(), payload, ..Self::default() }
    }
}
