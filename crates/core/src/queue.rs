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

/// Whether the queue of this name is the system's own: it is shown and served only where it is asked for by name, and its
/// tasks make no events for subscribers.
pub fn is_of_system(name: &str) -> bool {
    name.starts_with('~')
}

/// Whether the queue `name` is meant by whoever asks for `wanted`; by `None` all are that are not the system's own.
pub fn is_meant(wanted: Option<&str>, name: &str) -> bool {
    wanted.map_or(!is_of_system(name), |wanted| wanted == name)
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
    /// When the task that has been queued longest became so, blocked by a gate or not; in a lane that tenants share, of those
    /// that stand first of their priority.
    pub oldest_queued_at: Option<Timestamp>,
    /// The first task that a worker would get; where gates block all, the first of these. See `why`.
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

/// What a task is counted as: its state, or the pseudo-state of what a caller of a dialect deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    /// In this state.
    In(State),
    /// Hidden, in this final state.
    Deleted(State),
}

/// The final states stand last among the codes of [`State`]; as deleted they follow themselves.
const FINAL: u8 = 4;
const COUNTED: usize = State::ALL.len() + FINAL as usize;

impl Counted {
    /// The number used on disk, from 1 to 14; it never changes its meaning.
    pub const fn code(self) -> u8 {
        match self {
            Self::In(state) => state.code(),
            Self::Deleted(state) => state.code() + FINAL,
        }
    }

    /// What has this number.
    pub fn from_code(code: u8) -> Option<Self> {
        let deleted = || State::from_code(code.checked_sub(FINAL)?).filter(|it| it.is_final()).map(Self::Deleted);
        State::from_code(code).map(Self::In).or_else(deleted)
    }

    /// The state, deleted or not.
    pub const fn state(self) -> State {
        match self {
            Self::In(state) | Self::Deleted(state) => state,
        }
    }

    /// Everything a task can be counted as, in the order of codes.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=COUNTED as u8).filter_map(Self::from_code)
    }
}

impl From<State> for Counted {
    fn from(state: State) -> Self {
        Self::In(state)
    }
}

/// How many tasks stand in each state, and how many of each final state are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; COUNTED]);

impl Counts {
    /// How many are counted as this: of a state, those that are not deleted.
    pub fn of(&self, counted: impl Into<Counted>) -> u64 {
        self.0[usize::from(counted.into().code()) - 1]
    }

    /// How many are deleted.
    pub fn deleted(&self) -> u64 {
        self.0[State::ALL.len()..].iter().sum()
    }

    /// Changes the number of what is counted as this by `by`; it never falls below zero.
    pub fn add(&mut self, counted: impl Into<Counted>, by: i64) {
        let count = &mut self.0[usize::from(counted.into().code()) - 1];
        *count = count.saturating_add_signed(by);
    }

    /// Adds the numbers of others.
    pub fn add_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
    }

    /// How many are final, the deleted too.
    pub fn finished(&self) -> u64 {
        Counted::all().filter(|it| it.state().is_final()).map(|it| self.of(it)).sum()
    }

    /// How many there are in all, the deleted too.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_and_only_what_is_final_can_be_deleted() {
        let all: Vec<_> = Counted::all().collect();
        assert_eq!(all.len(), COUNTED);
        for (place, counted) in all.iter().enumerate() {
            assert_eq!(usize::from(counted.code()), place + 1);
            assert!(matches!(counted, Counted::In(_)) || counted.state().is_final(), "{counted:?}");
        }
        assert_eq!((Counted::from_code(0), Counted::from_code(COUNTED as u8 + 1)), (None, None));
    }

    #[test]
    fn queues_of_the_system_are_meant_only_by_their_names() {
        let queues = ["a", "b", "~a"];
        let meant = |wanted| queues.map(|it| is_meant(wanted, it));
        assert_eq!(meant(None), [true, true, false]);
        assert_eq!((meant(Some("b")), meant(Some("~a"))), ([false, true, false], [false, false, true]));
    }

    #[test]
    fn the_deleted_are_counted_apart() {
        let mut counts = Counts::default();
        counts.add(State::Failed, 3);
        counts.add(Counted::Deleted(State::Failed), 2);
        counts.add(State::Queued, 4);
        assert_eq!((counts.of(State::Failed), counts.deleted()), (3, 2));
        assert_eq!((counts.finished(), counts.total()), (5, 9));
    }
}
