//! What a running attempt says and puts aside: the items of `logs` and `checkpoints`, read and written.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::lease::LeaseKey;
use tasklane_core::log::{Level, Line};

use crate::json::{Array, Kind, Object, Value};
use crate::lease::encode;
use crate::read::{self, Findings, Path, put};
use crate::{duration, name};

/// The members of an item of `logs` besides id, lease and message, or of `checkpoints`.
#[derive(Default)]
pub(super) struct Note<'a> {
    n: Option<u64>,
    level: Option<Level>,
    message: Option<Cow<'a, str>>,
    fields: Option<&'a str>,
    after: Option<Duration>,
    name: Option<Box<str>>,
    data: Option<&'a str>,
}

impl<'a> Note<'a> {
    pub(super) fn log_member(&mut self, key: &str, value: Value<'a>, at: &Path<'_>, findings: &mut Findings) {
        match key {
            "n" => {
                let n = read::integer(value, 0..=i64::MAX, at, findings).map(i64::cast_unsigned);
                put(&mut self.n, n, at, findings);
            }
            "level" => put(&mut self.level, level(value, at, findings), at, findings),
            "message" => put(&mut self.message, read::string(value, at, findings), at, findings),
            "fields" if value.kind() == Kind::Object => put(&mut self.fields, Some(value.text()), at, findings),
            "fields" => findings.wrong_type(at, "an object", value),
            "after" => put(&mut self.after, read::duration(value, at, findings), at, findings),
            _ => findings.unknown(at),
        }
    }

    pub(super) fn checkpoint_member(&mut self, key: &str, value: Value<'a>, at: &Path<'_>, findings: &mut Findings) {
        match key {
            "name" => put(&mut self.name, name::name(value, at, findings).map(Box::from), at, findings),
            "data" => put(&mut self.data, Some(value.text()), at, findings),
            _ => findings.unknown(at),
        }
    }

    /// What an item of this list lacks.
    pub(super) fn missing(&self, list: &str) -> [(&'static str, bool); 5] {
        let (log, checkpoint) = (list == "logs", list == "checkpoints");
        [
            ("n", log && self.n.is_none()),
            ("level", log && self.level.is_none()),
            ("message", log && self.message.is_none()),
            ("name", checkpoint && self.name.is_none()),
            ("data", checkpoint && self.data.is_none()),
        ]
    }

    /// The line, within its limits.
    pub(super) fn line(self) -> Option<Line> {
        let (message, fields) = (self.message?.into_owned(), self.fields.map(Box::from));
        let after = self.after.unwrap_or_default();
        Some(Line { n: self.n?, level: self.level?, message, fields, after }.fit())
    }

    /// The checkpoint; how large it may be is not the wire's to say.
    pub(super) fn checkpoint(self, body: &Bytes) -> Option<Checkpoint> {
        Some(Checkpoint { name: self.name?, data: body.slice_ref(self.data?.as_bytes()) })
    }
}

/// The level that `word` names, in any case: also the words that logging of other languages has.
pub fn level_from_word(word: &str) -> Option<Level> {
    let known = |it: &&Level| it.as_str().eq_ignore_ascii_case(word);
    Level::ALL.iter().find(known).copied().or_else(|| match &*word.to_ascii_lowercase() {
        "trace" | "notset" => Some(Level::Debug),
        "notice" => Some(Level::Info),
        "warning" => Some(Level::Warn),
        "critical" | "fatal" => Some(Level::Error),
        _ => None,
    })
}

fn level(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Level> {
    let word = read::string(value, at, findings)?;
    let level = level_from_word(&word);
    if level.is_none() {
        findings.invalid(at, "must be one of debug, info, warn, error");
    }
    level
}

/// Appends the list `logs`; left out where it is empty.
pub(super) fn write_logs(object: &mut Object<'_>, logs: &[(LeaseKey, Line)]) {
    list(object, "logs", logs, |object, line| {
        object.raw("n", line.n.to_string().as_bytes());
        object.word("level", line.level.as_str());
        object.string("message", &line.message);
        if let Some(fields) = &line.fields {
            object.raw("fields", fields.as_bytes());
        }
        object.word("after", &duration::format(line.after));
    });
}

/// Appends the list `checkpoints`; left out where it is empty.
pub(super) fn write_checkpoints(object: &mut Object<'_>, checkpoints: &[(LeaseKey, Checkpoint)]) {
    list(object, "checkpoints", checkpoints, |object, it| {
        object.string("name", &it.name);
        object.raw("data", &it.data);
    });
}

fn list<T>(object: &mut Object<'_>, verb: &str, items: &[(LeaseKey, T)], members: impl Fn(&mut Object<'_>, &T)) {
    if items.is_empty() {
        return;
    }
    let mut array = Array::begin(object.key(verb));
    for (key, item) in items {
        let mut object = Object::begin(array.item());
        object.id("id", key.id);
        object.word("lease", &encode(key));
        members(&mut object, item);
        object.end();
    }
    array.end();
}
