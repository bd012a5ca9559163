//! Schedules: rules that make tasks at times. Each time is a slot, and each slot makes one task or says why it made none.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::task::TaskId;
use crate::time::Timestamp;

pub mod pattern;
pub mod tick;
pub mod timetable;

/// Which schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScheduleId(pub Uuid);

/// When slots come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At the moments of a pattern ([`pattern::Pattern`]).
    Cron {
        /// Five or six fields, or a word like `@daily`.
        pattern: Box<str>,
        /// The IANA name of the zone whose clock it means.
        zone: Box<str>,
    },
    /// Again and again after this long, counted from the schedule's start, or from when it was made.
    Every(Duration),
    /// Once.
    At(Timestamp),
}

/// What a slot does while a task of an earlier one is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Makes its task all the same.
    #[default]
    Allow,
    /// Makes none.
    Skip,
    /// Has the earlier ones cancelled, and makes its task, which starts once they have ended.
    Replace,
    /// Makes its task, which waits for the earlier one, unless another waits already.
    QueueOne,
}

/// What becomes of slots that came while no server was there to see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchUp {
    /// They make nothing.
    None,
    /// The last of them makes its task.
    #[default]
    One,
    /// Each makes its task, as far as [`Missed::cap`] goes: the last ones.
    All,
}

/// How missed slots are caught up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// Which.
    pub policy: CatchUp,
    /// At most so many at once.
    pub cap: u32,
    /// Those of longer ago make nothing.
    pub window: Duration,
}

impl Default for Missed {
    fn default() -> Self {
        Self { policy: CatchUp::default(), cap: 100, window: Duration::from_secs(24 * 3600) }
    }
}

/// How a schedule goes on, as far as it decides about slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// What a slot does while an earlier task is not finished.
    pub overlap: Overlap,
    /// What becomes of slots that nobody saw.
    pub missed: Missed,
    /// Tasks start up to so much after their slot, each slot by an amount of its own.
    pub jitter: Duration,
}

/// What a slot came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// Its task.
    Made(TaskId),
    /// Nothing: nobody was there to see it, and it was not to be caught up with.
    Missed,
    /// Nothing: a task of an earlier slot was not finished.
    Overlapped,
}
