//! A new task as a caller writes it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tasklane_core::accept::{Moment, Start, UniquePolicy};
use tasklane_core::retry::Retry;
use tasklane_core::schedule::template::Template;
use tasklane_core::task::TaskId;
use tasklane_core::webhook::outbox::Callback;

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
    /// Whom it tells of itself.
    pub callback: Option<Arc<Callback>>,
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

/// What each slot of a schedule makes, as it would be asked for.
impl<'t> From<&'t Template> for NewTask<'t> {
    fn from(template: &'t Template) -> Self {
        let Template { spec, unique_policy, .. } = template;
        let label = |key: &'t str, value: &'t str| (Cow::Borrowed(key), Cow::Borrowed(value));
        Self {
            task_type: Cow::Borrowed(&template.task_type),
            payload: &template.payload,
            queue: Some(Cow::Borrowed(&template.queue)),
            priority: Some(template.priority),
            start_deadline: template.start_deadline.map(Moment::After),
            deadline: template.deadline.map(Moment::After),
            attempt_timeout: spec.attempt_timeout,
            heartbeat_timeout: spec.heartbeat_timeout,
            max_attempts: Some(spec.max_attempts),
            retry: Some(spec.retry.clone()),
            tenant: Some(Cow::Borrowed(&*template.tenant)).filter(|it| !it.is_empty()),
            labels: spec.labels.iter().map(|(key, value)| label(key, value)).collect(),
            unique: spec.unique.as_ref().map(|it| UniqueShape {
                key: Cow::Borrowed(&it.key),
                policy: *unique_policy,
                held_for: it.held_for,
            }),
            limits: template
                .limits
                .iter()
                .map(|it| LimitShape { key: Cow::Borrowed(&it.key), bounds: it.bounds })
                .collect(),
            // Whoever reads a schedule is not told its secret.
            callback: spec.callback.as_ref().map(|it| Arc::new(it.without_secret())),
            id: None,
            start: None,
            idempotency_key: None,
        }
    }
}

impl<'a> NewTask<'a> {
    /// A task of this type and payload (JSON) with the server's defaults.
    pub fn new(task_type: &'a str, payload: &'a str) -> Self {
        Self { task_type: task_type.into(), payload, ..Self::default() }
    }
}
