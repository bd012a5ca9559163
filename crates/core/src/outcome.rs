//! What an attempt returned.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::limit;
use crate::state::words;
use std::fmt;

words! {
    /// What sort of failure it was.
    FailureKind {
        /// The handler failed.
        Error = 1 "error",
        /// The handler failed and trying again is useless.
        Permanent = 2 "permanent",
        /// An attempt, a silence or the whole task took too long.
        Timeout = 3 "timeout",
        /// The worker vanished or stalled past its lease.
        LeaseLost = 4 "lease_lost",
        /// The process that ran it was killed.
        Killed = 5 "killed",
        /// It ran out of memory.
        OutOfMemory = 6 "out_of_memory",
        /// A limit or a rule refused it.
        Rejected = 7 "rejected",
        /// A budget was spent.
        Budget = 8 "budget",
        /// A parent ended otherwise than succeeded.
        ParentFailed = 9 "parent_failed",
    }
}

impl FailureKind {
    /// Whether it says that the task may be what kills its workers.
    pub const fn is_crash(self) -> bool {
        matches!(self, Self::LeaseLost | Self::Killed | Self::OutOfMemory)
    }
}

/// How and why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
    /// JSON for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<str>>,
    /// Where it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Whether trying again may help.
    pub retryable: bool,
}

impl Failure {
    /// A failure with a message and nothing more; retryable unless permanent. A message over
    /// [`limit::FAILURE_MESSAGE_BYTES`] is cut with a marker.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let message = cut(message.into(), limit::FAILURE_MESSAGE_BYTES);
        Self { kind, message, details: None, stack: None, retryable: kind != FailureKind::Permanent }
    }
}

/// `text`, or its first `most` bytes (to a whole character) and a visible marker.
pub fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        let mut end = most;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(" … [cut]");
    }
    text
}

/// What an attempt returned.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Done; JSON.
    Succeeded(Bytes),
    /// Not done.
    Failed {
        /// How and why.
        failure: Failure,
        /// The worker's own word on when to try again, instead of the back-off.
        retry_after: Option<Duration>,
    },
    /// Call me again after this long; nothing is charged.
    Snoozed(Duration),
    /// Given back unrun; nothing is charged.
    Released,
    /// Stopped because it was told to.
    Cancelled,
}

impl Outcome {
    /// A failure of this kind, with the back-off of the task.
    pub fn failed(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Failed { failure: Failure::new(kind, message), retry_after: None }
    }

    /// The word used in metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Succeeded(_) => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Snoozed(_) => "snoozed",
            Self::Released => "released",
            Self::Cancelled => "cancelled",
        }
    }
}
