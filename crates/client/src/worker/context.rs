//! What a handler knows about its attempt, and what it may say.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::Error;
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::lease::Leased;
use tasklane_core::log::Level;
use tasklane_core::ports::executor::Context;
use tasklane_core::task::{Progress, TaskId};
use tasklane_wire::name::is_name;

/// What a handler knows about its attempt, and what it may say; cheap to clone.
#[derive(Clone)]
pub struct TaskContext {
    pub(crate) task: Arc<Leased>,
    pub(crate) context: Arc<dyn Context>,
}

impl TaskContext {
    /// Which task.
    pub fn id(&self) -> TaskId {
        self.task.facts.id
    }

    /// Its type.
    pub fn task_type(&self) -> &str {
        &self.task.facts.lane.task_type
    }

    /// Its queue.
    pub fn queue(&self) -> &str {
        &self.task.facts.lane.queue
    }

    /// The number of this attempt, from 1; never the same twice.
    pub fn attempt(&self) -> u32 {
        self.task.facts.attempt
    }

    /// Who the work is for; `""` where nobody was named.
    pub fn tenant(&self) -> &str {
        &self.task.facts.scope.tenant
    }

    /// The task's labels.
    pub fn labels(&self) -> &BTreeMap<Box<str>, Box<str>> {
        &self.task.facts.spec.labels
    }

    /// W3C trace context of the submitter.
    pub fn traceparent(&self) -> Option<&str> {
        self.task.facts.spec.traceparent.as_deref()
    }

    /// The input as it came, JSON.
    pub fn payload(&self) -> &[u8] {
        &self.task.payload
    }

    /// Says how far it is, 0 to 100, with a line for people. The last word wins; it goes out at most once a second. Also a
    /// sign of life for `heartbeat_timeout`.
    pub fn progress(&self, percent: f64, message: impl Into<String>) {
        let message = Some(message.into()).filter(|it| !it.is_empty());
        self.context.progress(Progress { percent: Some(percent), message, data: None });
    }

    /// As [`TaskContext::progress`], with JSON for programs instead; ignored if it cannot be written.
    pub fn progress_data(&self, data: &impl Serialize) {
        if let Ok(json) = serde_json::to_string(data) {
            self.context.progress(Progress { data: Some(json.into()), ..Progress::default() });
        }
    }

    /// Says a line for the task's log, with a JSON object for programs (`&()` where there is none). It goes out with the
    /// next report, within a second. An attempt keeps 10 000 lines and 1 MiB.
    pub fn log(&self, level: Level, message: impl Into<String>, fields: &impl Serialize) {
        let fields = serde_json::to_string(fields).ok().filter(|json| json.starts_with('{'));
        self.context.log(level, message.into(), fields.map(String::into_boxed_str));
    }

    /// Puts something aside for the next attempt, should there be one: the latest of each name, 1 MiB a task in all. Over
    /// that it is not kept, and the task's log says so.
    ///
    /// # Errors
    /// It cannot be written as JSON, or its name is not 1 to 200 bytes without control characters.
    pub fn checkpoint(&self, name: &str, data: &impl Serialize) -> Result<(), serde_json::Error> {
        if !is_name(name) {
            return Err(Error::custom("the name of a checkpoint must be 1 to 200 bytes without control characters"));
        }
        let data = serde_json::to_vec(data)?.into();
        self.context.checkpoint(Checkpoint { name: name.into(), data });
        Ok(())
    }

    /// What earlier attempts put aside: names, and JSON.
    pub fn checkpoints(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.task.checkpoints.iter().map(|it| (&*it.name, &*it.data))
    }

    /// What earlier attempts put aside under this name; `None` where they did not.
    ///
    /// # Errors
    /// It is not a `T`.
    pub fn restored<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, serde_json::Error> {
        let found = self.task.checkpoints.iter().find(|it| *it.name == *name);
        found.map(|it| serde_json::from_slice(&it.data)).transpose()
    }

    /// Ends when the handler is to stop: somebody cancelled the task, its lease is lost, or the worker ends. A handler that
    /// does not listen is dropped some seconds later.
    pub async fn cancelled(&self) {
        self.context.cancelled().await;
    }
}

impl std::fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskContext").field("id", &self.id()).field("attempt", &self.attempt()).finish()
    }
}
