//! JSON as YAML 1.2 (yaml.org/spec/1.2.2), of which it is a part: blocks instead of braces, quotes only where they are
//! needed. Written here because every serialiser at hand would read the numbers first, and change them.

use std::fmt::Write;

use crate::failure::Failure;
use crate::shape::json::{Level, level};

/// Deepest value that gets lines of its own; what is below stays JSON, which is YAML too.
const DEPTH: usize = 32;

/// The YAML of a JSON text.
pub(crate) fn of(text: &str) -> Result<String, Failure> {
    let mut out = String::new();
    value(&mut out, text, 0, Place::Top)?;
    Ok(out)
}

/// What stands before a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Member,
    Item,
}

fn value(out: &mut String, text: &str, depth: usize, place: Place) -> Result<(), Failure> {
    let gap = if place == Place::Top { "" } else { " " };
    match level(text)? {
        Level::Object(members) if !members.is_empty() && depth < DEPTH => {
            for (place_in_it, (name, inner)) in members.iter().enumerate() {
                indent(out, depth, place, place_in_it);
                let _ = write!(out, "{}:", scalar(name));
                value(out, inner.get(), depth + 1, Place::Member)?;
            }
        }
        Level::Array(items) if !items.is_empty() && depth < DEPTH => {
            for (place_in_it, inner) in items.iter().enumerate() {
                indent(out, depth, place, place_in_it);
                out.push('-');
                value(out, inner.get(), depth + 1, Place::Item)?;
            }
        }
        Level::Text(text) => end_line(out, gap, &scalar(&text)),
        Level::Other(text) => end_line(out, gap, text),
        _ => end_line(out, gap, text.trim()),
    }
    Ok(())
}

/// The first line of a block goes on behind a dash, and begins anew behind a name.
fn indent(out: &mut String, depth: usize, place: Place, place_in_it: usize) {
    match (place, place_in_it) {
        (Place::Item, 0) => out.push(' '),
        (Place::Member, 0) => {
            out.push('\n');
            out.push_str(&"  ".repeat(depth));
        }
        _ => out.push_str(&"  ".repeat(depth)),
    }
}

fn end_line(out: &mut String, gap: &str, text: &str) {
    let _ = writeln!(out, "{gap}{text}");
}

/// Plain where nothing could be read into it, else in double quotes, whose escapes JSON and YAML share.
fn scalar(text: &str) -> String {
    let word = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.' | '/');
    let plain = text.starts_with(|it: char| it.is_ascii_alphabetic()) && text.chars().all(word);
    let means_something = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if plain && !means_something { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn blocks_take_the_place_of_braces() {
        let json = r#"{"id":"0198","type":"report.generate","num":1.10,"on":"yes","empty":{},"labels":{"a b":"c\nd"},
            "items":[{"x":1,"z":[2,3]},"z",[]],"none":null}"#;
        let want = "id: \"0198\"\ntype: report.generate\nnum: 1.10\n\"on\": \"yes\"\nempty: {}\nlabels:\n  \"a b\": \"c\\nd\"\n\
            items:\n  - x: 1\n    z:\n      - 2\n      - 3\n  - z\n  - []\nnone: null\n";
        assert_eq!(of(json).unwrap(), want);
        assert_eq!(of("[]").unwrap(), "[]\n");
        assert_eq!(of("\"a\"").unwrap(), "a\n");
    }

    #[test]
    fn what_is_too_deep_stays_json() {
        let json = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        assert!(of(&json).unwrap().trim().ends_with("]]]]]]]]"));
    }
}
