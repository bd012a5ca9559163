//! Reads what is said of a webhook from validated JSON.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tasklane_core::limit;
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::endpoint::Format;
use tasklane_core::webhook::event::{EventName, Events, Filter};
use tasklane_core::webhook::outbox::Callback;
use tasklane_core::webhook::secret::Secret;

use super::draft::WebhookDraft;
use crate::json::Value;
use crate::name;
use crate::read::{self, Findings, Mistake, Path, put};

/// How long the secret before signs beside a new one, where nothing is said.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// Longest description in bytes.
const DESCRIPTION_BYTES: usize = 1_000;
/// Headers that say what is sent; no webhook has its own.
const OURS: [&str; 7] = [
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "content-type",
    "content-length",
    "host",
    "transfer-encoding",
];

impl WebhookDraft {
    /// Reads a webhook that is to be set up; everything wrong with it is noted. What is missing is not.
    pub fn read_new(value: Value<'_>, findings: &mut Findings) -> Self {
        let mut draft = Self::default();
        read::object(value, &Path::ROOT, findings, |key, value, at, findings| match key {
            "tenant" => put(&mut draft.tenant, name::tenant(value, at, findings).map(boxed), at, findings),
            "secret" => put(&mut draft.secret, secret(value, at, findings), at, findings),
            _ => draft.member(key, value, at, findings),
        });
        draft
    }

    /// Reads what is to be changed of a webhook.
    pub fn read_change(value: Value<'_>, findings: &mut Findings) -> Self {
        let mut draft = Self::default();
        read::object(value, &Path::ROOT, findings, |key, value, at, findings| match key {
            "secret" => findings.invalid(at, "a secret is changed by :rotate-secret"),
            "tenant" => findings.invalid(at, "a webhook stays its tenant's; set up another one"),
            _ => draft.member(key, value, at, findings),
        });
        draft
    }

    fn member(&mut self, key: &str, value: Value<'_>, at: &Path<'_>, findings: &mut Findings) {
        match key {
            "url" => put(&mut self.url, url(value, at, findings), at, findings),
            "description" => put(&mut self.description, description(value, at, findings), at, findings),
            "events" => put(&mut self.events, events(value, at, findings), at, findings),
            "filter" => put(&mut self.filter, Some(filter(value, at, findings)), at, findings),
            "headers" => put(&mut self.headers, Some(headers(value, at, findings)), at, findings),
            "format" => put(&mut self.format, format(value, at, findings), at, findings),
            "max_running" => {
                let read = read::integer(value, 1..=i64::from(limit::ENDPOINT_RUNNING), at, findings)
                    .and_then(|it| u32::try_from(it).ok());
                put(&mut self.max_running, read, at, findings);
            }
            _ => findings.unknown(at),
        }
    }
}

fn boxed(text: Cow<'_, str>) -> Box<str> {
    text.into()
}

/// A URL by its form; whether it may be called is for whoever calls it.
fn url(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Box<str>> {
    let text = read::string(value, at, findings)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let names_host = rest.is_some_and(|it| !it.is_empty() && !it.starts_with(['/', '?', '#', ':']));
    if names_host
        && !text.contains('\\')
        && text.len() <= limit::URL_BYTES
        && text.bytes().all(|it| it.is_ascii_graphic())
    {
        return Some(text.into());
    }
    let most = limit::URL_BYTES;
    findings
        .invalid(at, format!("must begin with https:// or http://, name a host and have at most {most} visible ASCII characters without \\"));
    None
}

fn description(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Box<str>> {
    let text = read::string(value, at, findings)?;
    if text.len() > DESCRIPTION_BYTES || text.chars().any(char::is_control) {
        findings.invalid(at, format!("must be at most {DESCRIPTION_BYTES} bytes without control characters"));
        return None;
    }
    Some(text.into())
}

fn events(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Events> {
    let noted = findings.len();
    let words = read::array(value, at, 100, findings, read::string);
    let mut names = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let asked = EventName::asked_by(word);
        if asked.is_empty() {
            let all: Vec<_> = EventName::all().map(EventName::as_str).collect();
            findings.invalid(&at.index(index), format!("must be one of {}, task.* or *", all.join(", ")));
        }
        names.extend(asked);
    }
    if words.is_empty() && findings.len() == noted {
        findings.invalid(at, "name at least one event, such as task.failed; task.* is all of tasks");
    }
    Some(Events::of(names)).filter(|_| findings.len() == noted)
}

fn filter(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Filter {
    let mut filter = Filter::default();
    read::object(value, at, findings, |key, value, at, findings| match key {
        "queue" => put(&mut filter.queue, name::queue(value, at, findings).map(boxed), at, findings),
        "type" => put(&mut filter.task_type, name::task_type(value, at, findings).map(boxed), at, findings),
        "tenant" => put(&mut filter.tenant, name::tenant(value, at, findings).map(boxed), at, findings),
        "labels" => filter.labels = texts(value, at, limit::LABELS, findings),
        _ => findings.unknown(at),
    });
    filter
}

fn headers(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> BTreeMap<Box<str>, Box<str>> {
    let read = texts(value, at, limit::ENDPOINT_HEADERS, findings);
    let mut seen = BTreeSet::new();
    for (name, value) in &read {
        if !seen.insert(name.to_ascii_lowercase()) {
            findings.invalid(&at.key(name), "this header is named twice: its case makes no difference");
        }
        let is_token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
        let is_name = !name.is_empty() && name.bytes().all(is_token);
        if !is_name || value.bytes().any(|it| !(b' '..=b'~').contains(&it)) {
            findings.invalid(&at.key(name), "must be a header's name and its value in visible ASCII characters");
        } else if OURS.contains(&name.to_ascii_lowercase().as_str()) {
            findings.invalid(&at.key(name), "this header says what is sent and is the server's own");
        }
    }
    read
}

/// An object of strings.
fn texts(value: Value<'_>, at: &Path<'_>, most: usize, findings: &mut Findings) -> BTreeMap<Box<str>, Box<str>> {
    let mut texts = BTreeMap::new();
    read::object(value, at, findings, |key, value, at, findings| {
        if let Some(text) = read::string(value, at, findings) {
            if text.len() > limit::URL_BYTES || key.len() > limit::NAME_BYTES {
                findings.note(Mistake::TooLarge, at, "is too long");
            }
            texts.insert(key.into(), boxed(text));
        }
    });
    if texts.len() > most {
        findings.note(Mistake::TooLarge, at, format!("has more than {most} members"));
    }
    texts
}

fn format(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Format> {
    read::word(value, &[("standard", Format::Standard), ("cloudevents", Format::Cloudevents)], at, findings)
}

fn secret(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Secret> {
    let text = read::string(value, at, findings)?;
    Secret::parse(&text).map_err(|error| findings.invalid(at, error.to_string())).ok()
}

/// Reads whom one task tells of itself: `{url, events?, secret?}`.
pub fn callback(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Callback> {
    let (mut to, mut told, mut signing, noted) = (None, None, None, findings.len());
    read::object(value, at, findings, |key, value, at, findings| match key {
        "url" => put(&mut to, url(value, at, findings), at, findings),
        "events" => put(&mut told, events(value, at, findings), at, findings),
        "secret" => put(&mut signing, secret(value, at, findings), at, findings),
        _ => findings.unknown(at),
    });
    if to.is_none() && findings.len() == noted {
        findings.missing(&at.key("url"));
    }
    Some(Callback { url: to?, events: told.unwrap_or_default(), secret: signing })
}

/// Reads for how long the secret before signs beside a new one: `{overlap}`.
pub fn read_rotation(value: Value<'_>, findings: &mut Findings) -> Duration {
    let mut overlap = None;
    read::object(value, &Path::ROOT, findings, |key, value, at, findings| match key {
        "overlap" => {
            let read = read::duration_in(value, Duration::ZERO..=limit::KEY_OVERLAP, at, findings);
            put(&mut overlap, read, at, findings);
        }
        _ => findings.unknown(at),
    });
    overlap.unwrap_or(OVERLAP)
}

/// Reads which failed deliveries are to be sent once more: `{since?, until?}`.
pub fn read_redelivery(value: Value<'_>, findings: &mut Findings) -> (Option<Timestamp>, Option<Timestamp>) {
    let (mut since, mut until) = (None, None);
    read::object(value, &Path::ROOT, findings, |key, value, at, findings| match key {
        "since" => put(&mut since, read::moment(value, at, findings), at, findings),
        "until" => put(&mut until, read::moment(value, at, findings), at, findings),
        _ => findings.unknown(at),
    });
    (since, until)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::json::validate;

    fn read(text: &str) -> (WebhookDraft, Vec<String>) {
        let mut findings = Findings::default();
        let draft = WebhookDraft::read_new(Value::new(validate(text.as_bytes(), 0).unwrap()), &mut findings);
        drop(draft.clone().order(&mut findings));
        (draft, findings.into_errors().into_iter().map(|it| format!("{}: {}", it.path, it.message)).collect())
    }

    #[test]
    fn a_webhook_is_read() {
        let text = r#"{"url":"https://example.org/x","events":["task.failed","webhook.disabled"],"format":"cloudevents",
            "filter":{"queue":"mail","labels":{"a":"b"}},"headers":{"Authorization":"Bearer x"},"max_running":3}"#;
        let (draft, wrong) = read(text);
        assert_eq!(wrong, [""; 0]);
        let order = draft.order(&mut Findings::default()).unwrap();
        assert_eq!(order.events.iter().map(EventName::as_str).collect::<Vec<_>>(), ["task.failed", "webhook.disabled"]);
        assert_eq!((order.filter.queue.as_deref(), order.max_running), (Some("mail"), 3));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, told) in [
            ("{}", "/url: this field is required"),
            (
                r#"{"url":"ftp://x"}"#,
                "/url: must begin with https:// or http://, name a host and have at most 2000 visible ASCII characters without \\",
            ),
            (
                r#"{"url":"https://x","events":[]}"#,
                "/events: name at least one event, such as task.failed; task.* is all of tasks",
            ),
            (
                r#"{"url":"https://x","headers":{"Webhook-Id":"1"}}"#,
                "/headers/Webhook-Id: this header says what is sent and is the server's own",
            ),
            (
                r#"{"url":"https://x","secret":"abc"}"#,
                "/secret: a secret is written as whsec_ and the base64 of 24 to 64 random bytes",
            ),
            (r#"{"url":"https://x","max_running":0}"#, "/max_running: must be a whole number from 1 to 64"),
        ] {
            assert_eq!(read(text).1, [told], "{text}");
        }
        assert!(read(r#"{"url":"https://x","events":["task.done"]}"#).1[0].contains("must be one of task.scheduled"));
    }
}
