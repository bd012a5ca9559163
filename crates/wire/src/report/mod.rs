//! Handing in work: a batch of renewals, progress and outcomes, and what it gets.

mod notes;
mod read_report;
mod reply;
mod write_report;

use std::sync::Arc;

use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::lease::LeaseKey;
use tasklane_core::log::Line;
use tasklane_core::outcome::Outcome;
use tasklane_core::task::{Progress, TaskId};

use crate::lease::Want;

pub use notes::level_from_word;
pub use read_report::ITEMS;
pub use reply::{RefusedItem, ReportReply};

/// What a worker says. Each item stands alone.
#[derive(Debug, Default)]
pub struct Report {
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
    /// More work, in the same answer.
    pub want: Option<Want>,
    /// Tasks whose lease text names no attempt of theirs: they are lost without asking the store. Only read, never written.
    pub unknown: Vec<TaskId>,
}
