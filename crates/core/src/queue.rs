//! A named line of tasks with its own pause.

use crate::state::{State, words};
use crate::task::{Lane, TaskId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

words! {
    /// Whether a queue gives and takes.
    QueueState {
        /// Both.
        Active = 1 "active",
        /// Submits are accepted, nothing is leased.
        Paused = 2 "paused",
        /// Submits are refused, the rest runs.
        Draining = 3 "draining",
    }
}

/// A queue as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its name.
    pub name: Box<str>,
    /// Whether it gives and takes.
    pub state: QueueState,
    /// How many tasks stand in each state.
    pub counts: Counts,
    /// When the task that has been queued longest became so.
    pub oldest_queued_at: Option<Timestamp>,
    /// The tasks that a worker would get next are of these lanes; see `why`.
    pub next: Option<TaskId>,
}

/// A lane with its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneCounts {
    /// The lane.
    pub lane: Arc<Lane>,
    /// How many of its tasks stand in each state.
    pub counts: Counts,
}

/// How many tasks stand in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; State::ALL.len()]);

impl Counts {
    /// How many stand in `state`.
    pub fn of(&self, state: State) -> u64 {
        self.0[usize::from(state.code()) - 1]
    }

    /// Changes the number of `state` by `by`; it never falls below zero.
    pub fn add(&mut self, state: State, by: i64) {
        let count = &mut self.0[usize::from(state.code()) - 1];
        *count = count.saturating_add_signed(by);
    }

    /// Adds the numbers of others.
    pub fn add_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}
