//! Writes its task: every member always present.

use tasklane_core::state::State;
use tasklane_core::task::Task;
use tasklane_core::time::Timestamp;
use tasklane_wire::json::Object;
use tasklane_wire::time;

use super::words;

/// The label that keeps the type a caller named, where nobody serves that type.
pub(super) const TYPE_LABEL: &str = "atropos.type";

/// Appends a task.
pub(super) fn write(out: &mut Vec<u8>, task: &Task) {
    let facts = &task.facts;
    let mut object = Object::begin(out);
    object.id("id", facts.id);
    object.string("task_type", facts.spec.labels.get(TYPE_LABEL).unwrap_or(&facts.lane.task_type));
    object.word("status", words::status(facts.state));
    object.raw("parameters", &task.payload);
    object.raw("result", task.result.as_deref().unwrap_or(b"null"));
    match error(task) {
        Some(text) => object.string("error", text),
        None => object.raw("error", b"null"),
    }
    moment(&mut object, "created_at", Some(task.created_at));
    moment(&mut object, "completed_at", task.finished_at);
    moment(&mut object, "deleted_at", task.hidden_at);
    object.end();
}

/// What went wrong with a task that is failed in its words.
fn error(task: &Task) -> Option<&str> {
    let message = task.failure.as_ref().map(|it| &*it.message).filter(|it| !it.is_empty());
    match task.facts.state {
        State::Failed => Some(message.unwrap_or("The task failed")),
        State::Cancelled => Some("The task was cancelled"),
        State::Expired => Some("The task was not started in time"),
        _ => None,
    }
}

fn moment(object: &mut Object<'_>, key: &str, at: Option<Timestamp>) {
    match at {
        Some(at) => object.word(key, &six_decimals(&time::format(at))),
        None => object.raw(key, b"null"),
    }
}

/// RFC 3339 with six decimals whatever they are, so that a client may read it by one pattern.
fn six_decimals(text: &str) -> String {
    let (whole, decimals) = text.trim_end_matches('Z').split_once('.').unwrap_or((text.trim_end_matches('Z'), ""));
    format!("{whole}.{decimals:0<6}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_decimals_and_a_zone() {
        assert_eq!(six_decimals("2026-01-31T18:30:00Z"), "2026-01-31T18:30:00.000000Z");
        assert_eq!(six_decimals("2026-01-31T18:30:00.5Z"), "2026-01-31T18:30:00.500000Z");
        assert_eq!(six_decimals("2026-01-31T18:30:00.123456Z"), "2026-01-31T18:30:00.123456Z");
    }
}
