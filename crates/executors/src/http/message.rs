//! What is posted: the task, as a worker sees it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;
use tasklane_core::lease::Leased;

/// Names the task over all its attempts, so that the other side can tell a repetition
/// (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ATTEMPT: HeaderName = HeaderName::from_static("tasklane-attempt");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

#[derive(Serialize)]
struct Message<'a> {
    id: String,
    #[serde(rename = "type")]
    task_type: &'a str,
    queue: &'a str,
    payload: Option<&'a RawValue>,
    attempt: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    tenant: &'a str,
    labels: &'a BTreeMap<Box<str>, Box<str>>,
}

/// The body.
pub(super) fn body(task: &Leased) -> Bytes {
    let facts = &task.facts;
    let message = Message {
        id: facts.id.to_string(),
        task_type: &facts.lane.task_type,
        queue: &facts.lane.queue,
        payload: serde_json::from_slice(&task.payload).ok(),
        attempt: facts.attempt,
        tenant: &facts.scope.tenant,
        labels: &facts.spec.labels,
    };
    serde_json::to_vec(&message).expect("texts, numbers and a payload that is JSON are JSON").into()
}

/// The headers: those of the target, and those that name the attempt, which no target overrides.
pub(super) fn headers(task: &Leased, of_target: &HeaderMap) -> HeaderMap {
    let facts = &task.facts;
    let mut headers = of_target.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&facts.id.to_string()).expect("an id is ASCII"));
    headers.insert(ATTEMPT, facts.attempt.into());
    let traceparent = facts.spec.traceparent.as_deref().and_then(|it| HeaderValue::from_str(it).ok());
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent);
    }
    headers
}
