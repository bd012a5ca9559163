//! Writes what the server answers about tasks.

use std::collections::BTreeMap;

use tasklane_core::accept::Accepted;
use tasklane_core::gate::Bounds;
use tasklane_core::task::{Attempt, Progress, Task};
use tasklane_core::time::Timestamp;

use super::{failure, retry};
use crate::gate::write_limits;
use crate::json::{Object, number, string};
use crate::{duration, time};

/// Appends a task.
pub fn write(out: &mut Vec<u8>, task: &Task) {
    let facts = &task.facts;
    let mut object = Object::begin(out);
    object.id("id", facts.id);
    object.string("type", &facts.lane.task_type);
    object.string("queue", &facts.lane.queue);
    object.word("state", facts.state.as_str());
    object.word("reason", task.reason.as_str());
    object.integer("priority", task.priority);
    object.raw("payload", &task.payload);
    write_end(&mut object, task);
    object.integer("attempt", facts.attempt);
    object.integer("spent", facts.spent);
    write_spec(&mut object, task);
    write_times(&mut object, task);
    object.bool("cancel_requested", facts.cancel_requested);
    object.bool("quarantined", task.quarantined);
    object.end();
}

fn write_end(object: &mut Object<'_>, task: &Task) {
    if let Some(result) = &task.result {
        object.raw("result", result);
    }
    if let Some(it) = &task.failure {
        failure::write(object.key("failure"), it);
    }
    if let Some(it) = &task.progress {
        progress(object.key("progress"), it);
    }
    if let Some(worker) = &task.worker {
        object.string("worker", worker);
    }
}

fn write_spec(object: &mut Object<'_>, task: &Task) {
    let spec = &task.facts.spec;
    object.integer("max_attempts", spec.max_attempts);
    retry::write(object.key("retry"), &spec.retry);
    if !task.facts.scope.tenant.is_empty() {
        object.string("tenant", &task.facts.scope.tenant);
    }
    labels(object.key("labels"), &spec.labels);
    for (key, timeout) in [("attempt_timeout", spec.attempt_timeout), ("heartbeat_timeout", spec.heartbeat_timeout)] {
        if let Some(timeout) = timeout {
            object.word(key, &duration::format(timeout));
        }
    }
    if !task.facts.gates.is_empty() {
        let keys = task.facts.gates.iter().map(|key| (&**key, Bounds::default()));
        write_limits(object.key("limits"), keys);
    }
    if let Some(unique) = &spec.unique {
        object.string("unique_key", &unique.key);
    }
    if let Some(slot) = spec.slot {
        object.word("schedule", &slot.schedule.0.hyphenated().to_string());
        object.word("slot", &time::format(slot.at));
    }
    if let Some(origin) = spec.rerun_of {
        object.id("rerun_of", origin);
    }
    if let Some(traceparent) = &spec.traceparent {
        object.string("traceparent", traceparent);
    }
}

fn write_times(object: &mut Object<'_>, task: &Task) {
    let (facts, spec) = (&task.facts, &task.facts.spec);
    moment(object, "run_at", facts.run_at);
    moment(object, "start_deadline", spec.start_deadline);
    moment(object, "deadline", spec.deadline);
    moment(object, "created_at", Some(task.created_at));
    moment(object, "queued_at", task.queued_at);
    moment(object, "started_at", facts.started_at);
    moment(object, "finished_at", task.finished_at);
}

/// A moment, if there is one.
pub(crate) fn moment(object: &mut Object<'_>, key: &str, at: Option<Timestamp>) {
    if let Some(at) = at {
        object.word(key, &time::format(at));
    }
}

/// Labels.
pub(crate) fn labels(out: &mut Vec<u8>, labels: &BTreeMap<Box<str>, Box<str>>) {
    let mut object = Object::begin(out);
    for (key, value) in labels {
        string(object.any_key(key), value);
    }
    object.end();
}

/// The members of a progress.
pub(crate) fn progress(out: &mut Vec<u8>, progress: &Progress) {
    let mut object = Object::begin(out);
    progress_members(&mut object, progress);
    object.end();
}

/// The members of a progress, without their object.
pub(crate) fn progress_members(object: &mut Object<'_>, progress: &Progress) {
    if let Some(percent) = progress.percent {
        number(object.key("percent"), percent);
    }
    if let Some(message) = &progress.message {
        object.string("message", message);
    }
    if let Some(data) = &progress.data {
        object.raw("data", data.as_bytes());
    }
}

/// Appends the short answer to a submitted task.
pub fn write_accepted(out: &mut Vec<u8>, accepted: &Accepted) {
    let mut object = Object::begin(out);
    object.id("id", accepted.id);
    object.word("state", accepted.state.as_str());
    object.end();
}

/// Appends an attempt of the history.
pub fn write_attempt(out: &mut Vec<u8>, attempt: &Attempt) {
    let mut object = Object::begin(out);
    object.integer("attempt", attempt.attempt);
    if let Some(worker) = &attempt.worker {
        object.string("worker", worker);
    }
    moment(&mut object, "started_at", attempt.started_at);
    moment(&mut object, "ended_at", attempt.ended_at);
    if let Some(reason) = attempt.reason {
        object.word("reason", reason.as_str());
    }
    object.bool("charged", attempt.charged);
    if let Some(it) = &attempt.failure {
        failure::write(object.key("failure"), it);
    }
    if let Some(result) = &attempt.result {
        object.raw("result", result.as_bytes());
    }
    object.end();
}
