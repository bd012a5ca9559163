//! The only door into the engine: a cheap clone of one shared inside.

use std::time::Duration;

use tasklane_core::accept::{Accepted, Submission};
use tasklane_core::error::StoreError;
use tasklane_core::event::Position;
use tasklane_core::hand::Hand;
use tasklane_core::ports::store::{EventPage, SharedStore, StoreStats, TaskFilter, TaskPage};
use tasklane_core::queue::{Queue, QueueState};
use tasklane_core::task::{Attempt, Task, TaskId};

use crate::calls::{HandCallError, LeaseCall, LeaseReply, ReportCall, ReportReply, SubmitError, Why};

/// The engine's handle.
#[derive(Clone)]
pub struct Engine {
    store: SharedStore,
}

impl Engine {
    /// A new id for a task, greater than every one this server drew before.
    pub fn draw_id(&self) -> TaskId {
        todo!()
    }

    /// Accepts a submission: on disk when this answers.
    pub async fn submit(&self, _submission: Submission) -> Result<Vec<Accepted>, SubmitError> {
        todo!()
    }

    /// Gives work to a worker, or waits for it. Dropped before it answered, what it would have got is released unspent.
    pub async fn lease(&self, _call: LeaseCall) -> Result<LeaseReply, StoreError> {
        todo!()
    }

    /// Takes a worker's report, and gives it work if it wants some.
    pub async fn report(&self, _call: ReportCall) -> Result<ReportReply, StoreError> {
        todo!()
    }

    /// Releases, unspent, tasks whose worker's connection was found closed before the answer was written.
    pub async fn release(&self, _tasks: Vec<tasklane_core::lease::LeaseKey>) -> Result<(), StoreError> {
        todo!()
    }

    /// Cancels, retries, reschedules or deletes a task; answers with the task afterwards (before, if it was deleted).
    pub async fn hand(&self, _id: TaskId, _hand: Hand) -> Result<Task, HandCallError> {
        todo!()
    }

    /// A new task with the input of an old one.
    pub async fn rerun(&self, _id: TaskId) -> Result<Task, RerunError> {
        todo!()
    }

    /// The task, when it is final or `wait` is over; `None`: no such task. A `wait` of zero answers at once.
    pub async fn wait(&self, _id: TaskId, _wait: Duration) -> Result<Option<Task>, StoreError> {
        todo!()
    }

    /// The tasks with these ids.
    pub async fn tasks(&self, ids: Vec<TaskId>) -> Result<Vec<Option<Task>>, StoreError> {
        self.store.tasks(ids).await
    }

    /// A page of tasks, newest first.
    pub async fn list(&self, filter: TaskFilter, below: Option<TaskId>, limit: usize) -> Result<TaskPage, StoreError> {
        self.store.list(filter, below, limit).await
    }

    /// The attempts of a task.
    pub async fn attempts(&self, id: TaskId) -> Result<Option<Vec<Attempt>>, StoreError> {
        self.store.attempts(id).await
    }

    /// Why a task is not running.
    pub async fn why(&self, _id: TaskId) -> Result<Option<Why>, StoreError> {
        todo!()
    }

    /// All queues, or the one of this name.
    pub async fn queues(&self, name: Option<Box<str>>) -> Result<Vec<Queue>, StoreError> {
        self.store.queues(name).await
    }

    /// Pauses, resumes or drains a queue and answers with it afterwards; `None`: it never had a task.
    pub async fn control(&self, _queue: &str, _to: QueueState) -> Result<Option<Queue>, StoreError> {
        todo!()
    }

    /// Events after `after`.
    pub async fn events(&self, after: Position, limit: usize) -> Result<EventPage, StoreError> {
        self.store.events(after, limit).await
    }

    /// Sizes of the store.
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.store.stats().await
    }

    /// Whether the engine takes work: `Err` says why not.
    pub fn ready(&self) -> Result<(), String> {
        todo!()
    }

    /// Every metric of the engine in the OpenMetrics text format.
    pub async fn metrics(&self) -> String {
        todo!()
    }

    /// Stops handing out work and answers parked lease requests with nothing; submits, reports and reads go on.
    pub fn drain(&self) {
        todo!()
    }

    /// Ends the engine's loops and closes the store.
    pub async fn stop(&self) {
        todo!()
    }
}

/// Why a task was not run again.
#[derive(Debug, thiserror::Error)]
pub enum RerunError {
    /// No such task.
    #[error("there is no such task")]
    NotFound,
    /// A rule refused the new one.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}
