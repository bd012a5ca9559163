//! A failure as it is read.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tasklane_core::outcome::{Failure, FailureKind};

use crate::json::Object;

/// A failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FailureShape {
    /// What sort.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
    /// JSON for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<RawValue>>,
    /// Where it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Whether trying again may help.
    pub retryable: bool,
}

impl From<&Failure> for FailureShape {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind,
            message: failure.message.clone(),
            // Kept details were validated when they came in.
            details: failure.details.as_ref().and_then(|it| RawValue::from_string(it.to_string()).ok()),
            stack: failure.stack.clone(),
            retryable: failure.retryable,
        }
    }
}

/// Appends a failure.
pub(super) fn write(out: &mut Vec<u8>, failure: &Failure) {
    let mut object = Object::begin(out);
    object.word("kind", failure.kind.as_str());
    object.string("message", &failure.message);
    if let Some(details) = &failure.details {
        object.raw("details", details.as_bytes());
    }
    if let Some(stack) = &failure.stack {
        object.string("stack", stack);
    }
    object.bool("retryable", failure.retryable);
    object.end();
}
