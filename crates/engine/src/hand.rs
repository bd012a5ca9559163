//! Actions by hand: cancel, retry, reschedule, delete, rerun; pause, resume, drain.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::accept::{Deadlines, NewTask, Start, Submission, UniquePolicy};
use tasklane_core::error::StoreError;
use tasklane_core::gate::Limit;
use tasklane_core::hand::Hand;
use tasklane_core::ports::store::Batch;
use tasklane_core::queue::{Queue, QueueState, is_of_system};
use tasklane_core::record::SetRecord;
use tasklane_core::task::{Spec, Task, TaskId};
use tokio::time::{Instant, timeout_at};

use crate::accept;
use crate::calls::{HandCallError, RerunError, SubmitError};
use crate::inside::Inside;

/// Does one action to one task.
pub(crate) async fn hand(inside: &Arc<Inside>, id: TaskId, hand: Hand) -> Result<Task, HandCallError> {
    let batch = Batch { hand: vec![(id, hand)], ..Batch::default() };
    let answers = inside.commit(batch).await?.answers;
    let answer = answers.hand.into_iter().next();
    answer.expect("a store answers each action").map_err(HandCallError::Refused)
}

/// A new task with the input of an old one. Its unique key stays with the old one; passed deadlines are left out.
pub(crate) async fn rerun(inside: &Arc<Inside>, id: TaskId) -> Result<Task, RerunError> {
    let old = one(inside, id).await.map_err(SubmitError::Store)?.ok_or(RerunError::NotFound)?;
    if is_of_system(&old.facts.lane.queue) {
        return Err(RerunError::OfSystem);
    }
    let spec = Spec {
        rerun_of: Some(id),
        unique: None,
        slot: None,
        fingerprint: None,
        start_deadline: None,
        deadline: None,
        ..(*old.facts.spec).clone()
    };
    let new = NewTask {
        id: inside.ids.draw(inside.store.now()),
        lane: old.facts.lane,
        scope: old.facts.scope,
        payload: old.payload,
        start: Start::Now,
        priority: old.priority,
        limits: Limit::as_they_are(&old.facts.gates),
        spec: Arc::new(spec),
        deadlines: Deadlines::default(),
        unique_policy: UniquePolicy::default(),
        idempotency: None,
    };
    let accepted = accept::submit(inside, Submission { tasks: vec![new] }).await?;
    let id = accepted.first().map(|it| it.id).ok_or(RerunError::NotFound)?;
    one(inside, id).await.map_err(SubmitError::Store)?.ok_or(RerunError::NotFound)
}

/// Pauses, resumes or drains a queue that ever had a task.
pub(crate) async fn control(
    inside: &Arc<Inside>,
    name: &str,
    to: QueueState,
    note: Option<Box<SetRecord>>,
) -> Result<Option<Queue>, StoreError> {
    let named = |queues: Vec<Queue>| queues.into_iter().next();
    if named(inside.store.queues(Some(name.into())).await?).is_none() {
        return Ok(None);
    }
    let record = note.map(|it| *it).into_iter().collect();
    let batch = Batch { control: vec![(name.into(), to)], record, ..Batch::default() };
    inside.commit(batch).await?;
    if to != QueueState::Paused {
        inside.wake_queue(name);
    }
    Ok(named(inside.store.queues(Some(name.into())).await?))
}

/// A queue, made if it never had a task.
pub(crate) async fn make_queue(inside: &Arc<Inside>, name: &str) -> Result<Option<Queue>, StoreError> {
    let find = async || inside.store.queues(Some(name.into())).await.map(|it| it.into_iter().next());
    if let Some(queue) = find().await? {
        return Ok(Some(queue));
    }
    inside.commit(Batch { control: vec![(name.into(), QueueState::Active)], ..Batch::default() }).await?;
    find().await
}

/// The task, when it is final or `wait` is over.
pub(crate) async fn wait(inside: &Arc<Inside>, id: TaskId, wait: Duration) -> Result<Option<Task>, StoreError> {
    let until = Instant::now() + wait;
    let registered = if wait.is_zero() { None } else { register(inside, id) };
    let over = registered.as_ref().map(crate::wake::Wait::over);
    let task = one(inside, id).await?;
    let (Some(over), false) = (over, task.as_ref().is_none_or(|task| task.facts.state.is_final())) else {
        return Ok(task);
    };
    tokio::select! {
        biased;
        _ = timeout_at(until, over) => {}
        () = inside.stopping.notified() => {}
    }
    one(inside, id).await
}

fn register(inside: &Inside, id: TaskId) -> Option<crate::wake::Wait<'_>> {
    let wait = inside.waits.register(id);
    if wait.is_none() {
        inside.metrics.limit_hit("waits");
    }
    wait
}

async fn one(inside: &Inside, id: TaskId) -> Result<Option<Task>, StoreError> {
    Ok(inside.store.tasks(vec![id]).await?.pop().flatten())
}
