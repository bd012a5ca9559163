//! `{tasks:[...], cancel:[ids]}`: what a worker gets. A worker reads it back as core's [`Leased`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::gate::no_keys;
use tasklane_core::lease::{Lease, Leased};
use tasklane_core::state::State;
use tasklane_core::task::{Facts, Lane, Scope, Spec, TaskId};
use tasklane_core::time::Timestamp;

use super::text;
use crate::duration;
use crate::json::{Array, Object, Value, id};
use crate::read::{self, Findings, Path, put};
use crate::task::{labels, moment};

/// What a lease request gets.
#[derive(Debug, Default)]
pub struct LeaseReply {
    /// Tasks to run.
    pub tasks: Vec<Leased>,
    /// Tasks of this worker that somebody wants cancelled.
    pub cancel: Vec<TaskId>,
}

impl LeaseReply {
    /// Appends the answer's JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        write_tasks(object.key("tasks"), &self.tasks);
        write_ids(object.key("cancel"), &self.cancel);
        object.end();
    }

    /// Reads an answer from validated JSON; payloads share the memory of `body`. Unknown members are left out: a newer server
    /// may say more.
    pub fn read(value: Value<'_>, body: &Bytes, length: Duration, findings: &mut Findings) -> Self {
        let mut reply = Self::default();
        read::object(value, &Path::ROOT, findings, |key, value, at, findings| match key {
            "tasks" => reply.tasks = read_tasks(value, body, length, at, findings),
            "cancel" => reply.cancel = read_ids(value, at, findings),
            _ => {}
        });
        reply
    }
}

pub(crate) fn write_ids(out: &mut Vec<u8>, ids: &[TaskId]) {
    let mut array = Array::begin(out);
    for task in ids {
        id(array.item(), *task);
    }
    array.end();
}

pub(crate) fn write_tasks(out: &mut Vec<u8>, tasks: &[Leased]) {
    let checkpoints = |it: &Leased| it.checkpoints.iter().map(|it| it.bytes() + 4).sum::<usize>();
    let size: usize = tasks.iter().map(|it| it.payload.len() + checkpoints(it) + 256).sum();
    out.reserve(size);
    let mut array = Array::begin(out);
    for task in tasks {
        write_task(array.item(), task);
    }
    array.end();
}

fn write_task(out: &mut Vec<u8>, leased: &Leased) {
    let (facts, spec) = (&leased.facts, &leased.facts.spec);
    let mut object = Object::begin(out);
    object.id("id", facts.id);
    object.string("type", &facts.lane.task_type);
    object.string("queue", &facts.lane.queue);
    object.raw("payload", &leased.payload);
    object.integer("attempt", facts.attempt);
    object.word("lease", &text::encode(&leased.key()));
    labels(object.key("labels"), &spec.labels);
    if !facts.scope.tenant.is_empty() {
        object.string("tenant", &facts.scope.tenant);
    }
    for (key, timeout) in [("attempt_timeout", spec.attempt_timeout), ("heartbeat_timeout", spec.heartbeat_timeout)] {
        if let Some(timeout) = timeout {
            object.word(key, &duration::format(timeout));
        }
    }
    moment(&mut object, "deadline", spec.deadline);
    if let Some(traceparent) = &spec.traceparent {
        object.string("traceparent", traceparent);
    }
    if !leased.checkpoints.is_empty() {
        write_checkpoints(object.key("checkpoints"), &leased.checkpoints);
    }
    object.end();
}

fn write_checkpoints(out: &mut Vec<u8>, checkpoints: &[Checkpoint]) {
    let mut object = Object::begin(out);
    for checkpoint in checkpoints {
        object.any_key(&checkpoint.name).extend_from_slice(&checkpoint.data);
    }
    object.end();
}

pub(crate) fn read_ids(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Vec<TaskId> {
    read::array(value, at, usize::MAX, findings, read::id)
}

/// The last lane read: tasks of one answer mostly share it.
type LastLane = Option<Arc<Lane>>;

pub(crate) fn read_tasks(
    value: Value<'_>,
    body: &Bytes,
    length: Duration,
    at: &Path<'_>,
    findings: &mut Findings,
) -> Vec<Leased> {
    let mut lane: LastLane = None;
    read::array(value, at, usize::MAX, findings, |value, at, findings| {
        read_task(value, body, length, &mut lane, at, findings)
    })
}

#[derive(Default)]
struct Draft<'a> {
    task_type: Option<std::borrow::Cow<'a, str>>,
    queue: Option<std::borrow::Cow<'a, str>>,
    lease: Option<std::borrow::Cow<'a, str>>,
    payload: Option<&'a str>,
    tenant: Option<Box<str>>,
    spec: Spec,
    checkpoints: Vec<(Box<str>, &'a str)>,
}

impl<'a> Draft<'a> {
    fn member(&mut self, key: &str, value: Value<'a>, at: &Path<'_>, findings: &mut Findings) {
        match key {
            "type" => put(&mut self.task_type, read::string(value, at, findings), at, findings),
            "queue" => put(&mut self.queue, read::string(value, at, findings), at, findings),
            "lease" => put(&mut self.lease, read::string(value, at, findings), at, findings),
            "payload" => self.payload = Some(value.text()),
            "tenant" => self.tenant = read::string(value, at, findings).map(Box::from),
            "attempt_timeout" => self.spec.attempt_timeout = read::duration(value, at, findings),
            "heartbeat_timeout" => self.spec.heartbeat_timeout = read::duration(value, at, findings),
            "deadline" => self.spec.deadline = read::moment(value, at, findings),
            "traceparent" => self.spec.traceparent = read::string(value, at, findings).map(Box::from),
            "checkpoints" => {
                let members = value.members().into_iter().flatten();
                self.checkpoints = members.map(|(key, value)| (key.into(), value.text())).collect();
            }
            "labels" => {
                let members = value.members().into_iter().flatten();
                let texts = members.filter_map(|(key, value)| Some((key.into(), value.string()?.into())));
                self.spec.labels = texts.collect();
            }
            _ => {}
        }
    }
}

fn read_task(
    value: Value<'_>,
    body: &Bytes,
    length: Duration,
    last: &mut LastLane,
    at: &Path<'_>,
    findings: &mut Findings,
) -> Option<Leased> {
    let mut draft = Draft::default();
    read::object(value, at, findings, |key, value, at, findings| draft.member(key, value, at, findings));
    let key = draft.lease.as_deref().and_then(text::decode);
    let (Some(key), Some(task_type), Some(queue), Some(payload)) = (key, draft.task_type, draft.queue, draft.payload)
    else {
        findings.invalid(at, "is no leased task");
        return None;
    };
    let lane = match last {
        Some(lane) if *lane.queue == *queue && *lane.task_type == *task_type => Arc::clone(lane),
        _ => Arc::clone(last.insert(Lane::new(&queue, &task_type))),
    };
    let scope = draft.tenant.map_or_else(Scope::native, |tenant| Arc::new(Scope { origin: "".into(), tenant }));
    // The worker's clock plays no part: what times the lease has are the server's, and only its length crosses.
    let lease =
        Lease { token: key.token, length, until: Timestamp::EPOCH, heard_at: Timestamp::EPOCH, grace_until: None };
    let share = |(name, data): (Box<str>, &str)| Checkpoint { name, data: body.slice_ref(data.as_bytes()) };
    let checkpoints = draft.checkpoints.into_iter().map(share).collect();
    let facts = Facts {
        id: key.id,
        lane,
        scope,
        spec: Spec::share(draft.spec),
        gates: no_keys(),
        state: State::Running,
        attempt: key.attempt,
        spent: 0,
        crashes: 0,
        cancel_requested: false,
        run_at: None,
        started_at: None,
        lease: Some(lease),
    };
    Some(Leased { facts, payload: body.slice_ref(payload.as_bytes()), waited: Duration::ZERO, checkpoints })
}
