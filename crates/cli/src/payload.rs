//! What `submit` sends: `name=value` words, a file, or standard input. JSON stays the text it was; no number changes.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};

/// Longest input that is read; the server's own limit is lower and tells it better.
const INPUT_BYTES: u64 = 64 << 20;

/// The payload that `words` or `file` make; `None` where neither says anything.
pub(crate) fn gather(words: &[String], file: Option<&Path>) -> Result<Option<Box<RawValue>>, Failure> {
    match (words, file) {
        (_, Some(path)) if path == Path::new("-") => read(stdin().lock(), "standard input").map(Some),
        (_, Some(path)) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
            read(file, &name).map(Some)
        }
        ([dash], None) if dash == "-" => read(stdin().lock(), "standard input").map(Some),
        ([whole], None) if whole.starts_with(['{', '[', '"']) => parse(whole, "the payload").map(Some),
        ([], None) => Ok(None),
        (words, None) => object(words).map(Some),
    }
}

fn read(source: impl Read, name: &str) -> Result<Box<RawValue>, Failure> {
    let mut text = String::new();
    let read = source.take(INPUT_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Exit::Data, format!("cannot read {name}: {error}")))?;
    if text.len() as u64 > INPUT_BYTES {
        return Err(Failure::new(Exit::Data, format!("{name} is longer than {INPUT_BYTES} bytes")));
    }
    parse(text.trim(), name)
}

fn parse(text: &str, name: &str) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(text.to_owned()).map_err(|error| {
        Failure::new(Exit::Data, format!("{name} is not JSON: {error}"))
            .remedy("write JSON, or name=value words: tasklane submit report.generate month=May pages=3")
    })
}

/// `{"name":value,...}` in the order of the words.
fn object(words: &[String]) -> Result<Box<RawValue>, Failure> {
    let mut members: Vec<(&str, Box<RawValue>)> = Vec::with_capacity(words.len());
    for word in words {
        let (name, value) = pair(word)?;
        if members.iter().any(|(known, _)| *known == name) {
            return Err(Failure::usage(format!("{name:?} is given twice")));
        }
        members.push((name, value));
    }
    let text = members.iter().map(|(name, value)| format!("{}:{}", quoted(name), value.get()));
    parse(&format!("{{{}}}", text.collect::<Vec<_>>().join(",")), "the payload")
}

fn pair(word: &str) -> Result<(&str, Box<RawValue>), Failure> {
    match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value_of(value))),
        _ => Err(Failure::usage(format!("{word:?} is not name=value"))
            .remedy("give name=value words, one JSON document in quotes, -f FILE, or - for standard input")),
    }
}

/// The value itself where it is JSON, else the text as a JSON string.
fn value_of(text: &str) -> Box<RawValue> {
    let json = || RawValue::from_string(text.to_owned()).ok().filter(|_| is_number_in_range(text));
    json().unwrap_or_else(|| RawValue::from_string(quoted(text)).expect("a quoted string is JSON"))
}

/// `1e400` has the form of JSON, but no server takes it as a number: it stays the text that was typed.
fn is_number_in_range(text: &str) -> bool {
    text.parse::<f64>().map_or(true, f64::is_finite)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn made(words: &[&str]) -> Result<String, Failure> {
        let words: Vec<String> = words.iter().map(|&it| it.to_owned()).collect();
        gather(&words, None).map(|it| it.map_or_else(|| "nothing".to_owned(), |it| it.get().to_owned()))
    }

    #[test]
    fn values_are_json_where_they_can_be() {
        let words =
            ["n=5", "name=Ada", "zip=01234", "on=true", "gone=null", "list=[1,2]", "empty=", "eq=a=b", "t=\"5\""];
        let want = concat!(
            r#"{"n":5,"name":"Ada","zip":"01234","on":true,"gone":null,"list":[1,2],"#,
            r#""empty":"","eq":"a=b","t":"5"}"#
        );
        assert_eq!(made(&words).unwrap(), want);
    }

    #[test]
    fn numbers_are_sent_as_they_were_typed() {
        assert_eq!(
            made(&["big=123456789012345678901", "d=1.10"]).unwrap(),
            r#"{"big":123456789012345678901,"d":1.10}"#
        );
        assert_eq!(made(&["huge=1e400"]).unwrap(), r#"{"huge":"1e400"}"#);
    }

    #[test]
    fn one_json_document_is_the_whole_payload() {
        assert_eq!(made(&[r#"{"a": "b=c"}"#]).unwrap(), r#"{"a": "b=c"}"#);
        assert_eq!(made(&[r#"{"a":"#]).unwrap_err().exit, Exit::Data);
        assert_eq!(made(&[]).unwrap(), "nothing");
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for words in [&["plain"][..], &["=5"], &["a=1", "a=2"], &["a=1", "-"]] {
            assert_eq!(made(words).unwrap_err().exit, Exit::Usage, "{words:?}");
        }
    }

    #[test]
    fn a_file_is_read_and_a_missing_one_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("payload.json");
        std::fs::write(&path, " {\"a\":1}\n").unwrap();
        assert_eq!(gather(&[], Some(&path)).unwrap().unwrap().get(), r#"{"a":1}"#);
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert_eq!(gather(&[], Some(&path)).unwrap_err().exit, Exit::Data);
        assert!(gather(&[], Some(&dir.path().join("none"))).is_err());
    }
}
