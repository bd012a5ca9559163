//! Writes a report, as workers do.

use tasklane_core::lease::LeaseKey;
use tasklane_core::outcome::{Failure, Outcome};

use super::Report;
use super::notes::{write_checkpoints, write_logs};
use crate::duration;
use crate::json::{Array, Object};
use crate::lease::encode;
use crate::task::progress_members;

impl Report {
    /// Appends the report's JSON. Empty lists are left out.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        object.string("worker", &self.worker);
        list(&mut object, "renew", self.renew.iter(), |it| (it, ()), |_, ()| {});
        list(
            &mut object,
            "progress",
            self.progress.iter(),
            |it| (&it.0, it.1.as_ref()),
            |object, progress| {
                if let Some(progress) = progress {
                    progress_members(object, progress);
                }
            },
        );
        write_logs(&mut object, &self.logs);
        write_checkpoints(&mut object, &self.checkpoints);
        self.write_outcomes(&mut object);
        if let Some(want) = &self.want {
            let mut inner = Object::begin(object.key("want"));
            want.write_members(&mut inner);
            inner.end();
        }
        object.end();
    }

    fn write_outcomes(&self, object: &mut Object<'_>) {
        for verb in ["succeed", "fail", "release", "snooze", "cancelled"] {
            let chosen = self.outcomes.iter().filter(|it| verb_of(&it.1) == verb);
            list(object, verb, chosen, |it| (&it.0, &it.1), outcome_members);
        }
    }
}

fn verb_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded(_) => "succeed",
        Outcome::Failed { .. } => "fail",
        Outcome::Snoozed(_) => "snooze",
        Outcome::Released => "release",
        Outcome::Cancelled => "cancelled",
    }
}

/// A list of items that begin with id and lease; left out where it is empty.
fn list<'i, I: 'i, P>(
    object: &mut Object<'_>,
    verb: &str,
    items: impl Iterator<Item = &'i I>,
    split: impl Fn(&'i I) -> (&'i LeaseKey, P),
    members: impl Fn(&mut Object<'_>, P),
) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    let mut array = Array::begin(object.key(verb));
    for item in items {
        let (key, rest) = split(item);
        let mut object = Object::begin(array.item());
        object.id("id", key.id);
        object.word("lease", &encode(key));
        members(&mut object, rest);
        object.end();
    }
    array.end();
}

fn outcome_members(object: &mut Object<'_>, outcome: &Outcome) {
    match outcome {
        Outcome::Succeeded(result) if result.is_empty() => {}
        Outcome::Succeeded(result) => object.raw("result", result),
        Outcome::Failed { failure, retry_after } => {
            failure_members(object, failure);
            if let Some(after) = retry_after {
                object.word("retry_after", &duration::format(*after));
            }
        }
        Outcome::Snoozed(after) => object.word("for", &duration::format(*after)),
        Outcome::Released | Outcome::Cancelled => {}
    }
}

fn failure_members(object: &mut Object<'_>, failure: &Failure) {
    object.word("kind", failure.kind.as_str());
    object.string("message", &failure.message);
    if let Some(details) = &failure.details {
        object.raw("details", details.as_bytes());
    }
    if let Some(stack) = &failure.stack {
        object.string("stack", stack);
    }
    object.bool("retryable", failure.retryable);
}
