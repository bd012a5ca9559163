//! Answers.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tasklane_core::task::Task;
use tasklane_wire::json::{Array, Object};

use crate::error::Refused;

/// What a handler comes to.
pub(crate) type Answer = Result<Response, Refused>;

/// An answer of JSON.
pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// 200 with JSON.
pub(crate) fn ok(body: impl Into<Body>) -> Response {
    json(StatusCode::OK, body)
}

/// 200 with what serde makes of a shape.
pub(crate) fn shape(shape: &impl serde::Serialize) -> Answer {
    let body = serde_json::to_vec(shape).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        crate::error::internal()
    })?;
    Ok(ok(body))
}

/// A task as JSON.
pub(crate) fn task_body(task: &Task) -> Bytes {
    let mut out = Vec::with_capacity(task.payload.len() + task.result.as_ref().map_or(0, Bytes::len) + 640);
    tasklane_wire::task::write(&mut out, task);
    out.into()
}

/// 200 with `{items:[...], next_cursor?}`.
pub(crate) fn page<T>(items: &[T], write: impl Fn(&mut Vec<u8>, &T), next_cursor: Option<&str>) -> Response {
    let mut out = Vec::new();
    let mut object = Object::begin(&mut out);
    let mut array = Array::begin(object.key("items"));
    for item in items {
        write(array.item(), item);
    }
    array.end();
    if let Some(cursor) = next_cursor {
        object.string("next_cursor", cursor);
    }
    object.end();
    ok(out)
}

/// 204.
pub(crate) fn nothing() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
