//! Webhooks and deliveries as they are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tasklane_core::outcome::Failure;
use tasklane_core::state::State;
use tasklane_core::task::{Task, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::endpoint::{Endpoint, EndpointId, Format, WhyDisabled};
use tasklane_core::webhook::event::{Events, Filter};
use tasklane_core::webhook::{EVENT_LABEL, MESSAGE_LABEL, TASK_LABEL};

/// A webhook as it is read. Its secret is in it only where it was made just now, values of its headers never.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookShape {
    /// Which.
    pub id: EndpointId,
    /// Where to.
    pub url: String,
    /// What for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Of what it is told.
    pub events: Events,
    /// Of which tasks.
    pub filter: Filter,
    /// Headers of every call; their values are hidden.
    pub headers: BTreeMap<Box<str>, Box<str>>,
    /// How bodies are written.
    pub format: Format,
    /// How many deliveries may be on their way at once.
    pub max_running: u32,
    /// Whose it is; it is told of everybody's tasks where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Why and since when nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<DisabledShape>,
    /// Nothing has reached it since.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it was set up.
    #[serde(with = "crate::time::shape")]
    pub created_at: Timestamp,
    /// What signs: shown once, when it is made or rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// That a webhook is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisabledShape {
    /// Since then.
    #[serde(with = "crate::time::shape")]
    pub at: Timestamp,
    /// Why.
    pub why: WhyDisabled,
}

impl WebhookShape {
    /// The shape of a webhook.
    pub fn new(id: EndpointId, endpoint: &Endpoint) -> Self {
        let order = endpoint.order.clone().without_secrets();
        Self {
            id,
            url: order.url.into(),
            description: order.description.into(),
            events: order.events,
            filter: order.filter,
            headers: order.headers,
            format: order.format,
            max_running: order.max_running,
            tenant: endpoint.tenant.as_deref().map(str::to_owned),
            disabled: endpoint.disabled.map(|(at, why)| DisabledShape { at, why }),
            failing_since: endpoint.failing_since,
            created_at: endpoint.created_at,
            secret: None,
        }
    }
}

/// A delivery as it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryShape {
    /// Which: the task that makes it.
    pub id: TaskId,
    /// The id by which its receiver knows it: that of the first delivery where it was sent once more.
    pub message: String,
    /// Of what it tells.
    pub event: String,
    /// Of which task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Where it stands.
    pub state: State,
    /// The number of its last attempt; 0 before the first.
    pub attempt: u32,
    /// The status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The beginning of that answer's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it is tried again.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// When what it tells happened.
    #[serde(with = "crate::time::shape")]
    pub created_at: Timestamp,
    /// When it arrived, or was given up.
    #[serde(default, with = "crate::time::optional", skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl DeliveryShape {
    /// The shape of a delivery, which is a task.
    pub fn new(task: &Task) -> Self {
        let facts = &task.facts;
        let label = |name: &str| facts.spec.labels.get(name).map(|it| it.to_string());
        let failed = task.failure.as_ref().and_then(|it: &Failure| it.details.as_deref());
        let told: Option<Value> = match &task.result {
            Some(result) => serde_json::from_slice(result).ok(),
            None => failed.and_then(|it| serde_json::from_str(it).ok()),
        };
        let status = told.as_ref().and_then(|it| u16::try_from(it["status"].as_u64()?).ok());
        let answer = told.as_ref().and_then(|it| it["body"].as_str()).filter(|it| !it.is_empty());
        Self {
            id: facts.id,
            message: label(MESSAGE_LABEL).unwrap_or_else(|| facts.id.to_string()),
            event: label(EVENT_LABEL).unwrap_or_default(),
            task: label(TASK_LABEL),
            state: facts.state,
            attempt: facts.attempt,
            status,
            answer: answer.map(str::to_owned),
            error: task.failure.as_ref().map(|it| it.message.clone()),
            next_at: facts.run_at,
            created_at: task.created_at,
            finished_at: task.finished_at,
        }
    }
}
