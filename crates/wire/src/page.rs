//! Cursors: opaque to callers; here the id below which the next page begins.

use tasklane_core::task::TaskId;

use crate::read::task_id;

/// Of this version, so that a later form can tell them apart.
const PREFIX: &str = "c1.";

/// The cursor of a page that begins below `id`.
pub fn encode(id: TaskId) -> String {
    format!("{PREFIX}{}", id.0.simple())
}

/// Where the page of `cursor` begins; `None` if [`encode`] never wrote it.
pub fn decode(cursor: &str) -> Option<TaskId> {
    let text = cursor.strip_prefix(PREFIX).filter(|it| it.len() == 32)?;
    let id = uuid::Uuid::try_parse(text).ok()?;
    task_id(&id.to_string()).filter(|it| encode(*it) == cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_nothing_else_does() {
        let id = task_id("0192f0c1-2345-7abc-8def-0123456789ab").unwrap();
        assert_eq!(decode(&encode(id)), Some(id));
        for text in ["", "c1.", "c1.x", "c2.0192f0c123457abc8def0123456789ab", "0192f0c1-2345-7abc-8def-0123456789ab"] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode("c1.0192F0C123457ABC8DEF0123456789AB"), None, "another spelling");
    }
}
