//! Its errors: `{"detail": ...}`, a text, or for what is wrong with a request a list as FastAPI writes it.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::answer;
use crate::error::{INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Refused};

/// Any refusal in its shape.
pub(crate) fn refusal(refused: Refused) -> Response {
    let detail = match refused.code {
        NOT_FOUND => "Not Found",
        METHOD_NOT_ALLOWED => "Method Not Allowed",
        INTERNAL => "Internal Server Error",
        _ => refused.detail(),
    };
    let body = json!({ "detail": detail }).to_string().into_bytes();
    refused.into_json(body)
}

/// A refusal of its own.
pub(super) fn detail(status: StatusCode, text: &str) -> Response {
    answer::json(status, json!({ "detail": text }).to_string())
}

/// There is no such task, or it is deleted.
pub(super) fn task_not_found() -> Response {
    detail(StatusCode::NOT_FOUND, "Task not found")
}

/// One thing that is wrong with a request.
#[derive(Debug, Serialize)]
pub(super) struct Wrong<'a> {
    #[serde(rename = "type")]
    sort: &'static str,
    loc: Vec<Value>,
    msg: &'static str,
    input: Input<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<Value>,
}

/// What stood where it is wrong.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Input<'a> {
    /// JSON of the body.
    Json(&'a RawValue),
    /// A text.
    Text(String),
    /// Nothing.
    Null,
    /// Nothing that could be read: an empty object.
    Unread {},
}

impl<'a> Wrong<'a> {
    /// Something wrong of this sort at this place: `body` or `query`, and what of it.
    pub fn new(sort: &'static str, loc: &[&str], msg: &'static str, input: Input<'a>) -> Self {
        let loc = loc.iter().map(|it| Value::from(*it)).collect();
        Self { sort, loc, msg, input, ctx: None }
    }

    /// The same, at this place within it.
    pub fn at(mut self, place: usize) -> Self {
        self.loc.push(place.into());
        self
    }

    /// The same, with what a program may go by.
    pub fn with(self, ctx: Value) -> Self {
        Self { ctx: Some(ctx), ..self }
    }
}

/// The answer to a request with these things wrong.
pub(super) fn unprocessable(wrong: &[Wrong<'_>]) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        detail: &'a [Wrong<'a>],
    }
    // Only texts and JSON that was read before: it can be written.
    let body = serde_json::to_vec(&Body { detail: wrong }).unwrap_or_default();
    answer::json(StatusCode::UNPROCESSABLE_ENTITY, body)
}
