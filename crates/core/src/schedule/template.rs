//! What each slot of a schedule makes: a task with the slot's time written into its payload.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Slot, local};
use crate::accept::{Deadlines, Moment, NewTask, Start, UniquePolicy};
use crate::gate::Limit;
use crate::task::{Lane, Scope, Spec, TaskId};
use crate::time::Timestamp;
use crate::webhook::outbox::Callback;

/// What each slot makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// Its queue.
    pub queue: Box<str>,
    /// Its type.
    pub task_type: Box<str>,
    /// Whom it is for; empty is nobody.
    pub tenant: Box<str>,
    /// JSON. In its texts `{slot}` and the like stand for the time of the slot: [`Stamp`].
    pub payload: Box<str>,
    /// Higher runs first.
    pub priority: i32,
    /// Gates that it passes.
    pub limits: Vec<Limit>,
    /// Everything else.
    pub spec: Spec,
    /// Expired where it has not started so long after it was made.
    pub start_deadline: Option<Duration>,
    /// Failed where it has not ended so long after it was made.
    pub deadline: Option<Duration>,
    /// What happens where another task holds its unique key.
    pub unique_policy: UniquePolicy,
}

impl Template {
    /// A task of which nothing is said but its queue, its type and its payload.
    pub fn new(queue: &str, task_type: &str, payload: &str) -> Self {
        Self {
            queue: queue.into(),
            task_type: task_type.into(),
            tenant: "".into(),
            payload: payload.into(),
            priority: 0,
            limits: Vec::new(),
            spec: Spec::default(),
            start_deadline: None,
            deadline: None,
            unique_policy: UniquePolicy::default(),
        }
    }

    /// The same, whose callback is signed as that of `was` where it names the same URL and says nothing of a secret: a secret is
    /// shown to nobody, so nobody can say it again.
    #[must_use]
    pub fn signing_as(mut self, was: &Self) -> Self {
        let before = was.spec.callback.as_deref();
        if let (Some(new), Some(before)) = (self.spec.callback.as_deref(), before)
            && (&new.url, &new.secret) == (&before.url, &None)
        {
            self.spec.callback = Some(Arc::new(Callback { secret: before.secret.clone(), ..new.clone() }));
        }
        self
    }

    /// The task of a slot, which starts at `start`.
    pub fn task(&self, id: TaskId, slot: Slot, start: Timestamp, zone: &TimeZone) -> NewTask {
        let payload = Stamp { at: slot.at, zone }.write_into(&self.payload);
        let spec = Spec { slot: Some(slot), ..self.spec.clone() };
        let after = |after: Option<Duration>| after.map(Moment::After);
        NewTask {
            id,
            lane: Lane::new(&self.queue, &self.task_type),
            scope: Arc::new(Scope { origin: "".into(), tenant: self.tenant.clone() }),
            payload: Bytes::from(payload.into_owned().into_bytes()),
            start: if start > slot.at { Start::At(start) } else { Start::Now },
            priority: self.priority,
            limits: Limit::share(self.limits.iter().cloned()),
            spec: Spec::share(spec),
            deadlines: Deadlines { start: after(self.start_deadline), end: after(self.deadline) },
            unique_policy: self.unique_policy,
            idempotency: None,
        }
    }
}

/// A slot's time, in the words that stand for it in a payload.
///
/// | word | what it becomes |
/// |---|---|
/// | `{slot}` | `2026-03-29T01:00:00Z`, the time in UTC |
/// | `{slot.local}` | `2026-03-29T03:00:00+02:00`, the time as the schedule's zone shows it |
/// | `{slot.date}` | `2026-03-29`, the day there |
/// | `{slot.time}` | `03:00:00`, the time of day there |
/// | `{slot.unix}` | `1774746000`, the seconds since 1970 |
///
/// An object never begins with `{slot`, so a word is found in a text or nowhere; and what it becomes needs no escape.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'z> {
    /// The slot's time.
    pub at: Timestamp,
    /// The schedule's zone.
    pub zone: &'z TimeZone,
}

/// What words begin with.
const WORD: &str = "{slot";

impl Stamp<'_> {
    /// Every word.
    pub const WORDS: [&'static str; 5] = ["{slot}", "{slot.local}", "{slot.date}", "{slot.time}", "{slot.unix}"];

    /// The first word in a payload that stands for nothing.
    pub fn unknown_in(payload: &str) -> Option<&str> {
        payload.match_indices(WORD).map(|(at, _)| word(&payload[at..])).find(|it| name(it).is_none())
    }

    fn write_into<'p>(&self, payload: &'p str) -> Cow<'p, str> {
        let (mut written, mut rest) = (String::new(), payload);
        while let Some((before, after)) = rest.find(WORD).map(|at| rest.split_at(at)) {
            let found = word(after);
            written.push_str(before);
            match name(found) {
                Some(name) => written.push_str(&self.of(name)),
                None => written.push_str(found),
            }
            rest = &after[found.len()..];
        }
        if rest.len() == payload.len() { Cow::Borrowed(payload) } else { Cow::Owned(written + rest) }
    }

    fn of(&self, name: &str) -> String {
        let Ok(at) = jiff::Timestamp::from_microsecond(self.at.as_micros()) else { return String::new() };
        let shown = at.to_zoned(self.zone.clone());
        match name {
            "local" => local(self.at, self.zone),
            "date" => shown.strftime("%F").to_string(),
            "time" => shown.strftime("%T%.f").to_string(),
            "unix" => at.as_second().to_string(),
            _ => at.strftime("%FT%T%.fZ").to_string(),
        }
    }
}

/// The word that this text begins with, up to its end or to where it cannot be one.
fn word(text: &str) -> &str {
    let end = text.char_indices().skip(1).find(|(_, it)| !it.is_ascii_lowercase() && *it != '.');
    match end {
        Some((at, '}')) => &text[..=at],
        Some((at, _)) => &text[..at],
        None => text,
    }
}

/// What a word names; `None`: it stands for nothing.
fn name(word: &str) -> Option<&str> {
    let name = word.strip_prefix(WORD)?.strip_suffix('}')?;
    match name {
        "" => Some("utc"),
        _ => name.strip_prefix('.').filter(|it| matches!(*it, "local" | "date" | "time" | "unix")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// 2026-03-29T01:00:00Z.
    const AT: Timestamp = Timestamp::from_micros(1_774_746_000_000_000);

    #[test]
    fn words_become_the_time_of_the_slot() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let stamp = Stamp { at: AT, zone: &zone };
        for (payload, written) in [
            (r#"{"a":1}"#, r#"{"a":1}"#),
            (
                r#"{"at":"{slot}","b":{"c":"x{slot.date}{slot.time}y"}}"#,
                r#"{"at":"2026-03-29T01:00:00Z","b":{"c":"x2026-03-2903:00:00y"}}"#,
            ),
            (r#"["{slot.local}","{slot.unix}"]"#, r#"["2026-03-29T03:00:00+02:00","1774746000"]"#),
            (r#""{slot.nonsense} {slots} {slot""#, r#""{slot.nonsense} {slots} {slot""#),
        ] {
            assert_eq!(stamp.write_into(payload), written);
        }
    }

    #[test]
    fn a_word_that_stands_for_nothing_is_found() {
        for (payload, unknown) in [
            (r#"{"at":"{slot}"}"#, None),
            (r#""{slot.day}""#, Some("{slot.day}")),
            (r#""{slot.date} {slots}""#, Some("{slots}")),
            (r#""{slot""#, Some("{slot")),
            (r#""{ slot }""#, None),
        ] {
            assert_eq!(Stamp::unknown_in(payload), unknown, "{payload}");
        }
    }
}
