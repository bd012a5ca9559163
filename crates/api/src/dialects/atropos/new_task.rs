//! Reads its new task: `{"task_type": text, "parameters": object = {}}`; other members are ignored.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::json;
use serde_json::value::RawValue;
use tasklane_core::limit;
use tasklane_wire::json::{Kind, Value, validate};

use super::error::{Input, Wrong};
use crate::error::{PAYLOAD_TOO_LARGE, Refused};

/// Longest type in characters.
const TYPE_CHARACTERS: usize = limit::NAME_BYTES;

/// A new task as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewTask {
    pub task_type: String,
    /// An object, JSON.
    pub parameters: Bytes,
}

/// What came of reading one.
pub(super) enum Read<'a> {
    Task(NewTask),
    Wrong(Vec<Wrong<'a>>),
}

/// Reads the body of a request with these headers.
pub(super) fn read<'a>(headers: &HeaderMap, body: &'a Bytes) -> Result<Read<'a>, Refused> {
    if body.is_empty() {
        return Ok(wrong(Wrong::new("missing", &["body"], "Field required", Input::Null)));
    }
    if !is_json(headers) {
        let text = String::from_utf8_lossy(body).into_owned();
        return Ok(wrong(not_an_object(Input::Text(text))));
    }
    match validate(body, 1) {
        Ok(text) => members(Value::new(text), body),
        Err(error) => {
            let ctx = json!({ "error": error.reason.to_string() });
            let wrong_json = Wrong::new("json_invalid", &["body"], "JSON decode error", Input::Unread {});
            Ok(wrong(wrong_json.at(error.offset).with(ctx)))
        }
    }
}

fn wrong(wrong: Wrong<'_>) -> Read<'_> {
    Read::Wrong(vec![wrong])
}

fn not_an_object(input: Input<'_>) -> Wrong<'_> {
    let message = "Input should be a valid dictionary or object to extract fields from";
    Wrong::new("model_attributes_type", &["body"], message, input)
}

/// JSON by its media type, or by having none.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(CONTENT_TYPE) else { return true };
    let media = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

fn members<'a>(value: Value<'a>, body: &Bytes) -> Result<Read<'a>, Refused> {
    let Some(members) = value.members() else { return Ok(wrong(not_an_object(input(value)))) };
    let (mut task_type, mut parameters) = (None, None);
    for (key, value) in members {
        match &*key {
            "task_type" => task_type = Some(value),
            "parameters" => parameters = Some(value),
            _ => {}
        }
    }
    let mut found = Vec::new();
    let task_type = match task_type {
        Some(value) => read_type(value).map_err(|it| found.push(it)).ok(),
        None => {
            found.push(Wrong::new("missing", &["body", "task_type"], "Field required", input(value)));
            None
        }
    };
    if let Some(value) = parameters.filter(|it| it.kind() != Kind::Object) {
        let message = "Input should be a valid dictionary";
        found.push(Wrong::new("dict_type", &["body", "parameters"], message, input(value)));
    }
    let Some(task_type) = task_type.filter(|_| found.is_empty()) else { return Ok(Read::Wrong(found)) };
    Ok(Read::Task(NewTask { task_type, parameters: slice(parameters, body)? }))
}

fn read_type(value: Value<'_>) -> Result<String, Wrong<'_>> {
    let wrong = |sort, message| Wrong::new(sort, &["body", "task_type"], message, input(value));
    let Some(text) = value.string() else { return Err(wrong("string_type", "Input should be a valid string")) };
    if text.chars().nth(TYPE_CHARACTERS).is_some() {
        let ctx = json!({ "max_length": TYPE_CHARACTERS });
        return Err(wrong("string_too_long", "String should have at most 200 characters").with(ctx));
    }
    if text.chars().any(char::is_control) {
        return Err(wrong("string_pattern_mismatch", "String should have no control characters"));
    }
    Ok(text.into_owned())
}

/// The parameters' share of the body's memory.
fn slice(parameters: Option<Value<'_>>, body: &Bytes) -> Result<Bytes, Refused> {
    let Some(text) = parameters.map(Value::text) else { return Ok(Bytes::from_static(b"{}")) };
    if text.len() > limit::PAYLOAD_BYTES {
        let detail = format!("parameters may have at most {} bytes", limit::PAYLOAD_BYTES);
        return Err(Refused::new(PAYLOAD_TOO_LARGE, detail));
    }
    Ok(body.slice_ref(text.as_bytes()))
}

fn input(value: Value<'_>) -> Input<'_> {
    serde_json::from_str::<&RawValue>(value.text()).map_or(Input::Null, Input::Json)
}
