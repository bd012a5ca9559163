//! A store that can be told to fail.

use std::sync::{Arc, Mutex};

use tasklane_core::error::StoreError;
use tasklane_core::event::Position;
use tasklane_core::gate::{Gate, GateDetail, GateName};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::records::Records;
use tasklane_core::ports::store::{
    Answers, Batch, EventPage, LogPage, LogQuery, Standing, Store, StoreStats, TaskFilter, TaskPage,
};
use tasklane_core::queue::{Counts, LaneCounts, Queue};
use tasklane_core::task::{Attempt, Facts, Lane, Task, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_store::memory::MemoryStore;

/// How the store is.
#[derive(Debug, Clone, PartialEq)]
pub enum Mood {
    Well,
    Failing(StoreError),
    Panicking,
}

pub struct Faulty {
    inner: Arc<MemoryStore>,
    mood: Mutex<Mood>,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Faulty {
    pub fn new(inner: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self { inner, mood: Mutex::new(Mood::Well) })
    }

    pub fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn or<'a, T: Send + 'a>(&'a self, well: impl FnOnce() -> Answer<'a, T>) -> Answer<'a, T> {
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Well => well(),
            Mood::Failing(error) => Box::pin(std::future::ready(Err(error))),
            Mood::Panicking => panic!("told to"),
        }
    }
}

impl Store for Faulty {
    fn commit(&self, batch: Batch) -> Answer<'_, Answers> {
        self.or(|| self.inner.commit(batch))
    }

    fn tasks(&self, ids: Vec<TaskId>) -> Answer<'_, Vec<Option<Task>>> {
        self.or(|| self.inner.tasks(ids))
    }

    fn facts(&self, ids: Vec<TaskId>) -> Answer<'_, Vec<Option<Facts>>> {
        self.or(|| self.inner.facts(ids))
    }

    fn list(&self, filter: TaskFilter, below: Option<TaskId>, limit: usize) -> Answer<'_, TaskPage> {
        self.or(|| self.inner.list(filter, below, limit))
    }

    fn attempts(&self, id: TaskId) -> Answer<'_, Option<Vec<Attempt>>> {
        self.or(|| self.inner.attempts(id))
    }

    fn logs(&self, id: TaskId, query: LogQuery) -> Answer<'_, Option<LogPage>> {
        self.or(|| self.inner.logs(id, query))
    }

    fn standing(&self, id: TaskId, most: u64) -> Answer<'_, Option<Standing>> {
        self.or(|| self.inner.standing(id, most))
    }

    fn queues(&self, name: Option<Box<str>>) -> Answer<'_, Vec<Queue>> {
        self.or(|| self.inner.queues(name))
    }

    fn counts(&self, origin: Box<str>, tenant: Option<Box<str>>) -> Answer<'_, Counts> {
        self.or(|| self.inner.counts(origin, tenant))
    }

    fn knows(&self, lane: &Lane) -> bool {
        self.inner.knows(lane)
    }

    fn records(&self) -> &dyn Records {
        self.inner.records()
    }

    fn gates(&self, after: Option<GateName>, most: usize) -> Answer<'_, Vec<Gate>> {
        self.or(|| self.inner.gates(after, most))
    }

    fn gate(&self, name: GateName) -> Answer<'_, Option<GateDetail>> {
        self.or(|| self.inner.gate(name))
    }

    fn lanes(&self) -> Answer<'_, Vec<LaneCounts>> {
        self.or(|| self.inner.lanes())
    }

    fn events(&self, after: Position, limit: usize) -> Answer<'_, EventPage> {
        self.or(|| self.inner.events(after, limit))
    }

    fn crash_loops(&self, after: Position, since: Timestamp, most: usize) -> Answer<'_, EventPage> {
        self.or(|| self.inner.crash_loops(after, since, most))
    }

    fn stats(&self) -> Answer<'_, StoreStats> {
        self.or(|| self.inner.stats())
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
