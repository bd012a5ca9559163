//! Reading tasks, waiting for them, and acting on them by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tasklane_core::limit;
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_wire::duration;
use tasklane_wire::task::{AttemptShape, Page, Task, Why};

use crate::client::Client;
use crate::error::Error;
use crate::transport::{Call, segment};

/// How long after a wait found no server the next one begins.
const AWAY_PAUSE: Duration = Duration::from_millis(500);

/// Whether the server may be back soon.
pub(crate) fn is_away(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } => true,
        Error::Refused { problem, .. } => problem.status == http::StatusCode::SERVICE_UNAVAILABLE.as_u16(),
        _ => false,
    }
}

/// Which tasks a list is of, newest first; what is not said does not matter.
#[derive(Debug, Clone, Default)]
pub struct List {
    query: Vec<(String, String)>,
}

impl List {
    /// Every task.
    pub fn all() -> Self {
        Self::default()
    }

    /// Tasks in this state.
    #[must_use]
    pub fn state(self, state: State) -> Self {
        self.with("state", state.as_str())
    }

    /// Tasks of this type.
    #[must_use]
    pub fn task_type(self, task_type: &str) -> Self {
        self.with("type", task_type)
    }

    /// Tasks of this queue.
    #[must_use]
    pub fn queue(self, queue: &str) -> Self {
        self.with("queue", queue)
    }

    /// Tasks with this label.
    #[must_use]
    pub fn label(self, key: &str, value: &str) -> Self {
        self.with(&format!("label.{key}"), value)
    }

    /// At most so many on a page; 200 is the most.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        self.with("limit", &limit.to_string())
    }

    /// From the `next_cursor` of another page on.
    #[must_use]
    pub fn cursor(self, cursor: &str) -> Self {
        self.with("cursor", cursor)
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.query.retain(|(known, _)| known != name);
        self.query.push((name.into(), value.into()));
        self
    }

    fn path(&self) -> String {
        let pairs = self.query.iter().map(|(name, value)| format!("{}={}", segment(name), segment(value)));
        format!("/v1/tasks?{}", pairs.collect::<Vec<_>>().join("&"))
    }
}

impl Client {
    /// The task as it stands.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `task_not_found` if there is none.
    pub async fn task(&self, id: TaskId) -> Result<Task, Error> {
        self.get(format!("/v1/tasks/{id}")).await
    }

    /// The task once it is final, or as it stands when `timeout` is over. A server that is away meanwhile is asked again.
    ///
    /// # Errors
    /// As [`Client::task`]; [`Error::Unreachable`] if the server was away at the end.
    pub async fn wait(&self, id: TaskId, timeout: Duration) -> Result<Task, Error> {
        let end = Instant::now() + timeout.min(limit::DURATION);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.wait_once(id, left.min(limit::RESULT_WAIT)).await {
                Ok(task) if task.state.is_final() || left.is_zero() => return Ok(task),
                Ok(_) => {}
                Err(error) if !is_away(&error) || left.is_zero() => return Err(error),
                Err(_) => tokio::time::sleep(AWAY_PAUSE.min(left)).await,
            }
        }
    }

    /// One request. Durations on the wire are whole milliseconds.
    async fn wait_once(&self, id: TaskId, wait: Duration) -> Result<Task, Error> {
        let wait = Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        let call = Call::get(format!("/v1/tasks/{id}?wait={}", duration::format(wait))).waiting(wait);
        self.transport.send(call).await?.json()
    }

    /// The task's result once it has one.
    ///
    /// # Errors
    /// [`Error::TaskFailed`] if it ended without one, [`Error::NotFinished`] if it did not end within `timeout`,
    /// [`Error::Answer`] if the result is not a `T`; else as [`Client::task`].
    pub async fn result<T: DeserializeOwned>(&self, id: TaskId, timeout: Duration) -> Result<T, Error> {
        let task = self.wait(id, timeout).await?;
        match task.state {
            State::Succeeded => {
                let result = task.result.as_deref().map_or("null", RawValue::get);
                serde_json::from_str(result).map_err(|error| Error::Answer(format!("the result of task {id}: {error}")))
            }
            state if state.is_final() => Err(Error::TaskFailed { id, state, failure: task.failure.map(Arc::new) }),
            state => Err(Error::NotFinished { id, state }),
        }
    }

    /// A page of tasks.
    ///
    /// # Errors
    /// [`Error::Refused`] if the list asks for something odd.
    pub async fn list(&self, list: &List) -> Result<Page<Task>, Error> {
        self.get(list.path()).await
    }

    /// The attempts of a task.
    ///
    /// # Errors
    /// As [`Client::task`].
    pub async fn attempts(&self, id: TaskId) -> Result<Vec<AttemptShape>, Error> {
        let page: Page<AttemptShape> = self.get(format!("/v1/tasks/{id}/attempts")).await?;
        Ok(page.items)
    }

    /// Why the task is not running.
    ///
    /// # Errors
    /// As [`Client::task`].
    pub async fn why(&self, id: TaskId) -> Result<Why, Error> {
        self.get(format!("/v1/tasks/{id}/why")).await
    }

    /// Cancels a task; a running one is told to stop. Answers with the task afterwards.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `invalid_transition` if it is final; else as [`Client::task`].
    pub async fn cancel(&self, id: TaskId) -> Result<Task, Error> {
        self.act(format!("/v1/tasks/{id}:cancel")).await
    }

    /// Runs a task again that failed, expired or was cancelled. Answers with the task afterwards.
    ///
    /// # Errors
    /// As [`Client::cancel`].
    pub async fn retry(&self, id: TaskId) -> Result<Task, Error> {
        self.act(format!("/v1/tasks/{id}:retry")).await
    }

    /// A new task with the input of this one; answers with the new one.
    ///
    /// # Errors
    /// As [`Client::task`].
    pub async fn rerun(&self, id: TaskId) -> Result<Task, Error> {
        self.act(format!("/v1/tasks/{id}:rerun")).await
    }

    /// Deletes a task that is final.
    ///
    /// # Errors
    /// As [`Client::cancel`].
    pub async fn delete(&self, id: TaskId) -> Result<(), Error> {
        self.transport.send(Call::delete(format!("/v1/tasks/{id}"))).await.map(drop)
    }

    /// The JSON at a path such as `/v1/tasks`, as the server wrote it.
    ///
    /// # Errors
    /// As the server says.
    pub async fn get_json(&self, path: &str) -> Result<Box<RawValue>, Error> {
        self.get(path.into()).await
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, Error> {
        self.transport.send(Call::get(path)).await?.json()
    }

    pub(crate) async fn act<T: DeserializeOwned>(&self, path: String) -> Result<T, Error> {
        self.transport.send(Call::act(path)).await?.json()
    }
}
