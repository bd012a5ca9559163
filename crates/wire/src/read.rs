//! Reads members of a request and gathers everything that is wrong with them.

use std::borrow::Cow;
use std::time::Duration;

use tasklane_core::limit;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use uuid::{Uuid, Version};

use crate::json::{Kind, Value};
use crate::problem::FieldError;
use crate::{duration, time};

/// Most findings gathered; one who sends more mistakes has enough to mend.
pub const FINDINGS: usize = 100;

/// The way to a value, on the stack while it is read; written out only where something is wrong.
#[derive(Debug, Clone, Copy)]
pub struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// The whole body.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// The member `key` of this object.
    pub fn key(&'p self, key: &'p str) -> Path<'p> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// The item `index` of this array.
    pub fn index(&'p self, index: usize) -> Path<'p> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// As a JSON pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        let mut text = self.parent.map(Path::pointer).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Key(key) => text.extend(["/", &key.replace('~', "~0").replace('/', "~1")]),
            Step::Index(index) => text.extend(["/", &index.to_string()]),
        }
        text
    }
}

/// What sort of mistake it is; decides the code of the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// Unknown, of the wrong type or out of range.
    Invalid,
    /// Known, but not built yet.
    NotSupported,
    /// Bigger than allowed.
    TooLarge,
}

/// Everything wrong with a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    list: Vec<(Mistake, FieldError)>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many mistakes were noted.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether something of this sort is wrong.
    pub fn has(&self, mistake: Mistake) -> bool {
        self.list.iter().any(|it| it.0 == mistake)
    }

    /// Whether something is wrong with this very value.
    pub fn name(&self, at: &Path<'_>) -> bool {
        let pointer = at.pointer();
        self.list.iter().any(|it| it.1.path == pointer)
    }

    /// What is wrong, in the order of the request.
    pub fn into_errors(self) -> Vec<FieldError> {
        self.list.into_iter().map(|it| it.1).collect()
    }

    /// Notes a mistake.
    #[cold]
    pub fn note(&mut self, mistake: Mistake, at: &Path<'_>, message: impl Into<String>) {
        // The path is written out only where it is kept: one may send a million mistakes.
        if self.list.len() < FINDINGS {
            self.push_as(mistake, at.pointer(), message);
        }
    }

    /// Notes something invalid that is no member of the body.
    #[cold]
    pub fn push(&mut self, path: String, message: impl Into<String>) {
        self.push_as(Mistake::Invalid, path, message);
    }

    /// As [`Findings::push`], of this sort.
    #[cold]
    pub fn push_as(&mut self, mistake: Mistake, path: String, message: impl Into<String>) {
        if self.list.len() < FINDINGS {
            self.list.push((mistake, FieldError { path, message: message.into() }));
        }
    }

    /// Notes an invalid member.
    #[cold]
    pub fn invalid(&mut self, at: &Path<'_>, message: impl Into<String>) {
        self.note(Mistake::Invalid, at, message);
    }

    /// Notes a member that does not exist.
    #[cold]
    pub fn unknown(&mut self, at: &Path<'_>) {
        self.invalid(at, "there is no such field");
    }

    /// Notes a member that is missing.
    #[cold]
    pub fn missing(&mut self, at: &Path<'_>) {
        self.invalid(at, "this field is required");
    }

    /// Notes a member of the wrong type.
    #[cold]
    pub fn wrong_type(&mut self, at: &Path<'_>, wanted: &str, value: Value<'_>) {
        let got = match value.kind() {
            Kind::Null => "null",
            Kind::Bool => "a truth value",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        };
        self.invalid(at, format!("must be {wanted}, not {got}"));
    }
}

/// Sets a member that may be given once.
pub fn put<T>(slot: &mut Option<T>, value: Option<T>, at: &Path<'_>, findings: &mut Findings) {
    if slot.is_some() {
        findings.invalid(at, "this field is given twice");
    }
    if value.is_some() {
        *slot = value;
    }
}

/// Calls `member` for each member of the object, and notes where it is none.
pub fn object<'a>(
    value: Value<'a>,
    at: &Path<'_>,
    findings: &mut Findings,
    mut member: impl FnMut(&str, Value<'a>, &Path<'_>, &mut Findings),
) {
    let Some(members) = value.members() else { return findings.wrong_type(at, "an object", value) };
    for (key, value) in members {
        member(&key, value, &at.key(&key), findings);
    }
}

/// What `item` makes of the items of an array of at most `most`; notes where it is none or has more.
pub fn array<'a, T>(
    value: Value<'a>,
    at: &Path<'_>,
    most: usize,
    findings: &mut Findings,
    mut item: impl FnMut(Value<'a>, &Path<'_>, &mut Findings) -> Option<T>,
) -> Vec<T> {
    let Some(items) = value.items() else {
        findings.wrong_type(at, "an array", value);
        return Vec::new();
    };
    let mut list = Vec::new();
    for (index, value) in items.enumerate() {
        if index == most {
            findings.note(Mistake::TooLarge, at, format!("has more than {most} items"));
            break;
        }
        list.extend(item(value, &at.index(index), findings));
    }
    list
}

/// A string.
pub fn string<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<Cow<'a, str>> {
    let text = value.string();
    if text.is_none() {
        findings.wrong_type(at, "a string", value);
    }
    text
}

/// What one of these words stands for.
pub fn word<T: Copy>(value: Value<'_>, words: &[(&str, T)], at: &Path<'_>, findings: &mut Findings) -> Option<T> {
    let text = string(value, at, findings)?;
    let found = words.iter().find(|it| it.0 == text).map(|it| it.1);
    if found.is_none() {
        let all: Vec<_> = words.iter().map(|it| it.0).collect();
        findings.invalid(at, format!("must be one of {}", all.join(", ")));
    }
    found
}

/// A truth value.
pub fn bool(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<bool> {
    let read = value.bool();
    if read.is_none() {
        findings.wrong_type(at, "true or false", value);
    }
    read
}

/// A whole number within `range`.
pub fn integer(
    value: Value<'_>,
    range: std::ops::RangeInclusive<i64>,
    at: &Path<'_>,
    findings: &mut Findings,
) -> Option<i64> {
    let (least, most) = (range.start(), range.end());
    if value.kind() != Kind::Number {
        findings.wrong_type(at, "a whole number", value);
        return None;
    }
    let read = value.integer().filter(|it| range.contains(it));
    if read.is_none() {
        findings.invalid(at, format!("must be a whole number from {least} to {most}"));
    }
    read
}

/// A duration, at most [`limit::DURATION`].
pub fn duration(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Duration> {
    let text = string(value, at, findings)?;
    duration::parse(&text).map_err(|error| findings.invalid(at, error.to_string())).ok()
}

/// A duration within `range`.
pub fn duration_in(
    value: Value<'_>,
    range: std::ops::RangeInclusive<Duration>,
    at: &Path<'_>,
    findings: &mut Findings,
) -> Option<Duration> {
    let read = duration(value, at, findings)?;
    if range.contains(&read) {
        return Some(read);
    }
    let (least, most) = (duration::format(*range.start()), duration::format(*range.end()));
    findings.invalid(at, format!("must be from {least} to {most}"));
    None
}

/// A duration greater than zero.
pub fn some_duration(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Duration> {
    duration_in(value, Duration::from_millis(1)..=limit::DURATION, at, findings)
}

/// A moment.
pub fn moment(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Timestamp> {
    let text = string(value, at, findings)?;
    time::parse(&text).map_err(|error| findings.invalid(at, error.to_string())).ok()
}

/// A task id.
pub fn id(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<TaskId> {
    let text = string(value, at, findings)?;
    let id = task_id(&text);
    if id.is_none() {
        findings.invalid(at, "must be a UUIDv7 such as \"0192f0c1-2345-7abc-8def-0123456789ab\"");
    }
    id
}

/// The id that `text` is: a UUIDv7 in its usual form, with hyphens. List order and paging rest on the version: ids grow
/// with time.
pub fn task_id(text: &str) -> Option<TaskId> {
    let uuid = Some(text).filter(|it| it.len() == 36).and_then(|it| Uuid::try_parse(it).ok())?;
    (uuid.get_version() == Some(Version::SortRand)).then_some(TaskId(uuid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_escaped() {
        let (item, odd) = (Path::ROOT.index(3), "a/b~c");
        assert_eq!(item.key(odd).pointer(), "/3/a~1b~0c");
        assert_eq!(Path::ROOT.pointer(), "");
    }

    #[test]
    fn ids_have_one_form() {
        assert!(task_id("0192f0c1-2345-7abc-8def-0123456789ab").is_some());
        for text in ["", "0192f0c123457abc8def0123456789ab", "{0192f0c1-2345-7abc-8def-0123456789a}", "x"] {
            assert_eq!(task_id(text), None, "{text}");
        }
        assert_eq!(task_id("0192f0c1-2345-4abc-8def-0123456789ab"), None, "not version 7");
    }
}
