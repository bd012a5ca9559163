//! JSON as text: taken apart one level at a time, and made to fit a line.

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};

/// A JSON value, one level of it.
#[derive(Debug)]
pub(crate) enum Level<'a> {
    /// Members in their order.
    Object(Vec<(String, &'a RawValue)>),
    /// Items.
    Array(Vec<&'a RawValue>),
    /// A string, read.
    Text(String),
    /// A number, `true`, `false` or `null`, as it was written.
    Other(&'a str),
}

/// The outermost level of `text`.
pub(crate) fn level(text: &str) -> Result<Level<'_>, Failure> {
    let text = text.trim();
    let read = match text.as_bytes().first() {
        Some(b'{') => serde_json::Deserializer::from_str(text).deserialize_map(Members).map(Level::Object),
        Some(b'[') => serde_json::from_str(text).map(Level::Array),
        Some(b'"') => serde_json::from_str(text).map(Level::Text),
        _ => serde_json::from_str::<IgnoredAny>(text).map(|_| Level::Other(text)),
    };
    read.map_err(|error| Failure::new(Exit::Failed, format!("the answer is not JSON: {error}")))
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry().map_err(A::Error::custom)? {
            members.push(member);
        }
        Ok(members)
    }
}

/// `text` without blanks between its parts, so that it stands on one line.
pub(crate) fn compact(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let keep = |it: &char| {
        let kept = inside || !matches!(it, ' ' | '\t' | '\n' | '\r');
        match (inside, escaped, it) {
            (true, true, _) => escaped = false,
            (true, false, '\\') => escaped = true,
            (_, false, '"') => inside = !inside,
            _ => {}
        }
        kept
    };
    text.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_document_fits_a_line_and_stays_what_it_was() {
        let text = "{ \"a b\" :\n [1.10, \"x \\\" y\"]\t}";
        assert_eq!(compact(text), "{\"a b\":[1.10,\"x \\\" y\"]}");
    }

    #[test]
    fn one_level_is_read_in_its_order() {
        let Level::Object(members) = level(r#" {"b": 1.10, "a": [1]} "#).unwrap() else { panic!() };
        let shown: Vec<_> = members.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        assert_eq!(shown, [("b", "1.10"), ("a", "[1]")]);
        assert!(level("{").is_err() && level("").is_err());
    }
}
