//! What is sent: the body of a delivery.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::endpoint::{EndpointId, Format, WhyDisabled};
use super::event::EventName;
use super::outbox::Moved;
use crate::limit;
use crate::outcome::Failure;
use crate::state::{Reason, State};
use crate::task::TaskId;
use crate::time::Timestamp;

/// Where events come from, for CloudEvents.
const SOURCE: &str = "/v1/tasks";

/// The media type of bodies of this format.
pub const fn media_type(format: Format) -> &'static str {
    match format {
        Format::Standard => "application/json",
        Format::Cloudevents => "application/cloudevents+json; charset=utf-8",
    }
}

/// The media type of this body, as its first member tells.
pub fn media_type_of(body: &[u8]) -> &'static str {
    let is_cloudevent = body.starts_with(br#"{"specversion""#);
    media_type(if is_cloudevent { Format::Cloudevents } else { Format::Standard })
}

/// What a task went through: the members of an event, with what belongs to it.
#[derive(Serialize)]
struct OfTask<'m> {
    task: TaskId,
    #[serde(rename = "type")]
    task_type: &'m str,
    queue: &'m str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tenant: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<State>,
    to: State,
    reason: Reason,
    attempt: u32,
    at: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'m BTreeMap<Box<str>, Box<str>>,
    /// Of a succeeded task, unless it is larger than [`limit::RESULT_TOLD_BYTES`].
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'m RawValue>,
    /// The bytes of a result that is larger, and to be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    result_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<OfFailure<'m>>,
}

#[derive(Serialize)]
struct OfFailure<'m> {
    kind: &'m str,
    message: &'m str,
    retryable: bool,
}

#[derive(Serialize)]
struct OfEndpoint<'m> {
    webhook: EndpointId,
    url: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<WhyDisabled>,
}

#[derive(Serialize)]
struct Standard<'m, T> {
    #[serde(rename = "type")]
    name: EventName,
    timestamp: String,
    data: &'m T,
}

#[derive(Serialize)]
struct CloudEvent<'m, T> {
    specversion: &'static str,
    id: TaskId,
    source: &'static str,
    #[serde(rename = "type")]
    name: EventName,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<TaskId>,
    datacontenttype: &'static str,
    data: &'m T,
}

/// Of what a body tells, and how.
pub(super) struct Head {
    /// The delivery's own id.
    pub id: TaskId,
    /// What happened.
    pub name: EventName,
    /// When.
    pub at: Timestamp,
    /// How it is written.
    pub format: Format,
}

/// Tells what a task went through.
pub(super) fn of_task(head: &Head, moved: &Moved<'_>) -> Bytes {
    let facts = moved.facts;
    let fits = |result: &&[u8]| result.len() <= limit::RESULT_TOLD_BYTES;
    let result = moved.result.filter(fits).and_then(|it| serde_json::from_slice(it).ok());
    let failure = moved.failure.filter(|_| moved.to != State::Succeeded);
    let data = OfTask {
        task: facts.id,
        task_type: &facts.lane.task_type,
        queue: &facts.lane.queue,
        tenant: &facts.scope.tenant,
        from: moved.from,
        to: moved.to,
        reason: moved.reason,
        attempt: facts.attempt,
        at: moved.at.to_rfc3339(),
        labels: &facts.spec.labels,
        result,
        result_bytes: moved.result.map(<[u8]>::len).filter(|_| result.is_none()),
        failure: failure.map(of_failure),
    };
    write(head, Some(facts.id), &data)
}

fn of_failure(failure: &Failure) -> OfFailure<'_> {
    OfFailure { kind: failure.kind.as_str(), message: &failure.message, retryable: failure.retryable }
}

/// Tells of an endpoint itself: that it was disabled, or that somebody tries it.
pub(super) fn of_endpoint(head: &Head, webhook: EndpointId, url: &str, why: Option<WhyDisabled>) -> Bytes {
    write(head, None, &OfEndpoint { webhook, url, why })
}

fn write<T: Serialize>(head: &Head, subject: Option<TaskId>, data: &T) -> Bytes {
    let (id, name, time) = (head.id, head.name, head.at.to_rfc3339());
    let written = match head.format {
        Format::Standard => serde_json::to_vec(&Standard { name, timestamp: time, data }),
        Format::Cloudevents => serde_json::to_vec(&CloudEvent {
            specversion: "1.0",
            id,
            source: SOURCE,
            name,
            time,
            subject,
            datacontenttype: "application/json",
            data,
        }),
    };
    written.expect("texts, numbers and a result that is JSON are JSON").into()
}
