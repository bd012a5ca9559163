//! Events as subscribers see them, and where one of them goes on.

use serde::{Deserialize, Serialize};
use tasklane_core::event::{Cursor, Position, Transition};
use tasklane_core::limit;
use tasklane_core::quarantine::Crashing;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Progress, TaskId};
use tasklane_core::time::Timestamp;

use crate::json::Object;
use crate::task::progress_members;
use crate::{log, time};

/// A task went from one state to another, as a client reads it. [`write`] writes the same members.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventShape {
    /// Which task.
    pub task: TaskId,
    /// Its type.
    #[serde(rename = "type")]
    pub task_type: String,
    /// Its queue.
    pub queue: String,
    /// Who it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Where it came from; absent: it was accepted, or this is where it stands now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<State>,
    /// Where it stands.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// The number of its last attempt; 0 before the first.
    pub attempt: u32,
    /// When.
    #[serde(with = "crate::time::shape")]
    pub at: Timestamp,
}

/// Appends a transition.
pub fn write(out: &mut Vec<u8>, event: &Transition) {
    let mut object = Object::begin(out);
    object.id("task", event.task);
    object.string("type", &event.lane.task_type);
    object.string("queue", &event.lane.queue);
    if !event.scope.tenant.is_empty() {
        object.string("tenant", &event.scope.tenant);
    }
    if let Some(from) = event.from {
        object.word("from", from.as_str());
    }
    object.word("to", event.to.as_str());
    object.word("reason", event.reason.as_str());
    object.integer("attempt", event.attempt);
    object.word("at", &time::format(event.at));
    object.end();
}

/// The name of the event that a type is crashing.
pub const TYPE_CRASHING: &str = "type.crashing";

/// Tasks of a type kill their workers, as a client reads it. [`write_crashing`] writes the same members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashingShape {
    /// The type.
    #[serde(rename = "type")]
    pub task_type: String,
    /// The queue of the last of the tasks.
    pub queue: String,
    /// How many of its tasks a row of crashes quarantined within ten minutes.
    pub tasks: u64,
    /// When the last of them was.
    #[serde(with = "crate::time::shape")]
    pub at: Timestamp,
}

/// Appends that a type is crashing.
pub fn write_crashing(out: &mut Vec<u8>, crashing: &Crashing) {
    let mut object = Object::begin(out);
    object.string("type", &crashing.task_type);
    object.string("queue", &crashing.queue);
    object.integer("tasks", crashing.tasks.min(limit::CRASHING_TASKS) as u32);
    object.word("at", &time::format(crashing.at));
    object.end();
}

/// Appends the progress of a task: its members, and which task it is.
pub fn write_progress(out: &mut Vec<u8>, task: TaskId, progress: &Progress) {
    let mut object = Object::begin(out);
    object.id("task", task);
    progress_members(&mut object, progress);
    object.end();
}

const PREFIX: &str = "e1.";

/// The cursor as the opaque text of an event's id.
pub fn encode(cursor: Cursor) -> String {
    let mut text = format!("{PREFIX}{:x}", cursor.position.0);
    if cursor.skip > 0 {
        text.push_str(&format!("-{:x}", cursor.skip));
    }
    if let Some(line) = cursor.line {
        text.push('.');
        text.push_str(&log::encode(line));
    }
    text
}

/// What [`encode`] wrote; `None` for anything else.
pub fn decode(text: &str) -> Option<Cursor> {
    let rest = text.strip_prefix(PREFIX)?;
    let (place, line) = match rest.split_once('.') {
        Some((place, line)) => (place, Some(log::decode(line)?)),
        None => (rest, None),
    };
    let (position, skip) = place.split_once('-').unwrap_or((place, "0"));
    // No log is so long, and one more must still be a number.
    let position = u64::from_str_radix(position, 16).ok().filter(|it| i64::try_from(*it).is_ok()).map(Position)?;
    let cursor = Cursor { position, skip: usize::from_str_radix(skip, 16).ok()?, line };
    (encode(cursor) == text).then_some(cursor)
}

#[cfg(test)]
mod tests {
    use tasklane_core::log::LineId;

    use super::*;

    #[test]
    fn cursors_read_back_and_nothing_else_does() {
        for skip in [0, 5] {
            for line in [None, Some(LineId { attempt: 1, n: 7 })] {
                let cursor = Cursor { position: Position(0x12ab), skip, line };
                assert_eq!(decode(&encode(cursor)), Some(cursor));
            }
        }
        for text in ["", "e1.", "e1.x", "e1.1-0", "e1.01", "e1.1.", "e1.1.l1.1", "12"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
