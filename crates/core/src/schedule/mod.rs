//! Schedules: rules that make tasks at times. Each time is a slot, and each slot makes one task or says why it made none.

use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::task::TaskId;
use crate::time::Timestamp;

pub mod pattern;
pub mod template;
pub mod tick;
pub mod timetable;

use self::template::Template;
use self::timetable::{Timetable, TimetableError};

/// Which schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScheduleId(pub Uuid);

/// One time of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Of which.
    pub schedule: ScheduleId,
    /// When.
    pub at: Timestamp,
}

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

impl When {
    /// The zone whose clock it means; UTC where it means none.
    pub fn zone(&self) -> TimeZone {
        match self {
            Self::Cron { zone, .. } => TimeZone::get(zone).unwrap_or(TimeZone::UTC),
            Self::Every(_) | Self::At(_) => TimeZone::UTC,
        }
    }
}

/// A moment as the clock of a zone shows it, with how far that is from UTC: `2026-03-29T03:00:00+02:00`.
pub fn local(at: Timestamp, zone: &TimeZone) -> String {
    let Ok(at) = jiff::Timestamp::from_microsecond(at.as_micros()) else { return String::new() };
    at.to_zoned(zone.clone()).strftime("%FT%T%.f%:z").to_string()
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

/// What is asked of a schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// When its slots come.
    pub when: When,
    /// No slot comes before this.
    pub starts_at: Option<Timestamp>,
    /// No slot comes after this.
    pub ends_at: Option<Timestamp>,
    /// What a slot does while an earlier task is not finished.
    pub overlap: Overlap,
    /// What becomes of slots that nobody saw.
    pub missed: Missed,
    /// Tasks start up to so much after their slot, each slot by an amount of its own.
    pub jitter: Duration,
    /// What each slot makes.
    pub task: Template,
}

impl Rule {
    /// A rule with nothing said but when and what.
    pub fn new(when: When, task: Template) -> Self {
        let (overlap, missed, jitter) = (Overlap::default(), Missed::default(), Duration::ZERO);
        Self { when, starts_at: None, ends_at: None, overlap, missed, jitter, task }
    }
}

/// Who set a schedule up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Somebody, by hand or from a program.
    Caller,
    /// The configuration.
    Config,
}

/// A schedule as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// What was asked for.
    pub rule: Rule,
    /// By whom.
    pub source: Source,
    /// When it was made.
    pub created_at: Timestamp,
    /// Nothing comes of its slots for now.
    pub paused: bool,
    /// The first slot that was not dealt with; none, where no more come.
    pub next: Option<Timestamp>,
    /// Tasks of earlier slots that were not finished when it was last looked at, where that matters to later ones.
    pub unfinished: Vec<TaskId>,
}

impl Schedule {
    /// A schedule that is made at this moment.
    ///
    /// # Errors
    /// It would never come, too often, or cannot be read.
    pub fn new(rule: Rule, source: Source, at: Timestamp) -> Result<Self, TimetableError> {
        let mut schedule = Self { rule, source, created_at: at, paused: false, next: None, unfinished: Vec::new() };
        schedule.next = schedule.timetable()?.next(at);
        Ok(schedule)
    }

    /// When its slots come.
    ///
    /// # Errors
    /// It was kept by a program that read it otherwise.
    pub fn timetable(&self) -> Result<Timetable, TimetableError> {
        let Rule { when, starts_at, ends_at, .. } = &self.rule;
        Timetable::new(when, self.created_at, *starts_at, *ends_at)
    }

    /// When something is to be done about it.
    pub fn due(&self) -> Option<Timestamp> {
        self.next.filter(|_| !self.paused)
    }

    /// The same with another rule, from this moment on.
    ///
    /// # Errors
    /// As of [`Schedule::new`].
    pub fn with(self, rule: Rule, at: Timestamp) -> Result<Self, TimetableError> {
        let mut schedule = Self { rule, ..self };
        schedule.next = schedule.timetable()?.next(at);
        Ok(schedule)
    }

    /// The same, paused or not. What came meanwhile was not missed: nothing comes of it.
    ///
    /// # Errors
    /// As of [`Schedule::timetable`].
    pub fn paused(self, paused: bool, at: Timestamp) -> Result<Self, TimetableError> {
        let next = if self.paused && !paused { self.timetable()?.next(at) } else { self.next };
        Ok(Self { paused, next, ..self })
    }
}

/// What a slot came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// Its task, or the one that its unique key led to.
    Made(TaskId),
    /// Nothing: its task was not accepted, such as by a queue that is drained.
    Refused,
    /// Nothing: nobody was there to see it, and it was not to be caught up with.
    Missed,
    /// Nothing: a task of an earlier slot was not finished.
    Overlapped,
}
