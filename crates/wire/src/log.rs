//! Log lines as they are read, and where a reader of them goes on.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tasklane_core::log::{Level, LineId, LogLine};
use tasklane_core::time::Timestamp;

use crate::json::Object;
use crate::time;

pub use crate::report::level_from_word;

/// A log line, as a client reads it. [`write`] writes the same members.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LineShape {
    /// Whose attempt it is.
    pub attempt: u32,
    /// Its number within the attempt; one that is missing was lost by the worker.
    pub n: u64,
    /// When it was said.
    #[serde(with = "crate::time::shape")]
    pub at: Timestamp,
    /// How grave.
    pub level: Level,
    /// For people.
    pub message: String,
    /// A JSON object for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Box<RawValue>>,
}

/// Appends a line.
pub fn write(out: &mut Vec<u8>, line: &LogLine) {
    let mut object = Object::begin(out);
    object.integer("attempt", line.id.attempt);
    object.raw("n", line.id.n.to_string().as_bytes());
    object.word("at", &time::format(line.at));
    object.word("level", line.level.as_str());
    object.string("message", &line.message);
    if let Some(fields) = &line.fields {
        object.raw("fields", fields.as_bytes());
    }
    object.end();
}

const PREFIX: &str = "l1.";

/// The cursor of a page that begins after `line`.
pub fn encode(line: LineId) -> String {
    format!("{PREFIX}{:x}.{:x}", line.attempt, line.n)
}

/// Where the page of `cursor` begins; `None` if [`encode`] never wrote it.
pub fn decode(cursor: &str) -> Option<LineId> {
    let (attempt, n) = cursor.strip_prefix(PREFIX)?.split_once('.')?;
    let line = LineId { attempt: u32::from_str_radix(attempt, 16).ok()?, n: u64::from_str_radix(n, 16).ok()? };
    (encode(line) == cursor).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_nothing_else_does() {
        let line = LineId { attempt: 3, n: 0xab };
        assert_eq!(decode(&encode(line)), Some(line));
        for text in ["", "l1.", "l1.3", "l1.3.aB", "l1.+3.ab", "l1.03.ab", "e1.3.ab"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn levels_have_four_words_and_are_read_by_more() {
        for (word, level) in [("INFO", Level::Info), ("Warning", Level::Warn), ("critical", Level::Error)] {
            assert_eq!(level_from_word(word), Some(level));
        }
        assert_eq!(level_from_word("loud"), None);
    }
}
