//! What a handler returns when it does not succeed.

use std::time::Duration;

use serde::Serialize;
use tasklane_core::outcome::{Failure, FailureKind, Outcome};

/// What a handler returns when it does not succeed. Any error converts into one that is tried again with the task's
/// back-off, so `?` just works.
#[derive(Debug)]
pub struct HandlerError(pub(crate) Outcome);

impl HandlerError {
    /// It failed; it is tried again with the task's back-off.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self(Outcome::failed(FailureKind::Error, message))
    }

    /// It failed, and trying again is useless.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self(Outcome::failed(FailureKind::Permanent, message))
    }

    /// It failed, and is to be tried again after this long instead of the task's back-off.
    pub fn retry_in(after: Duration, message: impl Into<String>) -> Self {
        Self(Outcome::Failed { failure: Failure::new(FailureKind::Error, message), retry_after: Some(after) })
    }

    /// It has not failed: call again after this long. Nothing is charged.
    pub fn snooze(after: Duration) -> Self {
        Self(Outcome::Snoozed(after))
    }

    /// It stopped because [`crate::TaskContext::cancelled`] told it to.
    pub fn cancelled() -> Self {
        Self(Outcome::Cancelled)
    }

    /// Adds JSON for programs to the failure; ignored where it is none, or cannot be written.
    #[must_use]
    pub fn details(mut self, details: &impl Serialize) -> Self {
        if let Outcome::Failed { failure, .. } = &mut self.0 {
            failure.details = serde_json::to_string(details).ok().map(String::into_boxed_str);
        }
        self
    }
}

impl<E: std::error::Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Self::retryable(message)
    }
}
