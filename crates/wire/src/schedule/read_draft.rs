//! Reads what is said of a schedule from validated JSON.

use std::time::Duration;

use tasklane_core::accept::Moment;
use tasklane_core::limit;
use tasklane_core::schedule::pattern::{Pattern, PatternError};
use tasklane_core::schedule::template::Stamp;
use tasklane_core::schedule::{CatchUp, Overlap};
use tasklane_core::time::Timestamp;

use super::draft::{MissedDraft, ScheduleDraft, WhenDraft};
use crate::json::{Kind, Value};
use crate::name;
use crate::read::{self, Findings, Mistake, Path, put};
use crate::task::NewTask;

impl<'a> ScheduleDraft<'a> {
    /// Reads what validated JSON says of a schedule; everything wrong with it is noted. What is missing is not.
    pub fn read(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Self {
        let mut draft = Self::default();
        read::object(value, at, findings, |key, value, at, findings| draft.member(key, value, at, findings));
        draft.check_pattern(at, findings);
        draft
    }

    /// Reads when slots come, and nothing else, as a preview is asked for.
    pub fn read_times(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> Self {
        let mut draft = Self::default();
        read::object(value, at, findings, |key, value, at, findings| match key {
            "cron" | "every" | "at" | "timezone" | "starts_at" | "ends_at" => draft.member(key, value, at, findings),
            _ => findings.unknown(at),
        });
        draft.check_pattern(at, findings);
        draft
    }

    fn member(&mut self, key: &str, value: Value<'a>, at: &Path<'_>, findings: &mut Findings) {
        match key {
            "name" => put(&mut self.name, name::name(value, at, findings), at, findings),
            "cron" => self.put_when(read::string(value, at, findings).map(WhenDraft::Cron), at, findings),
            "every" => self.when_every(value, at, findings),
            "at" => self.put_when(read::moment(value, at, findings).map(WhenDraft::At), at, findings),
            "timezone" => put(&mut self.timezone, read::string(value, at, findings), at, findings),
            "task" => put(&mut self.task, Some(task(value, at, findings)), at, findings),
            "overlap" => put(&mut self.overlap, overlap(value, at, findings), at, findings),
            "missed" => put(&mut self.missed, Some(missed(value, at, findings)), at, findings),
            "jitter" => {
                let read = read::duration_in(value, Duration::ZERO..=limit::JITTER, at, findings);
                put(&mut self.jitter, read, at, findings);
            }
            "starts_at" => put(&mut self.starts_at, bound(value, at, findings), at, findings),
            "ends_at" => put(&mut self.ends_at, bound(value, at, findings), at, findings),
            "paused" => put(&mut self.paused, read::bool(value, at, findings), at, findings),
            _ => findings.unknown(at),
        }
    }

    fn when_every(&mut self, value: Value<'a>, at: &Path<'_>, findings: &mut Findings) {
        let range = Duration::from_secs(1)..=limit::SCHEDULE_EVERY;
        self.put_when(read::duration_in(value, range, at, findings).map(WhenDraft::Every), at, findings);
    }

    fn put_when(&mut self, when: Option<WhenDraft<'a>>, at: &Path<'_>, findings: &mut Findings) {
        if self.when.is_some() {
            return findings.invalid(at, "give one of cron, every and at, and once");
        }
        self.when = when;
    }

    /// A pattern and a zone are wrong by themselves, whatever stands beside them.
    fn check_pattern(&self, at: &Path<'_>, findings: &mut Findings) {
        let pattern = match &self.when {
            Some(WhenDraft::Cron(pattern)) => pattern,
            _ => "@daily",
        };
        match Pattern::read(pattern, self.timezone.as_deref().unwrap_or("UTC")) {
            Ok(_) => {}
            Err(why @ PatternError::Unreadable(..)) => findings.invalid(&at.key("cron"), why.to_string()),
            Err(why @ PatternError::Zone(_)) => findings.invalid(&at.key("timezone"), why.to_string()),
        }
    }
}

/// A task whose slots are yet to come: what belongs to one task alone has no place in it.
fn task<'a>(value: Value<'a>, at: &Path<'_>, findings: &mut Findings) -> NewTask<'a> {
    let task = NewTask::read(value, at, findings);
    let alone = [
        ("id", task.id.is_some(), "each slot makes a task with an id of its own"),
        ("delay", task.start.is_some(), "a slot says when its task starts; neither delay nor run_at has a place here"),
        ("idempotency_key", task.idempotency_key.is_some(), "each slot makes one task, without any key"),
    ];
    for (key, is_there, message) in alone {
        if is_there {
            findings.invalid(&at.key(key), message);
        }
    }
    for (key, moment) in [("start_deadline", task.start_deadline), ("deadline", task.deadline)] {
        if matches!(moment, Some(Moment::At(_))) {
            findings
                .invalid(&at.key(key), "must be a duration such as \"90s\", counted from when a slot's task is made");
        }
    }
    if let Some(unknown) = Stamp::unknown_in(task.payload) {
        let message = format!("`{unknown}` stands for nothing; there are {}", Stamp::WORDS.join(", "));
        findings.invalid(&at.key("payload"), message);
    }
    if task.payload.len() > limit::SCHEDULE_PAYLOAD_BYTES {
        let (got, most) = (task.payload.len(), limit::SCHEDULE_PAYLOAD_BYTES);
        let message = format!("the payload of a schedule's task has {got} bytes, at most {most}");
        findings.note(Mistake::TooLarge, &at.key("payload"), message);
    }
    task
}

fn overlap(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Overlap> {
    let words = [
        ("allow", Overlap::Allow),
        ("skip", Overlap::Skip),
        ("replace", Overlap::Replace),
        ("queue_one", Overlap::QueueOne),
    ];
    read::word(value, &words, at, findings)
}

fn missed(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> MissedDraft {
    let mut missed = MissedDraft::default();
    read::object(value, at, findings, |key, value, at, findings| match key {
        "policy" => {
            let words = [("none", CatchUp::None), ("one", CatchUp::One), ("all", CatchUp::All)];
            put(&mut missed.policy, read::word(value, &words, at, findings), at, findings);
        }
        "cap" => {
            let cap = read::integer(value, 1..=i64::from(limit::MISSED), at, findings);
            put(&mut missed.cap, cap.and_then(|it| u32::try_from(it).ok()), at, findings);
        }
        "window" => put(&mut missed.window, read::some_duration(value, at, findings), at, findings),
        _ => findings.unknown(at),
    });
    missed
}

/// A moment, or `null`, which takes one away.
fn bound(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Option<Timestamp>> {
    if value.kind() == Kind::Null {
        return Some(None);
    }
    read::moment(value, at, findings).map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::borrow::Cow;

    use tasklane_core::schedule::When;

    use super::*;
    use crate::json::validate;

    fn read(text: &str, use_it: impl FnOnce(ScheduleDraft<'_>, &mut Findings)) -> Vec<String> {
        let mut findings = Findings::default();
        let value = Value::new(validate(text.as_bytes(), 0).expect("JSON"));
        let draft = ScheduleDraft::read(value, &Path::ROOT, &mut findings);
        use_it(draft, &mut findings);
        findings.into_errors().into_iter().map(|it| format!("{}: {}", it.path, it.message)).collect()
    }

    fn refused(text: &str) -> Vec<String> {
        read(text, |draft, findings| drop(draft.into_new(findings)))
    }

    #[test]
    fn a_schedule_is_read_whole_or_changed_in_part() {
        let text = r#"{"name":"n","cron":"0 3 * * *","timezone":"Europe/Berlin","task":{"type":"t","payload":{"at":"{slot}"},
            "deadline":"1h"},"overlap":"queue_one","missed":{"policy":"all","cap":5},"jitter":"10s","ends_at":"2030-01-01T00:00:00Z"}"#;
        let mut made = None;
        assert_eq!(read(text, |draft, findings| made = draft.into_new(findings)), [""; 0]);
        let (name, rule) = made.expect("a rule");
        let (hour, berlin) = (Duration::from_secs(3600), "Europe/Berlin");
        assert_eq!((&*name, rule.overlap, rule.missed.cap, rule.missed.window), ("n", Overlap::QueueOne, 5, 24 * hour));
        assert_eq!((&*rule.task.task_type, rule.task.deadline), ("t", Some(hour)));
        let cron = |pattern: &str, zone: &str| When::Cron { pattern: pattern.into(), zone: zone.into() };
        assert_eq!(rule.when, cron("0 3 * * *", berlin));
        for (change, when) in [
            (r#"{"cron":"@hourly"}"#, cron("@hourly", berlin)),
            (r#"{"timezone":"UTC"}"#, cron("0 3 * * *", "UTC")),
            (r#"{"every":"1h"}"#, When::Every(hour)),
        ] {
            let mut changed = None;
            assert_eq!(read(change, |draft, _| changed = Some(draft.change(rule.clone()))), [""; 0]);
            let changed = changed.expect("a rule");
            assert_eq!(
                (&changed.when, changed.jitter, changed.ends_at),
                (&when, rule.jitter, rule.ends_at),
                "{change}"
            );
        }
        read(r#"{"ends_at":null}"#, |draft, _| assert_eq!(draft.change(rule).ends_at, None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            refused("{}"),
            [
                "/name: this field is required",
                "/task: this field is required",
                ": one of cron, every and at is required"
            ]
        );
        for (members, told) in [
            (r#""cron":"61 * * * *""#, "/cron: `61 * * * *` is no cron pattern"),
            (r#""cron":"@daily","timezone":"Mars/Base""#, "/timezone: there is no time zone `Mars/Base`"),
            (r#""every":"1h","timezone":"UTC""#, "/timezone: only a pattern has a zone"),
            (r#""every":"500ms""#, "/every: must be from 1s to 366d"),
            (r#""every":"1h","at":"2030-01-01T00:00:00Z""#, "/at: give one of cron, every and at"),
            (r#""every":"1h","overlap":"often""#, "/overlap: must be one of allow, skip, replace, queue_one"),
            (r#""every":"1h","missed":{"cap":0}"#, "/missed/cap: must be a whole number from 1 to 1000"),
            (r#""every":"1h","jitter":"25h""#, "/jitter: must be from 0s to 1d"),
            (r#""every":"1h","when":1"#, "/when: there is no such field"),
        ] {
            let told_of = refused(&format!(r#"{{"name":"n","task":{{"type":"t"}},{members}}}"#));
            assert!(told_of.len() == 1 && told_of[0].starts_with(told), "{members}: {told_of:?}");
        }
        for (members, told) in [
            (r#""id":"0192f0c1-2345-7abc-8def-0123456789ab""#, "/task/id: "),
            (r#""delay":"1s""#, "/task/delay: "),
            (r#""idempotency_key":"k""#, "/task/idempotency_key: "),
            (r#""deadline":"2030-01-01T00:00:00Z""#, "/task/deadline: must be a duration"),
            (r#""payload":"{slot.day}""#, "/task/payload: `{slot.day}` stands for nothing; there are {slot}"),
        ] {
            let told_of = refused(&format!(r#"{{"name":"n","every":"1h","task":{{"type":"t",{members}}}}}"#));
            assert!(told_of.len() == 1 && told_of[0].starts_with(told), "{members}: {told_of:?}");
        }
        let long = format!(r#"{{"name":"n","every":"1h","task":{{"type":"t","payload":"{}"}}}}"#, "x".repeat(65_536));
        assert_eq!(refused(&long), ["/task/payload: the payload of a schedule's task has 65538 bytes, at most 65536"]);
    }

    #[test]
    fn what_is_written_is_read() {
        let task = NewTask { tenant: Some(Cow::Borrowed("a")), ..NewTask::new("t", "{\"a\":1}") };
        let whens = [
            WhenDraft::Cron("0 3 * * *".into()),
            WhenDraft::Every(Duration::from_secs(90)),
            WhenDraft::At(Timestamp::from_micros(1_774_746_000_000_000)),
        ];
        for when in whens {
            let draft = ScheduleDraft {
                name: Some("n".into()),
                timezone: matches!(when, WhenDraft::Cron(_)).then_some("Asia/Tokyo".into()),
                when: Some(when),
                task: Some(task.clone()),
                overlap: Some(Overlap::Replace),
                missed: Some(MissedDraft {
                    policy: Some(CatchUp::None),
                    cap: Some(7),
                    window: Some(Duration::from_secs(60)),
                }),
                jitter: Some(Duration::from_secs(5)),
                starts_at: Some(Some(Timestamp::from_micros(1_000_000))),
                ends_at: Some(None),
                paused: Some(true),
            };
            let mut text = Vec::new();
            draft.write(&mut text);
            let text = String::from_utf8(text).expect("UTF-8");
            assert_eq!(read(&text, |read, _| assert_eq!(read, draft)), [""; 0], "{text}");
        }
    }
}
