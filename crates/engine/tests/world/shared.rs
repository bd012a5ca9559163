//! One memory store under several engines, as one database under several servers: each commit is told to the others, or to
//! nobody.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tasklane_core::error::StoreError;
use tasklane_core::event::Position;
use tasklane_core::gate::{Gate, GateDetail, GateName};
use tasklane_core::lease::LeaseKey;
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::records::Records;
use tasklane_core::ports::store::{
    Answers, Batch, CancelAsked, EventPage, Hint, LogPage, LogQuery, Standing, Store, StoreStats, TaskFilter, TaskPage,
};
use tasklane_core::queue::{Counts, LaneCounts, Queue};
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, Facts, Lane, Task, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_store::memory::MemoryStore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the servers share.
pub struct Bus {
    store: Arc<MemoryStore>,
    to: Mutex<Vec<UnboundedSender<Hint>>>,
    /// Hints are lost.
    pub deaf: AtomicBool,
    /// The store does not answer.
    pub away: AtomicBool,
    /// It answers reads, and takes no commits.
    pub read_only: AtomicBool,
    /// The first server does not move what is due.
    pub first_is_slow: AtomicBool,
    /// Commits above this one cannot be read yet.
    pub readable: AtomicU64,
    /// Reads of tasks.
    pub reads: AtomicUsize,
    /// Lease requests that came to the store.
    pub asked: AtomicUsize,
}

impl Bus {
    pub fn new(store: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self {
            store,
            to: Mutex::default(),
            deaf: AtomicBool::new(false),
            away: AtomicBool::new(false),
            first_is_slow: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            readable: AtomicU64::new(u64::MAX),
            reads: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        })
    }

    /// The store as one more server sees it.
    pub fn join(self: &Arc<Self>) -> Arc<Shared> {
        let (to, from) = unbounded_channel();
        let mut all = self.to.lock().unwrap();
        all.push(to);
        Arc::new(Shared { bus: Arc::clone(self), me: all.len() - 1, from: tokio::sync::Mutex::new(from) })
    }

    pub fn tell_all(&self, hint: &Hint) {
        self.to.lock().unwrap().iter().for_each(|to| drop(to.send(hint.clone())));
    }

    fn tell_others(&self, me: usize, answers: &Answers) {
        let queued = answers.transitions.iter().filter(|it| it.to == State::Queued);
        let hint = Hint {
            lanes: queued.map(|it| Arc::clone(&it.lane)).collect(),
            ended: answers.transitions.iter().filter(|it| it.to.is_final()).map(|it| it.task).collect(),
            cancels: answers.hand.iter().flatten().any(|it| it.facts.cancel_requested),
            position: answers.position,
            all: false,
        };
        if !self.deaf.load(Ordering::Relaxed) && (!answers.transitions.is_empty() || hint.cancels) {
            let all = self.to.lock().unwrap();
            all.iter().enumerate().filter(|(it, _)| *it != me).for_each(|(_, to)| drop(to.send(hint.clone())));
        }
    }
}

/// The store as one server sees it.
pub struct Shared {
    bus: Arc<Bus>,
    me: usize,
    from: tokio::sync::Mutex<UnboundedReceiver<Hint>>,
}

impl Shared {
    fn ask<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a MemoryStore) -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        if self.bus.away.load(Ordering::Relaxed) {
            return Box::pin(std::future::ready(Err(StoreError::Away("gone".into()))));
        }
        ask(&self.bus.store)
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Store for Shared {
    fn commit(&self, mut batch: Batch) -> Answer<'_, Answers> {
        if self.me == 0 && self.bus.first_is_slow.load(Ordering::Relaxed) {
            (batch.promote, batch.rescue) = (0, 0);
        }
        Box::pin(async move {
            // As a database: there is time between a question and its answer, and more of it where leases are asked for.
            for _ in 0..if batch.lease.is_empty() { 1 } else { 10 } {
                tokio::task::yield_now().await;
            }
            if self.bus.read_only.load(Ordering::Relaxed) {
                return Err(StoreError::Away("read only".into()));
            }
            self.bus.asked.fetch_add(batch.lease.len(), Ordering::Relaxed);
            let answers = self.ask(|it| it.commit(batch)).await?;
            self.bus.tell_others(self.me, &answers);
            tokio::task::yield_now().await;
            Ok(answers)
        })
    }

    fn tasks(&self, ids: Vec<TaskId>) -> Answer<'_, Vec<Option<Task>>> {
        self.bus.reads.fetch_add(1, Ordering::Relaxed);
        self.ask(|it| it.tasks(ids))
    }

    fn facts(&self, ids: Vec<TaskId>) -> Answer<'_, Vec<Option<Facts>>> {
        self.ask(|it| it.facts(ids))
    }

    fn list(&self, filter: TaskFilter, below: Option<TaskId>, limit: usize) -> Answer<'_, TaskPage> {
        self.ask(|it| it.list(filter, below, limit))
    }

    fn attempts(&self, id: TaskId) -> Answer<'_, Option<Vec<Attempt>>> {
        self.ask(|it| it.attempts(id))
    }

    fn logs(&self, id: TaskId, query: LogQuery) -> Answer<'_, Option<LogPage>> {
        self.ask(|it| it.logs(id, query))
    }

    fn standing(&self, id: TaskId, most: u64) -> Answer<'_, Option<Standing>> {
        self.ask(|it| it.standing(id, most))
    }

    fn queues(&self, name: Option<Box<str>>) -> Answer<'_, Vec<Queue>> {
        self.ask(|it| it.queues(name))
    }

    fn records(&self) -> &dyn Records {
        self.bus.store.records()
    }

    fn gates(&self, after: Option<GateName>, most: usize) -> Answer<'_, Vec<Gate>> {
        self.ask(|it| it.gates(after, most))
    }

    fn gate(&self, name: GateName) -> Answer<'_, Option<GateDetail>> {
        self.ask(|it| it.gate(name))
    }

    fn lanes(&self) -> Answer<'_, Vec<LaneCounts>> {
        self.ask(|it| it.lanes())
    }

    fn counts(&self, origin: Box<str>, tenant: Option<Box<str>>) -> Answer<'_, Counts> {
        self.ask(|it| it.counts(origin, tenant))
    }

    fn knows(&self, lane: &Lane) -> bool {
        self.bus.store.knows(lane)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn hint(&self) -> BoxFuture<'_, Hint> {
        Box::pin(async { self.from.lock().await.recv().await.expect("the bus keeps the sender") })
    }

    fn ended(&self, ids: Vec<TaskId>) -> Answer<'_, Vec<TaskId>> {
        self.ask(|it| it.ended(ids))
    }

    fn lost(&self, keys: Vec<LeaseKey>) -> Answer<'_, Vec<LeaseKey>> {
        self.ask(|it| it.lost(keys))
    }

    fn cancels(&self) -> Answer<'_, Vec<CancelAsked>> {
        self.ask(|it| it.cancels())
    }

    fn events(&self, after: Position, limit: usize) -> Answer<'_, EventPage> {
        let upto = Position(self.bus.readable.load(Ordering::Relaxed));
        Box::pin(async move {
            let mut page = self.ask(|it| it.events(after, limit)).await?;
            while page.commits.last().is_some_and(|(position, _)| *position > upto) {
                let (_, count) = page.commits.pop().expect("there is a last");
                page.events.truncate(page.events.len() - count);
                page.next = page.commits.last().map_or(after, |(position, _)| *position);
            }
            if page.reset {
                page.next = page.next.min(upto);
            }
            Ok(page)
        })
    }

    fn crash_loops(&self, after: Position, since: Timestamp, most: usize) -> Answer<'_, EventPage> {
        let upto = Position(self.bus.readable.load(Ordering::Relaxed));
        Box::pin(async move {
            let mut page = self.ask(|it| it.crash_loops(after, since, most)).await?;
            while page.commits.last().is_some_and(|(position, _)| *position > upto) {
                let (_, many) = page.commits.pop().unwrap();
                page.events.truncate(page.events.len() - many);
            }
            page.next = page.next.min(upto).max(after);
            Ok(page)
        })
    }

    fn stats(&self) -> Answer<'_, StoreStats> {
        self.ask(|it| it.stats())
    }

    fn now(&self) -> Timestamp {
        self.bus.store.now()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
