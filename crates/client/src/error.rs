//! Why a call did not do what it was to do.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_wire::problem::Problem;
use tasklane_wire::task::FailureShape;
use thiserror::Error as ThisError;

/// Why a call did not do what it was to do.
#[derive(Debug, Clone, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// What the caller gave is not right; nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// There was no connection, so nothing was done; trying again is safe.
    #[error("cannot reach the server at {url}: {cause}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What happened.
        cause: String,
    },
    /// The request went out and no answer came back: **it may or may not have been done**. A submit whose task has an
    /// idempotency key, a unique key or an id of its own can be repeated without making a second task.
    #[error("no answer, so it is not known whether the request was done: {cause}")]
    OutcomeUnknown {
        /// What happened.
        cause: String,
    },
    /// The server said no.
    #[error("{}", shown(problem))]
    Refused {
        /// What it said.
        problem: Arc<Problem>,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The task was not final when the time was over.
    #[error("task {id} is still {state}")]
    NotFinished {
        /// Which task.
        id: TaskId,
        /// Where it stood.
        state: State,
    },
    /// The task ended otherwise than with a result.
    #[error("task {id} {state}{}", failure.as_ref().map(|it| format!(": {} ({})", it.message, it.kind.as_str())).unwrap_or_default())]
    TaskFailed {
        /// Which task.
        id: TaskId,
        /// How it ended: failed, cancelled or expired.
        state: State,
        /// The failure, with its kind and message; absent where it never ran.
        failure: Option<Arc<FailureShape>>,
    },
    /// The answer was not what a Tasklane server says, or the result is not of the type that was asked for.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
}

impl Error {
    /// The stable code of the problem, where the server said no.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { problem, .. } => Some(&problem.code),
            _ => None,
        }
    }
}

fn shown(problem: &Problem) -> String {
    let mut text = format!("{} ({})", problem.detail, problem.code);
    for error in &problem.errors {
        text.push_str(&format!("; {}: {}", error.path, error.message));
    }
    text
}
