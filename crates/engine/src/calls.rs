//! What callers say to the engine and what it answers.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::accept::{Accepted, Refused};
use tasklane_core::checkpoint::{Checkpoint, Checkpointed};
use tasklane_core::error::{HandError, StoreError};
use tasklane_core::lease::{Home, LaneFilter, LeaseKey, Leased};
use tasklane_core::log::Line;
use tasklane_core::outcome::Outcome;
use tasklane_core::quarantine::Crashing;
use tasklane_core::task::{Progress, Task, TaskId};
use thiserror::Error;

/// Why a submission was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// A rule refused it.
    #[error("{}", .0.refusal)]
    Refused(Refused),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One task that was accepted.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The new task, or the one that was there.
    pub accepted: Accepted,
    /// The task as it was accepted; `None` where a key led to one that was there already.
    pub task: Option<Task>,
}

/// Why an action by hand did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HandCallError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] HandError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A worker's wish for work, as it came in.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What it serves.
    pub lanes: Arc<[LaneFilter]>,
    /// Most tasks it takes.
    pub limit: usize,
    /// How long a lease lasts without renewal.
    pub length: Duration,
    /// How long to wait for the first task.
    pub wait: Duration,
    /// The worker's name for this wish: the same one within the lease time gets the same unreported tasks.
    pub request: Option<Box<str>>,
    /// Where the worker runs.
    pub home: Home,
}

/// A lease call.
#[derive(Debug, Clone)]
pub struct LeaseCall {
    /// A label of the worker.
    pub worker: Arc<str>,
    /// What it wants.
    pub wish: Wish,
}

/// What a lease call gets.
#[derive(Debug, Default)]
pub struct LeaseReply {
    /// Tasks to run.
    pub tasks: Vec<Leased>,
    /// Tasks of this worker that somebody wants cancelled.
    pub cancel: Vec<TaskId>,
}

/// A report call.
#[derive(Debug, Clone)]
pub struct ReportCall {
    /// A label of the worker.
    pub worker: Arc<str>,
    /// Leases to begin anew.
    pub renew: Vec<LeaseKey>,
    /// Signs of life, with progress.
    pub progress: Vec<(LeaseKey, Option<Progress>)>,
    /// What running attempts say.
    pub logs: Vec<(LeaseKey, Line)>,
    /// What running attempts put aside.
    pub checkpoints: Vec<(LeaseKey, Checkpoint)>,
    /// What attempts returned.
    pub outcomes: Vec<(LeaseKey, Outcome)>,
    /// More work in the same answer.
    pub want: Option<Wish>,
}

/// What a report call gets.
#[derive(Debug, Default)]
pub struct ReportReply {
    /// Reported tasks whose lease is no longer valid; each once.
    pub lost: Vec<TaskId>,
    /// Tasks of this worker that somebody wants cancelled.
    pub cancel: Vec<TaskId>,
    /// Tasks to run.
    pub tasks: Vec<Leased>,
    /// Checkpoints that were not kept, though the lease holds.
    pub refused: Vec<RefusedCheckpoint>,
}

/// A checkpoint that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedCheckpoint {
    /// Whose it is.
    pub id: TaskId,
    /// Its name.
    pub name: Box<str>,
    /// Why.
    pub why: Checkpointed,
}

impl RefusedCheckpoint {
    /// Stable, snake case.
    pub fn code(&self) -> &'static str {
        match self.why {
            Checkpointed::DiskFull => "disk_full",
            Checkpointed::TooLarge | Checkpointed::Held | Checkpointed::Lost => "checkpoints_too_large",
        }
    }

    /// For people.
    pub fn reason(&self) -> &'static str {
        match self.why {
            Checkpointed::DiskFull => "the server's disk is full",
            Checkpointed::TooLarge | Checkpointed::Held | Checkpointed::Lost => {
                "a task keeps 1 MiB of checkpoints in all, and 1000 names; put aside less, or keep it elsewhere"
            }
        }
    }
}

/// Why a stream was not begun.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StreamError {
    /// No such task.
    #[error("there is no such task")]
    NotFound,
    /// As many streams are open as may be.
    #[error("{limit} streams are open already")]
    TooMany {
        /// The limit that was reached.
        limit: usize,
    },
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a task is not running, every reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// The task.
    pub task: Task,
    /// Empty where nothing stands in its way: it runs, or is final and not quarantined.
    pub reasons: Vec<WhyReason>,
}

/// Who asks, and what he may hear of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Everything.
    Operator,
    /// Nothing of other tenants' tasks: neither which there are, nor how many.
    Tenant,
}

/// One reason, with what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyReason {
    /// Stable, snake case: `not_due`, `back_off`, `queue_paused`, `no_worker`, `workers_busy`, `behind_others`,
    /// `quarantined`, ...
    pub code: &'static str,
    /// For people: what stands in the way.
    pub message: String,
    /// For people: what opens it.
    pub remedy: String,
    /// When it opens by itself, if that is known.
    pub opens_at: Option<tasklane_core::time::Timestamp>,
}

/// A worker heard of lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerOverview {
    /// Its label.
    pub name: Arc<str>,
    /// What it serves.
    pub lanes: Arc<[LaneFilter]>,
    /// When it last asked for work.
    pub heard_at: tasklane_core::time::Timestamp,
    /// How many tasks it runs, of those this server leased to it.
    pub running: usize,
}

/// A type that has tasks or that a worker names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeOverview {
    /// Its name.
    pub name: Box<str>,
    /// The first hundred of the queues that have tasks of it, by their names.
    pub queues: Vec<Box<str>>,
    /// How many queues have tasks of it.
    pub queue_count: usize,
    /// How many of its tasks stand in each state.
    pub counts: tasklane_core::queue::Counts,
    /// How many workers heard of lately serve it.
    pub workers: usize,
    /// Its tasks kill their workers: [`tasklane_core::quarantine`].
    pub crashing: Option<Crashing>,
}

/// Everything in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// Of the store.
    pub store: tasklane_core::ports::store::StoreStats,
    /// Queues that ever had a task.
    pub queues: usize,
    /// Workers heard of lately.
    pub workers: usize,
    /// Since this server started.
    pub uptime: Duration,
}

/// Why a task was not run again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RerunError {
    /// No such task.
    #[error("there is no such task")]
    NotFound,
    /// It is one of the system's own: it would do what it did to what came since, and nobody would be told of it.
    #[error("a task of the system's own is not run again")]
    OfSystem,
    /// A rule refused the new one.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}
