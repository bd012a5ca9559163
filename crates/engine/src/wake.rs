//! Wakes readers that wait for a task's end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tasklane_core::task::TaskId;
use tokio::sync::Notify;

use crate::inside::lock;

pub(crate) struct Waits {
    most: usize,
    waiting: Mutex<HashMap<TaskId, Arc<Notify>>>,
}

/// A registered wait; dropped, it is forgotten.
pub(crate) struct Wait<'a> {
    waits: &'a Waits,
    id: TaskId,
    bell: Arc<Notify>,
}

impl Waits {
    pub fn new(most: usize) -> Self {
        Self { most, waiting: Mutex::default() }
    }

    /// Registers before looking, so that an end between the two is not missed. `None`: too many wait already.
    pub fn register(&self, id: TaskId) -> Option<Wait<'_>> {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= self.most && !waiting.contains_key(&id) {
            return None;
        }
        let bell = Arc::clone(waiting.entry(id).or_default());
        Some(Wait { waits: self, id, bell })
    }

    /// These tasks are final.
    pub fn wake(&self, ids: impl Iterator<Item = TaskId>) {
        let mut waiting = lock(&self.waiting);
        if waiting.is_empty() {
            return;
        }
        for bell in ids.filter_map(|id| waiting.remove(&id)) {
            bell.notify_waiters();
        }
    }

    /// The tasks somebody waits for.
    pub fn ids(&self) -> Vec<TaskId> {
        let mut ids: Vec<_> = lock(&self.waiting).keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub fn len(&self) -> usize {
        lock(&self.waiting).len()
    }
}

impl Wait<'_> {
    /// Resolves when the task is final. Must be created before the look.
    pub fn over(&self) -> tokio::sync::futures::Notified<'_> {
        self.bell.notified()
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.waits.waiting);
        // Two: the map's own and this one. The bell of a finished task may have been replaced by a later wait's.
        let is_last = waiting.get(&self.id).is_some_and(|it| Arc::ptr_eq(it, &self.bell) && Arc::strong_count(it) == 2);
        if is_last {
            waiting.remove(&self.id);
        }
    }
}
