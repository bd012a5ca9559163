//! The audit log: who changed what people set up, and who was refused. It is only ever added to, in the commit of what it tells.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bulk::Bulk;
use crate::gate::Bounds;
use crate::key::{Grant, KeyId};
use crate::queue::QueueState;
use crate::schedule::Schedule;
use crate::time::Timestamp;
use crate::webhook::endpoint::{Endpoint, Order, WhyDisabled};

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
    /// A server, of itself.
    pub const SYSTEM: &'static str = "system";

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
    /// An endpoint was set up.
    #[serde(rename = "webhook.made")]
    EndpointMade,
    /// An endpoint was changed, or enabled.
    #[serde(rename = "webhook.changed")]
    EndpointChanged,
    /// An endpoint got a new secret.
    #[serde(rename = "webhook.rotated")]
    EndpointRotated,
    /// An endpoint was disabled.
    #[serde(rename = "webhook.disabled")]
    EndpointDisabled,
    /// An endpoint was removed.
    #[serde(rename = "webhook.removed")]
    EndpointRemoved,
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
    /// An endpoint; its headers are told by their names, as they may hold secrets.
    Endpoint {
        /// What is asked of it.
        #[serde(flatten)]
        order: Box<Order>,
        /// Why it is disabled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disabled: Option<WhyDisabled>,
    },
    /// Whether a queue gives and takes.
    Queue(QueueState),
    /// What a gate lets through.
    Gate(Bounds),
    /// What was done to which tasks.
    Tasks(Box<Bulk>),
    /// Why a call was refused: the problem's code.
    Refusal(Box<str>),
}

impl Thing {
    /// What is noted of a schedule: all but the secret that signs what its tasks call back.
    pub fn schedule(schedule: &Schedule) -> Self {
        let mut noted = schedule.clone();
        let callback = &mut noted.rule.task.spec.callback;
        *callback = callback.as_ref().map(|it| Arc::new(it.without_secret()));
        Self::Schedule(Box::new(noted))
    }

    /// What is noted of an endpoint.
    pub fn endpoint(endpoint: &Endpoint) -> Self {
        let order = Box::new(endpoint.order.clone().without_secrets());
        Self::Endpoint { order, disabled: endpoint.disabled.map(|it| it.1) }
    }
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
