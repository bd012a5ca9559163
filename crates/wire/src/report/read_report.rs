//! Reads a report from validated JSON.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::lease::LeaseKey;
use tasklane_core::limit;
use tasklane_core::outcome::{Failure, FailureKind, Outcome, cut};
use tasklane_core::task::{Progress, TaskId};

use super::Report;
use super::notes::Note;
use crate::json::Value;
use crate::lease::{Want, decode, read_want};
use crate::name;
use crate::read::{self, Findings, Mistake, Path, put};

/// Most items of one list of a report.
pub const ITEMS: usize = 10_000;

/// What stands instead of JSON that was too long to keep.
const CUT: &str = "\"… [cut]\"";

impl Report {
    /// Reads a report from validated JSON; results share the memory of `body`. `None` where something is noted.
    pub fn read(value: Value<'_>, body: &Bytes, findings: &mut Findings) -> Option<Self> {
        let mut draft = Draft { report: Self::default(), worker: None, want: None, body };
        read::object(value, &Path::ROOT, findings, |key, value, at, findings| draft.list(key, value, at, findings));
        match draft.worker {
            Some(worker) => draft.report.worker = worker,
            None if findings.is_empty() => findings.missing(&Path::ROOT.key("worker")),
            None => {}
        }
        if let Some((worker, want)) = draft.want {
            if worker.is_some_and(|it| it != draft.report.worker) {
                findings.invalid(&Path::ROOT.key("want").key("worker"), "must be the worker of the report");
            }
            draft.report.want = Some(want);
        }
        findings.is_empty().then_some(draft.report)
    }
}

struct Draft<'b> {
    report: Report,
    worker: Option<Arc<str>>,
    want: Option<(Option<Arc<str>>, Want)>,
    body: &'b Bytes,
}

/// The members of one item, whatever its list.
#[derive(Default)]
struct Item<'a> {
    id: Option<TaskId>,
    lease: Option<Option<LeaseKey>>,
    result: Option<&'a str>,
    progress: Option<Progress>,
    kind: Option<FailureKind>,
    message: Option<String>,
    details: Option<Box<str>>,
    stack: Option<String>,
    retryable: Option<bool>,
    retry_after: Option<Duration>,
    snooze: Option<Duration>,
    note: Note<'a>,
}

impl Draft<'_> {
    fn list(&mut self, key: &str, value: Value<'_>, at: &Path<'_>, findings: &mut Findings) {
        match key {
            "worker" => put(&mut self.worker, name::name(value, at, findings).map(Arc::from), at, findings),
            "want" => {
                let (worker, want) = read_want(value, at, findings);
                put(&mut self.want, want.map(|want| (worker, want)), at, findings);
            }
            "renew" => {
                let items = self.items(key, value, at, findings);
                self.report.renew.extend(items.into_iter().map(|it| it.0));
            }
            "progress" => {
                let items = self.items(key, value, at, findings);
                self.report.progress.extend(items.into_iter().map(|(key, item)| (key, item.progress)));
            }
            "logs" => {
                let items = self.items(key, value, at, findings);
                let lines = items.into_iter().filter_map(|(key, item)| Some((key, item.note.line()?)));
                self.report.logs.extend(lines);
            }
            "checkpoints" => {
                let (items, body) = (self.items(key, value, at, findings), self.body);
                let kept = items.into_iter().filter_map(|(key, item)| Some((key, item.note.checkpoint(body)?)));
                self.report.checkpoints.extend(kept);
            }
            "succeed" | "fail" | "release" | "snooze" | "cancelled" => {
                let items = self.items(key, value, at, findings);
                let body = self.body;
                self.report.outcomes.extend(items.into_iter().map(|(lease, item)| (lease, item.outcome(key, body))));
            }
            _ => findings.unknown(at),
        }
    }

    fn items<'a>(
        &mut self,
        list: &str,
        value: Value<'a>,
        at: &Path<'_>,
        findings: &mut Findings,
    ) -> Vec<(LeaseKey, Item<'a>)> {
        let unknown = &mut self.report.unknown;
        read::array(value, at, ITEMS, findings, |value, at, findings| {
            let mut item = Item::default();
            read::object(value, at, findings, |key, value, at, findings| item.member(list, key, value, at, findings));
            item.check(list, value, at, findings);
            let id = item.id?;
            match item.lease? {
                Some(key) if key.id == id => Some((key, item)),
                _ => {
                    unknown.push(id);
                    None
                }
            }
        })
    }
}

impl<'a> Item<'a> {
    fn member(&mut self, list: &str, key: &str, value: Value<'a>, at: &Path<'_>, findings: &mut Findings) {
        match (list, key) {
            (_, "id") => put(&mut self.id, read::id(value, at, findings), at, findings),
            (_, "lease") => {
                put(&mut self.lease, read::string(value, at, findings).map(|it| decode(&it)), at, findings);
            }
            ("succeed", "result") => put(&mut self.result, result(value, at, findings), at, findings),
            ("progress", _) => progress(self.progress.get_or_insert_default(), key, value, at, findings),
            ("logs", _) => self.note.log_member(key, value, at, findings),
            ("checkpoints", _) => self.note.checkpoint_member(key, value, at, findings),
            ("fail", _) => self.failure_member(key, value, at, findings),
            ("snooze", "for") => put(&mut self.snooze, read::duration(value, at, findings), at, findings),
            _ => findings.unknown(at),
        }
    }

    fn failure_member(&mut self, key: &str, value: Value<'a>, at: &Path<'_>, findings: &mut Findings) {
        match key {
            "kind" => put(&mut self.kind, kind(value, at, findings), at, findings),
            "message" => put(&mut self.message, read::string(value, at, findings).map(Into::into), at, findings),
            "details" => put(&mut self.details, Some(json(value, limit::FAILURE_DETAIL_BYTES)), at, findings),
            "stack" => {
                let stack = read::string(value, at, findings).map(|it| cut(it.into(), limit::FAILURE_DETAIL_BYTES));
                put(&mut self.stack, stack, at, findings);
            }
            "retryable" => put(&mut self.retryable, read::bool(value, at, findings), at, findings),
            "retry_after" => put(&mut self.retry_after, read::duration(value, at, findings), at, findings),
            _ => findings.unknown(at),
        }
    }

    fn check(&self, list: &str, value: Value<'_>, at: &Path<'_>, findings: &mut Findings) {
        let missing = [
            ("id", self.id.is_none()),
            ("lease", self.lease.is_none()),
            ("for", list == "snooze" && self.snooze.is_none()),
        ];
        let has = |key: &str| value.members().is_none_or(|mut it| it.any(|(name, _)| name == key));
        let missing = missing.into_iter().chain(self.note.missing(list));
        for (key, _) in missing.filter(|(key, missing)| *missing && !has(key)) {
            findings.missing(&at.key(key));
        }
    }

    fn outcome(self, list: &str, body: &Bytes) -> Outcome {
        match list {
            "succeed" => Outcome::Succeeded(match self.result {
                Some(text) => body.slice_ref(text.as_bytes()),
                None => Bytes::from_static(b"null"),
            }),
            "snooze" => Outcome::Snoozed(self.snooze.unwrap_or_default()),
            "release" => Outcome::Released,
            "cancelled" => Outcome::Cancelled,
            _ => self.failed(),
        }
    }

    fn failed(self) -> Outcome {
        let mut failure = Failure::new(self.kind.unwrap_or(FailureKind::Error), self.message.unwrap_or_default());
        failure.details = self.details;
        failure.stack = self.stack;
        failure.retryable = self.retryable.unwrap_or(failure.retryable);
        Outcome::Failed { failure, retry_after: self.retry_after }
    }
}

fn result<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Option<&'a str> {
    let text = value.text();
    if text.len() > limit::PAYLOAD_BYTES {
        let most = limit::PAYLOAD_BYTES;
        let message =
            format!("the result has {} bytes, at most {most}; keep it elsewhere and return a link", text.len());
        findings.note(Mistake::TooLarge, at, message);
    }
    Some(text)
}

fn progress(progress: &mut Progress, key: &str, value: Value<'_>, at: &Path<'_>, findings: &mut Findings) {
    match key {
        "percent" => match value.number().filter(|it| (0.0..=100.0).contains(it)) {
            Some(percent) => put(&mut progress.percent, Some(percent), at, findings),
            None => findings.invalid(at, "must be a number from 0 to 100"),
        },
        "message" => {
            let message = read::string(value, at, findings).map(|it| cut(it.into(), limit::PROGRESS_BYTES));
            put(&mut progress.message, message, at, findings);
        }
        "data" => put(&mut progress.data, Some(json(value, limit::PROGRESS_BYTES)), at, findings),
        _ => findings.unknown(at),
    }
}

/// JSON of at most `most` bytes, else a marker: unlike text it cannot be cut and stay JSON.
fn json(value: Value<'_>, most: usize) -> Box<str> {
    if value.text().len() > most { CUT.into() } else { value.text().into() }
}

fn kind(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<FailureKind> {
    let word = read::string(value, at, findings)?;
    let kind = FailureKind::from_word(&word);
    if kind.is_none() {
        let words: Vec<_> = FailureKind::ALL.iter().map(|it| it.as_str()).collect();
        findings.invalid(at, format!("must be one of {}", words.join(", ")));
    }
    kind
}
