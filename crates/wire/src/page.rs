//! Cursors: opaque to callers; here the id below which the next page begins.

use tasklane_core::task::TaskId;

use crate::read::task_id;

/// Of this version, so that a later form can tell them apart.
const PREFIX: &str = "c1.";
const NAME_PREFIX: &str = "n1.";

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

/// The cursor of a page that begins after `name`.
pub fn encode_name(name: &str) -> String {
    let mut cursor = NAME_PREFIX.to_owned();
    for byte in name.bytes() {
        cursor.extend([byte >> 4, byte & 15].map(|it| char::from_digit(it.into(), 16).unwrap_or('0')));
    }
    cursor
}

/// The name after which the page of `cursor` begins; `None` if [`encode_name`] never wrote it.
pub fn decode_name(cursor: &str) -> Option<String> {
    let digits = cursor.strip_prefix(NAME_PREFIX)?.as_bytes();
    let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let bytes: Option<Vec<u8>> =
        digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect();
    let name = String::from_utf8(bytes?).ok()?;
    (encode_name(&name) == cursor).then_some(name)
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
        for name in ["", "q", "a/ü:*"] {
            assert_eq!(decode_name(&encode_name(name)).as_deref(), Some(name));
        }
        for text in ["", "n1.q", "n1.6", "n1.ff", "n1.6A", "c1.61"] {
            assert_eq!(decode_name(text), None, "{text}");
        }
        assert_eq!(decode("c1.0192F0C123457ABC8DEF0123456789AB"), None, "another spelling");
    }
}
