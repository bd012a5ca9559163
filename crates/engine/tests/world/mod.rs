//! A small world for the engine's tests: a memory store on tokio's clock, one lane, one worker.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::accept::{Deadlines, NewTask, Start, Submission, UniquePolicy};
use tasklane_core::gate::Limit;
use tasklane_core::lease::{Home, LaneFilter, LeaseKey, Leased, TypeFilter};
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::clock::Clock;
use tasklane_core::ports::store::{Batch, SharedStore};
use tasklane_core::task::{Lane, Scope, Spec, Task, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_engine::{Engine, LeaseCall, LeaseReply, Options, ReportCall, ReportReply, Wish};
use tasklane_store::memory::MemoryStore;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub mod shared;

pub const SECOND: Duration = Duration::from_secs(1);

/// The store's time is tokio's, so that one paused clock drives both.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).plus(self.0.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

pub struct World {
    pub engine: Engine,
    store: SharedStore,
}

impl World {
    pub fn new() -> Self {
        let store: SharedStore = MemoryStore::new(Arc::new(TokioClock(Instant::now())));
        Self { engine: Engine::start(Arc::clone(&store), Options::default()), store }
    }

    /// The first engine over a store in which there is something, of so long ago.
    pub async fn found(there: Batch, ago: Duration) -> Self {
        let store: SharedStore = MemoryStore::new(Arc::new(TokioClock(Instant::now())));
        store.commit(there).await.unwrap();
        tokio::time::sleep(ago).await;
        Self { engine: Engine::start(Arc::clone(&store), Options::default()), store }
    }

    /// The same store under another engine, as after a start that found leases of the one before.
    pub fn again(&self) -> Self {
        Self { engine: Engine::start(Arc::clone(&self.store), Options::default()), store: Arc::clone(&self.store) }
    }

    /// Writes to the store beside the engine.
    pub async fn commit(&self, batch: Batch) {
        self.store.commit(batch).await.unwrap();
    }

    /// Engines over one store, as servers over one database, and what connects them.
    pub fn several<const N: usize>() -> ([Self; N], Arc<shared::Bus>) {
        let bus = shared::Bus::new(MemoryStore::new(Arc::new(TokioClock(Instant::now()))));
        let server = |_| {
            let store: SharedStore = bus.join();
            Self { engine: Engine::start(Arc::clone(&store), Options::default()), store }
        };
        (std::array::from_fn(server), bus)
    }

    pub async fn submit(&self, task_type: &str) -> TaskId {
        self.submit_to("default", task_type).await
    }

    pub async fn submit_to(&self, queue: &str, task_type: &str) -> TaskId {
        let lane = Lane::new(queue, task_type);
        self.submit_with(|new| new.lane = lane).await
    }

    pub async fn submit_with(&self, change: impl FnOnce(&mut NewTask)) -> TaskId {
        let new = self.new_task(change);
        self.engine.submit(Submission { tasks: vec![new] }).await.unwrap()[0].id
    }

    pub fn new_task(&self, change: impl FnOnce(&mut NewTask)) -> NewTask {
        let mut new = NewTask {
            id: self.engine.draw_id(),
            lane: Lane::new("default", "a"),
            scope: Scope::native(),
            payload: "{}".into(),
            start: Start::Now,
            priority: 0,
            limits: Limit::none(),
            spec: Spec::shared(),
            deadlines: Deadlines::default(),
            unique_policy: UniquePolicy::default(),
            idempotency: None,
        };
        change(&mut new);
        new
    }

    pub fn lease_call(&self, wait: Duration) -> LeaseCall {
        let lanes = Arc::new([LaneFilter { queue: Some("default".into()), types: TypeFilter::Any }]);
        let wish = Wish { lanes, limit: 1, length: 30 * SECOND, wait, request: None, home: Home::Apart };
        LeaseCall { worker: "w".into(), wish }
    }

    pub async fn lease_one(&self, wait: Duration) -> Option<Leased> {
        self.lease_as("w", wait).await
    }

    pub async fn lease_as(&self, worker: &str, wait: Duration) -> Option<Leased> {
        let call = LeaseCall { worker: worker.into(), ..self.lease_call(wait) };
        self.engine.lease(call).await.unwrap().tasks.pop()
    }

    pub fn park(&self, wait: Duration) -> JoinHandle<LeaseReply> {
        let (engine, call) = (self.engine.clone(), self.lease_call(wait));
        tokio::spawn(async move { engine.lease(call).await.unwrap() })
    }

    /// The lane of [`World::submit`] with the type `a`.
    pub fn lane(&self) -> Arc<Lane> {
        Arc::new(Lane { queue: "default".into(), task_type: "a".into() })
    }

    /// Tasks that run by way of this engine.
    pub async fn running(&self) -> f64 {
        let metrics = self.engine.metrics().await;
        let held = metrics.lines().find_map(|line| line.strip_prefix("tasklane_leases_held "));
        held.unwrap().parse().unwrap()
    }

    /// Lets every task run until it waits.
    pub async fn settle_down(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    pub fn report_call(&self, outcomes: Vec<(LeaseKey, Outcome)>) -> ReportCall {
        let (renew, progress, logs, checkpoints) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        ReportCall { worker: "w".into(), renew, progress, logs, checkpoints, outcomes, want: None }
    }

    pub async fn report(&self, task: &Leased, outcome: Outcome) -> ReportReply {
        self.engine.report(self.report_call(vec![(task.key(), outcome)])).await.unwrap()
    }

    pub async fn renew(&self, task: &Leased) -> ReportReply {
        let call = ReportCall { renew: vec![task.key()], ..self.report_call(Vec::new()) };
        self.engine.report(call).await.unwrap()
    }

    pub async fn task(&self, id: TaskId) -> Task {
        self.engine.tasks(vec![id]).await.unwrap().pop().unwrap().unwrap()
    }
}
