//! The audit log: who changed what people set up, and who was refused. It is only ever added to, in the commit of what it tells.

use serde::{Deserialize, Serialize};

use crate::bulk::Bulk;
use crate::gate::Bounds;
use crate::key::{Grant, KeyId};
use crate::queue::QueueState;
use crate::schedule::Schedule;
use crate::time::Timestamp;

/// Who does something, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The name of his key; or a word for who has none ([`Actor::NOBODY`] and the like).
    pub name: Box<str>,
    /// His key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The address that he calls from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Box<str>>,
}

impl Actor {
    /// Whoever calls a server that has no keys, or shows none.
    pub const NOBODY: &'static str = "nobody";
    /// Whoever has an admin's key of the settings.
    pub const SETTING: &'static str = "setting";
    /// The configuration, at the start of a server.
    pub const CONFIG: &'static str = "config";

    /// One of those words, from nowhere.
    pub fn named(word: &str) -> Self {
        Self { name: word.into(), key: None, from: None }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Deed {
    /// A key was made.
    #[serde(rename = "key.made")]
    KeyMade,
    /// A key got a new secret.
    #[serde(rename = "key.rotated")]
    KeyRotated,
    /// A key was revoked.
    #[serde(rename = "key.revoked")]
    KeyRevoked,
    /// A revoked key was forgotten.
    #[serde(rename = "key.removed")]
    KeyRemoved,
    /// A schedule was set up.
    #[serde(rename = "schedule.made")]
    ScheduleMade,
    /// A schedule was changed, paused or resumed.
    #[serde(rename = "schedule.changed")]
    ScheduleChanged,
    /// A schedule was removed.
    #[serde(rename = "schedule.removed")]
    ScheduleRemoved,
    /// A queue was paused, resumed or drained.
    #[serde(rename = "queue.controlled")]
    QueueControlled,
    /// It was said what a gate lets through.
    #[serde(rename = "gate.set")]
    GateSet,
    /// What was said of a gate was forgotten.
    #[serde(rename = "gate.removed")]
    GateRemoved,
    /// Many tasks were cancelled, retried or deleted at once.
    #[serde(rename = "tasks.changed")]
    TasksChanged,
    /// A call was refused, for its key.
    #[serde(rename = "access.refused")]
    AccessRefused,
}

/// What something was, or became.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    /// What a key grants.
    Key(Grant),
    /// A schedule.
    Schedule(Box<Schedule>),
    /// Whether a queue gives and takes.
    Queue(QueueState),
    /// What a gate lets through.
    Gate(Bounds),
    /// What was done to which tasks.
    Tasks(Box<Bulk>),
    /// Why a call was refused: the problem's code.
    Refusal(Box<str>),
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
    /// What was done.
    pub deed: Deed,
    /// To what: its name; the route of a call that was refused.
    pub what: Box<str>,
    /// What it was before, where it was something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Thing>,
    /// What it became, where it is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Thing>,
}
