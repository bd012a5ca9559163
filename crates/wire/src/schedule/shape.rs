//! What is read about schedules.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tasklane_core::schedule::{Came, CatchUp, Missed, Overlap, Schedule, ScheduleId, Source, When, local};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use crate::task::NewTask;

/// A schedule as it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ScheduleShape {
    /// Which.
    pub id: ScheduleId,
    /// No other one of its tenant has it.
    pub name: String,
    /// The pattern whose moments are its slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The zone whose clock the pattern means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// A slot comes again and again after this long.
    #[serde(default, with = "crate::duration::optional", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// The only slot.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What each slot makes, as a new task is written.
    pub task: Box<RawValue>,
    /// What a slot does while an earlier task is not finished.
    pub overlap: Overlap,
    /// What becomes of slots that nobody saw.
    pub missed: MissedShape,
    /// Tasks start up to so much after their slot.
    #[serde(with = "crate::duration::shape")]
    pub jitter: Duration,
    /// No slot comes before this.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// No slot comes after this.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Nothing comes of its slots for now.
    pub paused: bool,
    /// The next slot; none, where no more come, or while it is paused.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// Who set it up.
    pub set_by: Source,
    /// When it was made.
    #[serde(with = "crate::time::shape")]
    pub created_at: Timestamp,
}

/// What becomes of slots that nobody saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedShape {
    /// Which are caught up with.
    pub policy: CatchUp,
    /// At most so many at once.
    pub cap: u32,
    /// None of longer ago.
    #[serde(with = "crate::duration::shape")]
    pub window: Duration,
}

impl ScheduleShape {
    /// The shape of a schedule.
    pub fn new(id: ScheduleId, name: &str, schedule: &Schedule) -> Self {
        let rule = &schedule.rule;
        let (cron, timezone, every, at) = match &rule.when {
            When::Cron { pattern, zone } => (Some(pattern.to_string()), Some(zone.to_string()), None, None),
            When::Every(every) => (None, None, Some(*every), None),
            When::At(at) => (None, None, None, Some(*at)),
        };
        let mut task = Vec::new();
        NewTask::from(&rule.task).write(&mut task);
        // What was written from a valid task is valid JSON.
        let task = String::from_utf8(task).ok().and_then(|it| RawValue::from_string(it).ok()).unwrap_or_default();
        let Missed { policy, cap, window } = rule.missed;
        Self {
            id,
            name: name.to_owned(),
            cron,
            timezone,
            every,
            at,
            task,
            overlap: rule.overlap,
            missed: MissedShape { policy, cap, window },
            jitter: rule.jitter,
            starts_at: rule.starts_at,
            ends_at: rule.ends_at,
            paused: schedule.paused,
            next_at: schedule.due(),
            set_by: schedule.source,
            created_at: schedule.created_at,
        }
    }
}

/// Slots that are to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewShape {
    /// In their order.
    pub items: Vec<SlotShape>,
}

/// A slot that is to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotShape {
    /// When.
    #[serde(with = "crate::time::shape")]
    pub at: Timestamp,
    /// The same as the clock of its zone shows it, with how far that is from UTC.
    pub local: String,
}

impl SlotShape {
    /// Slots in the zone of what makes them.
    pub fn all(slots: &[Timestamp], when: &When) -> PreviewShape {
        let zone = when.zone();
        PreviewShape { items: slots.iter().map(|at| Self { at: *at, local: local(*at, &zone) }).collect() }
    }
}

/// What became of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It made its task, or led to the one that holds its unique key.
    Made,
    /// Nothing: nobody was there to see it, and it was not to be caught up with.
    Missed,
    /// Nothing: a task of an earlier slot was not finished.
    Overlapped,
    /// Nothing: its task was not accepted, such as by a queue that is drained.
    Refused,
}

/// A slot that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunShape {
    /// When.
    #[serde(with = "crate::time::shape")]
    pub at: Timestamp,
    /// The same as the clock of its zone shows it.
    pub local: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Its task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Where its task stands; absent where that is no longer kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

impl RunShape {
    /// What a slot came to; `state` is its task's.
    pub fn new(at: Timestamp, local: String, came: Came, state: Option<State>) -> Self {
        let (outcome, task) = match came {
            Came::Made(task) => (Outcome::Made, Some(task)),
            Came::Missed => (Outcome::Missed, None),
            Came::Overlapped => (Outcome::Overlapped, None),
            Came::Refused => (Outcome::Refused, None),
        };
        Self { at, local, outcome, task, state }
    }
}
