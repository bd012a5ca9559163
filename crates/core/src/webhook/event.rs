//! What endpoints may be told of.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::task::{Facts, Lane};

/// An event by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum EventName {
    /// A task came into this state.
    Task(State),
    /// An endpoint was disabled.
    EndpointDisabled,
    /// Somebody tries whether an endpoint hears.
    Test,
}

impl EventName {
    /// Those of a task that ended: what is told of where nobody says otherwise.
    pub const ENDS: [Self; 4] = [
        Self::Task(State::Succeeded),
        Self::Task(State::Failed),
        Self::Task(State::Cancelled),
        Self::Task(State::Expired),
    ];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task(State::Scheduled) => "task.scheduled",
            Self::Task(State::Blocked) => "task.blocked",
            Self::Task(State::Queued) => "task.queued",
            Self::Task(State::Running) => "task.running",
            Self::Task(State::Waiting) => "task.waiting",
            Self::Task(State::Retrying) => "task.retrying",
            Self::Task(State::Succeeded) => "task.succeeded",
            Self::Task(State::Failed) => "task.failed",
            Self::Task(State::Cancelled) => "task.cancelled",
            Self::Task(State::Expired) => "task.expired",
            Self::EndpointDisabled => "webhook.disabled",
            Self::Test => "webhook.test",
        }
    }

    /// All that an endpoint can ask for.
    pub fn all() -> impl Iterator<Item = Self> {
        State::ALL.iter().map(|state| Self::Task(*state)).chain([Self::EndpointDisabled])
    }

    /// Those that this word asks for: a name, `task.*` for every state of tasks, or `*` for everything.
    pub fn asked_by(word: &str) -> Vec<Self> {
        Self::all()
            .filter(|it| word == "*" || it.as_str() == word || (word == "task.*" && matches!(it, Self::Task(_))))
            .collect()
    }
}

impl From<EventName> for &'static str {
    fn from(name: EventName) -> Self {
        name.as_str()
    }
}

impl TryFrom<String> for EventName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::all().chain([Self::Test]).find(|it| it.as_str() == text).ok_or(text)
    }
}

/// Which events, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Events(BTreeSet<EventName>);

impl Default for Events {
    fn default() -> Self {
        Self(EventName::ENDS.into())
    }
}

impl Events {
    /// These.
    pub fn of(names: impl IntoIterator<Item = EventName>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether this is one of them.
    pub fn contains(&self, name: EventName) -> bool {
        self.0.contains(&name)
    }

    /// Each of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = EventName> + '_ {
        self.0.iter().copied()
    }
}

/// Of which tasks an endpoint is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// In this queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Box<str>>,
    /// Of this type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub task_type: Option<Box<str>>,
    /// For this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Box<str>>,
    /// With these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

impl Filter {
    /// Whether the task is meant.
    pub fn shows(&self, facts: &Facts) -> bool {
        let is = |wanted: &Option<Box<str>>, it: &str| wanted.as_deref().is_none_or(|wanted| wanted == it);
        let Lane { queue, task_type } = &*facts.lane;
        is(&self.queue, queue)
            && is(&self.task_type, task_type)
            && is(&self.tenant, &facts.scope.tenant)
            && self.labels.iter().all(|(key, value)| facts.spec.labels.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_words_ask_for_several() {
        for name in EventName::all().chain([EventName::Test]) {
            assert_eq!(EventName::try_from(name.as_str().to_owned()), Ok(name));
        }
        assert_eq!(EventName::asked_by("task.failed"), [EventName::Task(State::Failed)]);
        assert_eq!(EventName::asked_by("task.*").len(), State::ALL.len());
        assert_eq!(EventName::asked_by("*").len(), State::ALL.len() + 1);
        assert!(EventName::asked_by("webhook.test").is_empty(), "it is sent by hand alone");
        assert!(EventName::asked_by("task").is_empty());
    }
}
