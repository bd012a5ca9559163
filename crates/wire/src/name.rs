//! Which texts are names.

use tasklane_core::gate::EVERY_TENANT;
use tasklane_core::limit;
use tasklane_core::queue::is_of_system;

use crate::json::Value;
use crate::read::{self, Findings, Path};
use std::borrow::Cow;

/// Whether `text` is a type: `[A-Za-z0-9._:/-]{1,200}`.
pub fn is_type(text: &str) -> bool {
    let allowed = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b':' | b'/' | b'-');
    (1..=limit::NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether `text` can name a queue, a tenant, a worker, a key or a label: 1 to [`limit::NAME_BYTES`] bytes without control
/// characters.
pub fn is_name(text: &str) -> bool {
    (1..=limit::NAME_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether `text` names a queue that callers may submit to and lease from: not a system queue (`~`), not the `*` that stands for
/// every queue.
pub fn is_queue(text: &str) -> bool {
    is_name(text) && !is_of_system(text) && text != "*"
}

/// A type.
pub fn task_type<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<Cow<'a, str>> {
    let text = read::string(value, at, findings)?;
    if is_type(&text) {
        return Some(text);
    }
    findings.invalid(at, "must be 1 to 200 of the characters A-Z a-z 0-9 . _ : / -");
    None
}

/// A name.
pub fn name<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<Cow<'a, str>> {
    let text = read::string(value, at, findings)?;
    if is_name(&text) {
        return Some(text);
    }
    findings.invalid(at, "must be 1 to 200 bytes without control characters");
    None
}

/// A tenant's name.
pub fn tenant<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<Cow<'a, str>> {
    let text = name(value, at, findings)?;
    if text != EVERY_TENANT {
        return Some(text);
    }
    findings.invalid(at, "* stands for every tenant; a task is for one");
    None
}

/// The key of a gate that a task passes.
pub fn gate_key<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<Cow<'a, str>> {
    let text = name(value, at, findings)?;
    if !is_of_system(&text) {
        return Some(text);
    }
    findings.invalid(at, "keys beginning with ~ are the system's own");
    None
}

/// A queue's name.
pub fn queue<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<Cow<'a, str>> {
    let text = name(value, at, findings)?;
    if is_queue(&text) {
        return Some(text);
    }
    findings.invalid(at, "queues beginning with ~ are the system's own, and * is every queue");
    None
}
