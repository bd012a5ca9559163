//! Beside the road: one action to many tasks. A bulk is carried out by a task of a system queue, so it survives restarts,
//! shows its progress and can be cancelled like any other.

use serde::{Deserialize, Serialize};

use crate::hand::Hand;
use crate::ports::store::TaskFilter;
use crate::state::State;
use crate::task::TaskId;
use crate::time::Timestamp;

/// The queue of tasks that carry out bulks.
pub const QUEUE: &str = "~bulk";
/// Their type.
pub const TYPE: &str = "bulk";

/// Which tasks, and what to do to them. Only tasks accepted before the bulk itself are meant. Its JSON is the payload of
/// the task that carries it out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bulk {
    /// Which tasks.
    pub filter: TaskFilter,
    /// What to do.
    pub action: Action,
    /// Whether to do it.
    #[serde(default)]
    pub mode: Mode,
}

/// What may be done to many tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Stop them.
    Cancel,
    /// Stop those that do not run.
    Purge,
    /// Try those again that ended otherwise than succeeded.
    Retry,
    /// Forget those that are final.
    Delete,
}

/// Whether a bulk does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It does.
    #[default]
    Apply,
    /// It only tells what it would do.
    DryRun,
}

impl Bulk {
    /// The filter for a bulk that is the task `own`: only what was accepted no later. An id of the server's own begins with
    /// the moment it was drawn, in milliseconds (RFC 9562, 5.7).
    pub fn filter_before(&self, own: TaskId) -> TaskFilter {
        let millis = i64::try_from(own.0.as_u128() >> 80).unwrap_or(i64::MAX);
        let end = Timestamp::from_micros(millis.saturating_add(1).saturating_mul(1000));
        let created_before = Some(self.filter.created_before.map_or(end, |it| it.min(end)));
        TaskFilter { created_before, ..self.filter.clone() }
    }
}

impl Action {
    /// What is done to each task.
    pub const fn hand(self) -> Hand {
        match self {
            Self::Cancel => Hand::Cancel,
            Self::Purge => Hand::Purge,
            Self::Retry => Hand::Retry,
            Self::Delete => Hand::Delete,
        }
    }

    /// Whether the action would change a task in this state, as far as the state tells.
    pub const fn concerns(self, state: State) -> bool {
        match self {
            Self::Cancel => !state.is_final(),
            Self::Purge => !state.is_final() && !matches!(state, State::Running),
            Self::Retry => matches!(state, State::Failed | State::Expired | State::Cancelled),
            Self::Delete => state.is_final(),
        }
    }

    /// The action of this word, as callers write it; [`Action::Purge`] is none of theirs.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "cancel" => Some(Self::Cancel),
            "retry" => Some(Self::Retry),
            "delete" => Some(Self::Delete),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::queued;
    use crate::hand::{self, Ruling};

    #[test]
    fn what_an_action_concerns_is_what_the_hand_allows() {
        for action in [Action::Cancel, Action::Purge, Action::Retry, Action::Delete] {
            for state in State::ALL {
                let mut task = queued();
                task.facts.state = *state;
                let ruling = hand::decide(&task, action.hand(), Timestamp::default());
                let does = ruling.is_ok_and(|it| it != Ruling::Nothing);
                assert_eq!(action.concerns(*state), does, "{action:?} {state:?}");
            }
        }
    }
}
