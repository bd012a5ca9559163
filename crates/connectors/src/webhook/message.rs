//! The headers of what is sent.

use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use tasklane_core::lease::Leased;
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::endpoint::Endpoint;
use tasklane_core::webhook::outbox::Callback;
use tasklane_core::webhook::secret::Secret;
use tasklane_core::webhook::{MESSAGE_LABEL, body, signature};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Those of a delivery to an endpoint: its own, and what names and signs the message, which none of its own overrides.
pub(super) fn to_endpoint(task: &Leased, endpoint: &Endpoint, now: Timestamp) -> HeaderMap {
    let own = endpoint.order.headers.iter();
    let own = own.filter_map(|(name, value)| Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?)));
    let mut headers: HeaderMap = own.collect::<Vec<(HeaderName, HeaderValue)>>().into_iter().collect();
    name_and_sign(&mut headers, task, endpoint.signing(now), now);
    headers
}

/// Those of a delivery to a task's own callback.
pub(super) fn to_callback(task: &Leased, callback: &Callback, now: Timestamp) -> HeaderMap {
    // Whom tasks call back may be thousands of hosts, each once.
    let mut headers = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
    name_and_sign(&mut headers, task, callback.secret.iter(), now);
    headers
}

fn name_and_sign<'s>(
    headers: &mut HeaderMap,
    task: &Leased,
    secrets: impl Iterator<Item = &'s Secret>,
    now: Timestamp,
) {
    let (facts, second) = (&task.facts, signature::second(now));
    let id = facts.spec.labels.get(MESSAGE_LABEL).map_or_else(|| facts.id.to_string(), |it| it.to_string());
    let signed = signature::sign(secrets, &id, second, &task.payload);
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set(signature::ID, &id);
    set(signature::TIMESTAMP, &second.to_string());
    if !signed.is_empty() {
        set(signature::SIGNATURE, &signed);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(body::media_type_of(&task.payload)));
    let traceparent = facts.spec.traceparent.as_deref().and_then(|it| HeaderValue::from_str(it).ok());
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent);
    }
}
