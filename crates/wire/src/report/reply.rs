//! `{lost:[ids], cancel:[ids], tasks:[...]}`, always all three.

use std::time::Duration;

use bytes::Bytes;
use tasklane_core::lease::Leased;
use tasklane_core::task::TaskId;

use crate::json::{Object, Value};
use crate::lease::{read_ids, read_tasks, write_ids, write_tasks};
use crate::read::{self, Findings, Path};

/// What a report gets.
#[derive(Debug, Default)]
pub struct ReportReply {
    /// Reported tasks whose lease is no longer valid.
    pub lost: Vec<TaskId>,
    /// Tasks of this worker that somebody wants cancelled.
    pub cancel: Vec<TaskId>,
    /// Tasks to run.
    pub tasks: Vec<Leased>,
}

impl ReportReply {
    /// Appends the answer's JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        write_ids(object.key("lost"), &self.lost);
        write_ids(object.key("cancel"), &self.cancel);
        write_tasks(object.key("tasks"), &self.tasks);
        object.end();
    }

    /// Reads an answer from validated JSON; payloads share the memory of `body`, new leases are of `length`. Unknown members are
    /// left out: a newer server may say more.
    pub fn read(value: Value<'_>, body: &Bytes, length: Duration, findings: &mut Findings) -> Self {
        let mut reply = Self::default();
        read::object(value, &Path::ROOT, findings, |key, value, at, findings| match key {
            "lost" => reply.lost = read_ids(value, at, findings),
            "cancel" => reply.cancel = read_ids(value, at, findings),
            "tasks" => reply.tasks = read_tasks(value, body, length, at, findings),
            _ => {}
        });
        reply
    }
}
