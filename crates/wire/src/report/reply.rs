//! `{lost:[ids], cancel:[ids], tasks:[...]}`, always all three, and `refused:[...]` where an item was refused alone.

use std::time::Duration;

use bytes::Bytes;
use tasklane_core::lease::Leased;
use tasklane_core::task::TaskId;

use crate::json::{Array, Object, Value};
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
    /// Items that were refused, while the rest of the report was taken.
    pub refused: Vec<RefusedItem>,
}

/// An item of a report that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedItem {
    /// Whose it is.
    pub id: TaskId,
    /// The list it stood in: `checkpoints`.
    pub list: Box<str>,
    /// The checkpoint's name.
    pub name: Box<str>,
    /// Stable, snake case: `checkpoints_too_large`, `disk_full`.
    pub code: Box<str>,
    /// For people: why, and what to do.
    pub detail: Box<str>,
}

impl RefusedItem {
    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        object.id("id", self.id);
        object.word("list", &self.list);
        object.string("name", &self.name);
        object.word("code", &self.code);
        object.string("detail", &self.detail);
        object.end();
    }

    fn read(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Self> {
        let mut id = None;
        let [mut list, mut name, mut code, mut detail] = [const { None }; 4];
        read::object(value, at, findings, |key, value, at, findings| {
            let slot = match key {
                "id" => return id = read::id(value, at, findings),
                "list" => &mut list,
                "name" => &mut name,
                "code" => &mut code,
                "detail" => &mut detail,
                _ => return,
            };
            *slot = read::string(value, at, findings).map(Box::<str>::from);
        });
        let text = Option::unwrap_or_default;
        Some(Self { id: id?, list: text(list), name: text(name), code: text(code), detail: text(detail) })
    }
}

impl ReportReply {
    /// Appends the answer's JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object::begin(out);
        write_ids(object.key("lost"), &self.lost);
        write_ids(object.key("cancel"), &self.cancel);
        write_tasks(object.key("tasks"), &self.tasks);
        if !self.refused.is_empty() {
            let mut array = Array::begin(object.key("refused"));
            self.refused.iter().for_each(|it| it.write(array.item()));
            array.end();
        }
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
            "refused" => reply.refused = read::array(value, at, usize::MAX, findings, RefusedItem::read),
            _ => {}
        });
        reply
    }
}
