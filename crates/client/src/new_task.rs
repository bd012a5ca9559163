//! A task to be submitted.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tasklane_core::accept::{Moment, Start};
use tasklane_core::gate::Bounds;
use tasklane_core::retry::Retry;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::event::Events;
use tasklane_core::webhook::outbox::Callback;
use tasklane_core::webhook::secret::Secret;
use tasklane_wire::gate::{LimitShape, LimitsShape};
use tasklane_wire::json;
use tasklane_wire::task::{NewTask as Shape, UniqueShape};

pub use tasklane_core::accept::UniquePolicy;

use crate::error::Error;

/// A task to be submitted. What is not said is left to the server's defaults.
#[derive(Debug, Clone)]
#[must_use = "a task does nothing until it is submitted"]
pub struct NewTask {
    shape: Shape<'static>,
    payload: Result<String, String>,
}

impl NewTask {
    /// A task of this type with this input. An input that cannot be written as JSON is an error of the submit.
    pub fn new(task_type: impl Into<String>, payload: &(impl Serialize + ?Sized)) -> Self {
        let payload = serde_json::to_string(payload).map_err(|error| format!("the payload is not JSON: {error}"));
        Self::with_payload(task_type.into(), payload)
    }

    /// A task of this type whose input is JSON already. Text that is none is an error of the submit.
    pub fn json(task_type: impl Into<String>, payload: impl Into<String>) -> Self {
        let payload = payload.into();
        let checked =
            json::validate(payload.as_bytes(), 0).err().map(|error| format!("the payload is not JSON: {error}"));
        Self::with_payload(task_type.into(), checked.map_or(Ok(payload), Err))
    }

    fn with_payload(task_type: String, payload: Result<String, String>) -> Self {
        Self { shape: Shape { task_type: Cow::Owned(task_type), ..Shape::default() }, payload }
    }

    /// An id of your own, a UUIDv7: submitting the same task twice makes one.
    pub fn id(mut self, id: TaskId) -> Self {
        self.shape.id = Some(id);
        self
    }

    /// Its queue; `default` unless said.
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.shape.queue = Some(Cow::Owned(queue.into()));
        self
    }

    /// -1000 to 1000, higher runs first; 0 unless said.
    pub fn priority(mut self, priority: i32) -> Self {
        self.shape.priority = Some(priority);
        self
    }

    /// Not before this much time has passed.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.shape.start = Some(Start::After(delay));
        self
    }

    /// Not before this moment.
    pub fn run_at(mut self, at: SystemTime) -> Self {
        self.shape.start = Some(Start::At(timestamp(at)));
        self
    }

    /// If it has not started this long after acceptance, it expires.
    pub fn start_deadline(mut self, after: Duration) -> Self {
        self.shape.start_deadline = Some(Moment::After(after));
        self
    }

    /// If it has not finished this long after acceptance, it fails.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.shape.deadline = Some(Moment::After(after));
        self
    }

    /// Longest time of one attempt.
    pub fn attempt_timeout(mut self, most: Duration) -> Self {
        self.shape.attempt_timeout = Some(most);
        self
    }

    /// Longest time between two words of progress.
    pub fn heartbeat_timeout(mut self, most: Duration) -> Self {
        self.shape.heartbeat_timeout = Some(most);
        self
    }

    /// How many attempts may be charged, the first included; 3 unless said.
    pub fn max_attempts(mut self, most: u32) -> Self {
        self.shape.max_attempts = Some(most);
        self
    }

    /// How long to wait between attempts.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.shape.retry = Some(retry);
        self
    }

    /// Who the work is for.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.shape.tenant = Some(Cow::Owned(tenant.into()));
        self
    }

    /// A word to find it by.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.shape.labels.insert(Cow::Owned(key.into()), Cow::Owned(value.into()));
        self
    }

    /// A key that at most one unfinished task holds, and what happens when it is held.
    pub fn unique(mut self, key: impl Into<String>, policy: UniquePolicy) -> Self {
        self.shape.unique = Some(UniqueShape { key: Cow::Owned(key.into()), policy, held_for: None });
        self
    }

    /// Of the tasks of its tenant that name this key, no more run or start than this. It holds for all of them, until a
    /// task says something else or somebody does by hand.
    pub fn limit(mut self, key: impl Into<String>, limits: LimitsShape) -> Self {
        self.pass(key.into(), (&limits).into());
        self
    }

    /// It passes the gate of this key as that is: what was said of it, by tasks, by the configuration or by hand, holds
    /// for this task too.
    pub fn gate(mut self, key: impl Into<String>) -> Self {
        self.pass(key.into(), Bounds::default());
        self
    }

    fn pass(&mut self, key: String, bounds: Bounds) {
        self.shape.limits.retain(|it| it.key != key);
        self.shape.limits.push(LimitShape { key: Cow::Owned(key), bounds });
    }

    /// Where its end is told; `secret` (`whsec_…`) signs it, without one nothing does. A secret that is none is an error of the
    /// submit.
    pub fn callback(mut self, url: impl Into<String>, secret: Option<&str>) -> Self {
        let secret = secret.map(Secret::parse).transpose();
        match secret {
            Ok(secret) => {
                let (url, events) = (url.into().into(), Events::default());
                self.shape.callback = Some(Arc::new(Callback { url, events, secret }));
            }
            Err(error) => self.payload = Err(error.to_string()),
        }
        self
    }

    /// A key that makes it harmless to submit the same task again within 24 hours.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.shape.idempotency_key = Some(Cow::Owned(key.into()));
        self
    }

    /// Appends the JSON.
    pub(crate) fn write(self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.with_shape(|shape| shape.write(out))
    }

    /// Has something done with the whole of it.
    pub(crate) fn with_shape(self, use_it: impl FnOnce(&Shape<'_>)) -> Result<(), Error> {
        let payload = self.payload.map_err(Error::Invalid)?;
        use_it(&Shape { payload: &payload, ..self.shape });
        Ok(())
    }
}

pub(crate) fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::EPOCH.plus(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}
