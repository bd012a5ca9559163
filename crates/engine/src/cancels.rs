//! Beside the road: cancellations asked for at another server, and those of attempts that another server leased to a worker
//! that waits here now.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use tasklane_core::error::StoreError;
use tasklane_core::state::State;
use tasklane_core::task::{Task, TaskId};

use crate::hints::quiet;
use crate::inside::{Inside, lock};

/// Workers of attempts that are to be cancelled and are not held here, so that the store is asked once for each.
#[derive(Default)]
pub(crate) struct Strangers {
    workers: Mutex<HashMap<(TaskId, u32), Box<str>>>,
}

impl Strangers {
    /// Forgets all but `asked`; answers with those it does not know.
    fn keep(&self, asked: &[(TaskId, u32)]) -> Vec<(TaskId, u32)> {
        let mut workers = lock(&self.workers);
        if !workers.is_empty() {
            let kept: HashSet<_> = asked.iter().collect();
            workers.retain(|attempt, _| kept.contains(attempt));
        }
        asked.iter().filter(|it| !workers.contains_key(it)).copied().collect()
    }

    fn learn(&self, attempts: &[(TaskId, u32)], tasks: &[Option<Task>]) {
        let worker = |task: &Option<Task>| task.as_ref().and_then(|it| it.worker.clone()).unwrap_or_default();
        let known = attempts.iter().zip(tasks).map(|(attempt, task)| (*attempt, worker(task)));
        lock(&self.workers).extend(known);
    }

    /// Those whose worker waits here.
    fn present(&self, inside: &Inside) -> Vec<TaskId> {
        let known = lock(&self.workers).clone();
        if known.is_empty() {
            return Vec::new();
        }
        let present = inside.parked.present(&known.values().map(|it| &**it).collect());
        let here = known.iter().filter(|(_, worker)| present.contains(&***worker));
        let mut here: Vec<_> = here.map(|((id, _), _)| *id).collect();
        here.sort_unstable();
        here
    }
}

/// Tells the workers held here, and those that wait here though another server leased to them, what somebody asked another
/// server to cancel.
pub(crate) async fn look_for_cancels(inside: Arc<Inside>) {
    if inside.facts.len() == 0 && inside.parked.len() == 0 {
        return;
    }
    let told = match inside.store.cancels().await {
        Ok(cancels) => tell_all(&inside, &cancels).await,
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        quiet(&error);
    }
}

async fn tell_all(inside: &Arc<Inside>, cancels: &[(TaskId, u32)]) -> Result<(), StoreError> {
    let held = |it: &(TaskId, u32)| inside.facts.holds_attempt(it.0, it.1);
    let (here, elsewhere): (Vec<_>, Vec<_>) = cancels.iter().copied().partition(held);
    here.into_iter().for_each(|(id, attempt)| inside.tell(id, attempt));
    let unknown = inside.strangers.keep(&elsewhere);
    if !unknown.is_empty() {
        let tasks = inside.store.tasks(unknown.iter().map(|it| it.0).collect()).await?;
        inside.strangers.learn(&unknown, &tasks);
    }
    let present = inside.strangers.present(inside);
    if !present.is_empty() {
        let tasks = inside.store.tasks(present).await?;
        tasks.iter().flatten().for_each(|task| inside.tell_stranger(task));
    }
    Ok(())
}

impl Inside {
    /// Tells the worker of a task that is to be cancelled, if it waits here, though another server leased it the task.
    pub fn tell_stranger(self: &Arc<Self>, task: &Task) {
        let facts = &task.facts;
        let is_asked = facts.state == State::Running && facts.cancel_requested;
        if let Some(worker) = task.worker.as_deref().filter(|it| is_asked && self.parked.has(it)) {
            self.facts.adopt(&worker.into(), facts.clone());
            self.tell(facts.id, facts.attempt);
        }
    }
}
