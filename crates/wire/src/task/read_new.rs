//! Reads a new task from validated JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_core::accept::{Moment, Start, UniquePolicy};
use tasklane_core::limit;

use super::new::{NewTask, UniqueShape};
use super::retry;
use crate::gate::{self, LimitShape};
use crate::json::{Kind, Value};
use crate::read::{self, Findings, Mistake, Path, put};
use crate::{duration, name, time, webhook};

/// Members that API.md names and this version does not carry out.
const NOT_SUPPORTED: [&str; 2] = ["depends_on", "group"];

/// The words for priorities.
const PRIORITIES: [(&str, i32); 4] = [("low", -10), ("normal", 0), ("high", 10), ("urgent", 100)];

#[derive(Default)]
struct Draft<'a> {
    task: NewTask<'a>,
    task_type: Option<Cow<'a, str>>,
    type_given: bool,
    payload: Option<&'a str>,
    labels: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    limits: Option<Vec<LimitShape<'a>>>,
}

impl<'a> NewTask<'a> {
    /// Reads the task that validated JSON describes; everything wrong with it is noted.
    pub fn read(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Self {
        let mut draft = Draft::default();
        read::object(value, at, findings, |key, value, at, findings| member(&mut draft, key, value, at, findings));
        match draft.task_type {
            Some(task_type) => draft.task.task_type = task_type,
            None if !draft.type_given && value.kind() == Kind::Object => findings.missing(&at.key("type")),
            None => {}
        }
        let (payload, labels) = (draft.payload.unwrap_or_default(), draft.labels.unwrap_or_default());
        Self { payload, labels, limits: draft.limits.unwrap_or_default(), ..draft.task }
    }
}

fn member<'a>(draft: &mut Draft<'a>, key: &str, value: Value<'a>, at: &Path<'_>, findings: &mut Findings) {
    let task = &mut draft.task;
    match key {
        "type" => {
            draft.type_given = true;
            put(&mut draft.task_type, name::task_type(value, at, findings), at, findings);
        }
        "payload" => put(&mut draft.payload, payload(value, at, findings), at, findings),
        "queue" => put(&mut task.queue, name::queue(value, at, findings), at, findings),
        "priority" => put(&mut task.priority, priority(value, at, findings), at, findings),
        "id" => put(&mut task.id, read::id(value, at, findings), at, findings),
        "delay" => start(task, read::duration(value, at, findings).map(Start::After), at, findings),
        "run_at" => start(task, read::moment(value, at, findings).map(Start::At), at, findings),
        "start_deadline" => put(&mut task.start_deadline, moment(value, at, findings), at, findings),
        "deadline" => put(&mut task.deadline, moment(value, at, findings), at, findings),
        "attempt_timeout" => put(&mut task.attempt_timeout, read::some_duration(value, at, findings), at, findings),
        "heartbeat_timeout" => put(&mut task.heartbeat_timeout, read::some_duration(value, at, findings), at, findings),
        "max_attempts" => put(&mut task.max_attempts, max_attempts(value, at, findings), at, findings),
        "retry" => put(&mut task.retry, retry::read(value, at, findings), at, findings),
        "tenant" => put(&mut task.tenant, name::tenant(value, at, findings), at, findings),
        "labels" => put(&mut draft.labels, Some(labels(value, at, findings)), at, findings),
        "limits" => put(&mut draft.limits, Some(gate::read_limits(value, at, findings)), at, findings),
        "unique" => put(&mut task.unique, unique(value, at, findings), at, findings),
        "callback" => put(&mut task.callback, webhook::callback(value, at, findings).map(Arc::new), at, findings),
        "idempotency_key" => put(&mut task.idempotency_key, name::name(value, at, findings), at, findings),
        _ if NOT_SUPPORTED.contains(&key) => {
            findings.note(Mistake::NotSupported, at, "this field is not supported by this version of the server");
        }
        _ => findings.unknown(at),
    }
}

fn payload<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<&'a str> {
    let text = value.text();
    if text.len() > limit::PAYLOAD_BYTES {
        let most = limit::PAYLOAD_BYTES;
        let message =
            format!("the payload has {} bytes, at most {most}; keep it elsewhere and send a link", text.len());
        findings.note(Mistake::TooLarge, at, message);
    }
    Some(text)
}

fn priority(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<i32> {
    match value.kind() {
        Kind::Number => {
            let read = read::integer(value, limit::PRIORITY, at, findings)?;
            i32::try_from(read).ok()
        }
        Kind::String => {
            let word = value.string()?;
            let found = PRIORITIES.iter().find(|it| it.0 == word).map(|it| it.1);
            if found.is_none() {
                findings.invalid(at, "must be low, normal, high, urgent, or a whole number from -1000 to 1000");
            }
            found
        }
        _ => {
            findings.wrong_type(at, "a whole number or one of low, normal, high, urgent", value);
            None
        }
    }
}

fn start(task: &mut NewTask<'_>, start: Option<Start>, at: &Path<'_>, findings: &mut Findings) {
    if task.start.is_some() {
        return findings.invalid(at, "give delay or run_at, and once");
    }
    task.start = start;
}

/// Reads `{delay | run_at}`; neither is now.
pub fn read_start(value: Value<'_>, findings: &mut Findings) -> Start {
    let mut task = NewTask::default();
    read::object(value, &Path::ROOT, findings, |key, value, at, findings| match key {
        "delay" => start(&mut task, read::duration(value, at, findings).map(Start::After), at, findings),
        "run_at" => start(&mut task, read::moment(value, at, findings).map(Start::At), at, findings),
        _ => findings.unknown(at),
    });
    task.start.unwrap_or_default()
}

/// A deadline: a moment, or a duration from acceptance.
fn moment(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Moment> {
    let text = read::string(value, at, findings)?;
    let read = time::parse(&text).map(Moment::At).or_else(|_| duration::parse(&text).map(Moment::After));
    if read.is_err() {
        findings.invalid(at, "must be a time such as \"2026-01-31T18:30:00Z\" or a duration such as \"90s\"");
    }
    read.ok()
}

fn max_attempts(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<u32> {
    let (least, most) = limit::MAX_ATTEMPTS.into_inner();
    let range = i64::try_from(least).unwrap_or(1)..=i64::try_from(most).unwrap_or(i64::MAX);
    read::integer(value, range, at, findings).and_then(|it| u32::try_from(it).ok())
}

fn labels<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> BTreeMap<Cow<'a, str>, Cow<'a, str>> {
    let mut labels = BTreeMap::new();
    let Some(members) = value.members() else {
        findings.wrong_type(at, "an object of strings", value);
        return labels;
    };
    for (key, value) in members {
        let at_label = at.key(&key);
        if !name::is_name(&key) {
            findings.invalid(&at_label, "a label's name must be 1 to 200 bytes without control characters");
        } else if let Some(text) = label_value(value, &at_label, findings) {
            labels.insert(key, text);
        }
        if labels.len() > limit::LABELS {
            findings.note(Mistake::TooLarge, at, format!("has more than {} labels", limit::LABELS));
            break;
        }
    }
    labels
}

/// Unlike a name, a label's value may be empty.
fn label_value<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<Cow<'a, str>> {
    let text = read::string(value, at, findings)?;
    if text.is_empty() || name::is_name(&text) {
        return Some(text);
    }
    findings.invalid(at, "must be at most 200 bytes without control characters");
    None
}

fn unique<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<UniqueShape<'a>> {
    let (mut key, mut policy, mut held_for) = (None, None, None);
    let noted = findings.len();
    read::object(value, at, findings, |name, value, at, findings| match name {
        "key" => put(&mut key, name::name(value, at, findings), at, findings),
        "policy" => put(&mut policy, unique_policy(value, at, findings), at, findings),
        "for" => put(&mut held_for, read::some_duration(value, at, findings), at, findings),
        _ => findings.unknown(at),
    });
    if key.is_none() && findings.len() == noted {
        findings.missing(&at.key("key"));
    }
    Some(UniqueShape { key: key?, policy: policy.unwrap_or_default(), held_for })
}

fn unique_policy(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<UniquePolicy> {
    match &*read::string(value, at, findings)? {
        "return" => Some(UniquePolicy::Return),
        "reject" => Some(UniquePolicy::Reject),
        "replace" => Some(UniquePolicy::Replace),
        _ => {
            findings.invalid(at, "must be return, reject or replace");
            None
        }
    }
}
