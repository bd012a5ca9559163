//! The memory store as one server among several sees a database: others write to it, it is away at times, a commit may
//! happen though its answer never comes, and hints of what others did come late, twice or not at all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::event::Position;
use tasklane_core::gate::{Gate, GateDetail, GateName};
use tasklane_core::lease::LeaseKey;
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::records::Records;
use tasklane_core::ports::store::{
    Answers, Batch, CancelAsked, EventPage, Hidden, Hint, LogPage, LogQuery, Standing, Store, StoreStats, TaskFilter,
    TaskPage,
};
use tasklane_core::queue::{Counts, LaneCounts, Queue};
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, Facts, Lane, Task, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_store::memory::MemoryStore;
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::ground::{Ground, lock};
use crate::ledger::Seen;

/// One server's way to the store.
pub struct Port {
    server: usize,
    servers: usize,
    ground: Arc<Ground>,
    store: Arc<MemoryStore>,
    hints: Mutex<VecDeque<Hint>>,
    bell: Notify,
}

impl Port {
    /// The way of server number `server` of so many.
    pub fn new(server: usize, servers: usize, ground: &Arc<Ground>, store: &Arc<MemoryStore>) -> Arc<Self> {
        let (ground, store) = (Arc::clone(ground), Arc::clone(store));
        Arc::new(Self { server, servers, ground, store, hints: Mutex::default(), bell: Notify::new() })
    }

    /// A hint arrives.
    pub fn hear(&self, hint: Hint) {
        lock(&self.hints).push_back(hint);
        self.bell.notify_one();
    }

    /// Gives way to others, for no time or a little: here the process may crash, and others come between.
    async fn pause(&self) {
        match self.ground.dice.below(8) {
            turns @ 0..7 => {
                for _ in 0..turns / 2 {
                    yield_now().await;
                }
            }
            _ => tokio::time::sleep(self.ground.dice.millis(1, 60)).await,
        }
    }

    async fn reach(&self) -> Result<(), StoreError> {
        self.pause().await;
        let refused = {
            let weather = lock(&self.ground.weather);
            weather.store_is_away || self.ground.dice.chance(weather.refused)
        };
        if refused { Err(StoreError::Away("refused".into())) } else { Ok(()) }
    }

    async fn read<T>(&self, read: BoxFuture<'_, Result<T, StoreError>>) -> Result<T, StoreError> {
        // Answered already by the model, so what was read is of now; it arrives later.
        let answer = read.await;
        self.pause().await;
        answer
    }

    async fn write(&self, batch: Batch) -> Result<Answers, StoreError> {
        self.reach().await?;
        let seen = Seen::of(&batch);
        let moves = batch.promote > 0 || batch.rescue > 0;
        let mut answers = self.store.commit(batch).await?;
        self.check(&seen, &answers).await;
        self.hint_others(&seen, &answers);
        self.pause().await;
        let weather = lock(&self.ground.weather).clone();
        // A store of its own knows what it did; only the way to a database can break behind a commit.
        if self.is_shared() && (weather.store_is_away || self.ground.dice.chance(weather.unanswered)) {
            self.ground.note(|| format!("server {}: a commit is not answered", self.server));
            return Err(StoreError::Away("the answer was lost".into()));
        }
        // A database does not tell what others' tasks are due for with every commit.
        if self.is_shared() && !moves && self.ground.dice.chance(500) {
            answers.next_due = None;
        }
        Ok(answers)
    }

    /// The checks after every step that can change anything.
    async fn check(&self, seen: &Seen, answers: &Answers) {
        if seen.is_idle(answers) {
            return;
        }
        let filter = TaskFilter { hidden: Hidden::With, ..TaskFilter::default() };
        let all = self.store.list(filter, None, usize::MAX).await.map(|page| page.tasks).unwrap_or_default();
        let counts = self.store.counts("".into(), None).await.unwrap_or_default();
        let at = self.store.now();
        for transition in &answers.transitions {
            self.ground.note(|| {
                let from = transition.from.map_or("", State::as_str);
                let (to, reason, attempt) = (transition.to, transition.reason, transition.attempt);
                format!("server {}: {} {from} -> {to} for {reason}, attempt {attempt}", self.server, transition.task)
            });
        }
        let mut ledger = lock(&self.ground.ledger);
        ledger.committed(seen, answers, at);
        ledger.compare(&all, &counts, self.ground.net.now());
    }

    fn hint_others(&self, seen: &Seen, answers: &Answers) {
        let to = |state: State| answers.transitions.iter().filter(move |it| it.to == state);
        let hint = Hint {
            lanes: to(State::Queued).map(|it| &it.lane).chain(answers.opened.iter().map(|it| &it.0)).cloned().collect(),
            ended: answers.transitions.iter().filter(|it| it.to.is_final()).map(|it| it.task).collect(),
            cancels: seen.cancels(answers),
            position: answers.position,
            all: false,
        };
        if answers.transitions.is_empty() && answers.opened.is_empty() && !hint.cancels {
            return;
        }
        for other in (0..self.servers).filter(|it| *it != self.server) {
            self.ground.send_hint(other, hint.clone());
        }
    }
}

impl Store for Port {
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Answers, StoreError>> {
        Box::pin(self.write(batch))
    }

    fn tasks(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Task>>, StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            self.read(self.store.tasks(ids)).await
        })
    }

    fn facts(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Facts>>, StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            self.read(self.store.facts(ids)).await
        })
    }

    fn list(
        &self,
        filter: TaskFilter,
        below: Option<TaskId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<TaskPage, StoreError>> {
        self.store.list(filter, below, limit)
    }

    fn attempts(&self, id: TaskId) -> BoxFuture<'_, Result<Option<Vec<Attempt>>, StoreError>> {
        self.store.attempts(id)
    }

    fn logs(&self, id: TaskId, query: LogQuery) -> BoxFuture<'_, Result<Option<LogPage>, StoreError>> {
        self.store.logs(id, query)
    }

    fn standing(&self, id: TaskId, most: u64) -> BoxFuture<'_, Result<Option<Standing>, StoreError>> {
        self.store.standing(id, most)
    }

    fn queues(&self, name: Option<Box<str>>) -> BoxFuture<'_, Result<Vec<Queue>, StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            self.read(self.store.queues(name)).await
        })
    }

    fn records(&self) -> &dyn Records {
        self.store.records()
    }

    fn gates(&self, after: Option<GateName>, most: usize) -> BoxFuture<'_, Result<Vec<Gate>, StoreError>> {
        self.store.gates(after, most)
    }

    fn gate(&self, name: GateName) -> BoxFuture<'_, Result<Option<GateDetail>, StoreError>> {
        self.store.gate(name)
    }

    fn lanes(&self) -> BoxFuture<'_, Result<Vec<LaneCounts>, StoreError>> {
        self.store.lanes()
    }

    fn counts(&self, origin: Box<str>, tenant: Option<Box<str>>) -> BoxFuture<'_, Result<Counts, StoreError>> {
        self.store.counts(origin, tenant)
    }

    fn knows(&self, lane: &Lane) -> bool {
        self.store.knows(lane)
    }

    fn is_shared(&self) -> bool {
        self.servers > 1
    }

    fn hint(&self) -> BoxFuture<'_, Hint> {
        Box::pin(async {
            loop {
                let next = lock(&self.hints).pop_front();
                match next {
                    Some(hint) => return hint,
                    None => self.bell.notified().await,
                }
            }
        })
    }

    fn ended(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<TaskId>, StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            self.read(self.store.ended(ids)).await
        })
    }

    fn lost(&self, keys: Vec<LeaseKey>) -> BoxFuture<'_, Result<Vec<LeaseKey>, StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            self.read(self.store.lost(keys)).await
        })
    }

    fn cancels(&self) -> BoxFuture<'_, Result<Vec<CancelAsked>, StoreError>> {
        Box::pin(async move {
            self.reach().await?;
            self.read(self.store.cancels()).await
        })
    }

    fn events(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        self.store.events(after, limit)
    }

    fn crash_loops(
        &self,
        after: Position,
        since: Timestamp,
        most: usize,
    ) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        self.store.crash_loops(after, since, most)
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        self.store.stats()
    }

    fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// A server that ends does not end the database.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// How long a server that is alone takes to open its store again.
pub const REOPENING: Duration = Duration::from_millis(200);
