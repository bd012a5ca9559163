//! Where leases come from and reports go to: the runner's port, implemented by the engine and by the client.

use std::time::Duration;

use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::lease::{LeaseKey, Leased};
use tasklane_core::log::Line;
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::BoxFuture;
use tasklane_core::task::{Progress, TaskId};
use thiserror::Error;

/// What a worker says in one exchange; every list may be empty.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Leases to begin anew.
    pub renew: Vec<LeaseKey>,
    /// Signs of life, with progress.
    pub progress: Vec<(LeaseKey, Option<Progress>)>,
    /// What running attempts say, an attempt's lines in their order.
    pub logs: Vec<(LeaseKey, Line)>,
    /// What running attempts put aside.
    pub checkpoints: Vec<(LeaseKey, Checkpoint)>,
    /// What attempts returned.
    pub outcomes: Vec<(LeaseKey, Outcome)>,
    /// More work, in the same exchange.
    pub want: Option<Want>,
}

impl Report {
    /// Whether it only asks for work.
    pub fn says_nothing(&self) -> bool {
        let Self { renew, progress, logs, checkpoints, outcomes, want: _ } = self;
        renew.is_empty() && progress.is_empty() && logs.is_empty() && checkpoints.is_empty() && outcomes.is_empty()
    }
}

/// A wish for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// Most tasks.
    pub limit: usize,
    /// How long to wait for the first; zero answers at once.
    pub wait: Duration,
}

/// What the other side says.
#[derive(Debug, Default)]
pub struct Reply {
    /// Tasks whose lease the worker no longer holds: stop them, their outcome is worth nothing.
    pub lost: Vec<TaskId>,
    /// Tasks that somebody wants cancelled: tell them.
    pub cancel: Vec<TaskId>,
    /// New work.
    pub tasks: Vec<Leased>,
    /// Items that were refused alone, each with the task it is of: why, for people.
    pub refused: Vec<(TaskId, String)>,
}

/// Why an exchange failed; the runner tries it again with back-off.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The other side did not answer, or said that it cannot now; trying again may help.
    #[error("cannot reach the server: {0}")]
    Away(String),
    /// The other side refused the exchange; trying again is useless.
    #[error("the server refused: {0}")]
    Refused(String),
}

/// Gives leases and takes reports.
pub trait LeaseSource: Send + Sync + 'static {
    /// One exchange. An exchange whose answer was lost may be repeated: outcomes are accepted twice silently, and tasks
    /// handed out unheard come back when their lease is over.
    fn exchange(&self, report: Report) -> BoxFuture<'_, Result<Reply, SourceError>>;
}
