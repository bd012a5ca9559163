//! A transition *is* the event that subscribers see.

use std::sync::Arc;

use crate::state::{Reason, State};
use crate::task::{Lane, Scope, TaskId};
use crate::time::Timestamp;

/// A task went from one state to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Which task.
    pub task: TaskId,
    /// Its queue and type.
    pub lane: Arc<Lane>,
    /// Whose it is.
    pub scope: Arc<Scope>,
    /// Where it came from; `None`: it was accepted.
    pub from: Option<State>,
    /// Where it stands now.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// The number of its last attempt.
    pub attempt: u32,
    /// When, by the store's clock.
    pub at: Timestamp,
}

/// A place in the event log: the number of a commit. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position(pub u64);
