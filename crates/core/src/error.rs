//! Why a request about tasks is refused. `api` is the only place that turns these into HTTP.

use thiserror::Error;

use crate::state::State;
use crate::task::TaskId;

/// Why a submission was refused; nothing of it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The idempotency key was used within 24 hours for another body.
    #[error("the idempotency key was already used for a different task (task {task})")]
    IdempotencyMismatch {
        /// The task the key made.
        task: TaskId,
    },
    /// The id belongs to a task made by a different request.
    #[error("the id {task} belongs to a task made by a different request")]
    IdTaken {
        /// The id that is taken.
        task: TaskId,
    },
    /// The unique key is held and the policy is `reject`.
    #[error("the unique key is held by task {task}")]
    UniqueHeld {
        /// Who holds it.
        task: TaskId,
    },
    /// The queue takes no new tasks.
    #[error("queue {queue:?} is draining: it finishes what it has and takes nothing new")]
    QueueDraining {
        /// Which queue.
        queue: String,
    },
    /// The server keeps no more lanes (queue and type pairs).
    #[error("the server already keeps {limit} pairs of queue and type")]
    TooManyLanes {
        /// The limit that was reached ([`crate::limit::LANES`]).
        limit: usize,
    },
    /// The server keeps no more strands (queue, type and tenant with the same keys of gates).
    #[error("the server already keeps {limit} combinations of queue, type, tenant and limits")]
    TooManyGates {
        /// The limit that was reached ([`crate::limit::STRANDS`]).
        limit: usize,
    },
    /// No room on the disk; what was accepted before stays.
    #[error("the disk is full")]
    DiskFull,
}

/// Why an action by hand (cancel, retry, reschedule, delete) was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandError {
    /// No such task.
    #[error("there is no such task")]
    NotFound,
    /// The task's state does not allow it.
    #[error("a task that is {state} cannot be {wanted}")]
    InvalidTransition {
        /// The state the task is in.
        state: State,
        /// What was asked for, as a past participle (`cancelled`, `retried`).
        wanted: &'static str,
    },
    /// Another unfinished task holds the unique key.
    #[error("the unique key is held by task {task}")]
    UniqueHeld {
        /// Who holds it.
        task: TaskId,
    },
}

/// Why the store did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No room to write; reads go on.
    #[error("the disk is full")]
    DiskFull,
    /// The store cannot be reached or was closed; the same call may work later.
    #[error("the store is away: {0}")]
    Away(String),
    /// What is stored is damaged or of a version this program does not know.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}
