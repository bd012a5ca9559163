//! A store, a clock that stands still, and short words for what tests do with them.

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::accept::{Accepted, Deadlines, NewTask, Refused, Start, Submission, UniquePolicy};
use tasklane_core::error::HandError;
use tasklane_core::event::{Position, Transition};
use tasklane_core::fair::{Fairness, Weights};
use tasklane_core::gate::Limit;
use tasklane_core::hand::Hand;
use tasklane_core::lease::{Home, LaneFilter, LeaseRequest, Leased, TypeFilter, mix};
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::store::{Answers, Batch, EventPage, Store};
use tasklane_core::queue::QueueState;
use tasklane_core::settle::{self, Settled, Settlement};
use tasklane_core::task::{Lane, Scope, Spec, Task, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_testkit::ManualClock;

pub const SECOND: Duration = Duration::from_secs(1);
pub const LEASE: Duration = Duration::from_secs(30);

/// Where every test's clock begins.
pub fn beginning() -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000)
}

/// Tenants take turns, and `three` counts for three.
pub fn fairness() -> Fairness {
    Fairness::Turns(Weights::new([("three".into(), 3.0)]))
}

pub struct World {
    pub store: Arc<dyn Store>,
    pub clock: Arc<ManualClock>,
    drawn: Cell<u64>,
    position: Cell<Position>,
    _kept: Box<dyn Any>,
}

impl World {
    /// `kept` lives as long as the store: its directory.
    pub fn new(store: Arc<dyn Store>, clock: Arc<ManualClock>, kept: impl Any) -> Self {
        Self { store, clock, drawn: Cell::new(0), position: Cell::default(), _kept: Box::new(kept) }
    }

    pub fn draw(&self) -> u64 {
        self.drawn.set(self.drawn.get() + 1);
        self.drawn.get()
    }

    /// A task of queue `q`.
    pub fn task(&self, task_type: &str) -> NewTask {
        self.task_in("q", task_type)
    }

    pub fn task_in(&self, queue: &str, task_type: &str) -> NewTask {
        let n = self.draw();
        NewTask {
            id: id(n),
            lane: Lane::new(queue, task_type),
            scope: Scope::native(),
            payload: Bytes::from(format!("{{\"n\":{n}}}")),
            start: Start::Now,
            priority: 0,
            limits: Limit::none(),
            spec: Spec::shared(),
            deadlines: Deadlines::default(),
            unique_policy: UniquePolicy::Return,
            idempotency: None,
        }
    }

    pub async fn commit(&self, batch: Batch) -> Answers {
        let answers = self.store.commit(batch).await.unwrap();
        self.position.set(self.position.get().max(answers.position));
        answers
    }

    pub async fn submit(&self, tasks: Vec<NewTask>) -> Result<Vec<Accepted>, Refused> {
        let batch = Batch { accept: vec![Submission { tasks }], ..Batch::default() };
        self.commit(batch).await.accept.remove(0)
    }

    pub async fn accept(&self, task: NewTask) -> Accepted {
        self.submit(vec![task]).await.unwrap()[0]
    }

    pub fn request(&self, limit: usize) -> LeaseRequest {
        self.request_for(limit, vec![LaneFilter { queue: None, types: TypeFilter::Any }])
    }

    pub fn request_for(&self, limit: usize, lanes: Vec<LaneFilter>) -> LeaseRequest {
        let (seed, home) = (mix(7, self.draw()), Home::Apart);
        LeaseRequest { worker: "w1".into(), lanes: lanes.into(), limit, length: LEASE, seed, home }
    }

    pub async fn lease(&self, limit: usize) -> Vec<Leased> {
        self.lease_as(self.request(limit)).await
    }

    pub async fn lease_as(&self, request: LeaseRequest) -> Vec<Leased> {
        self.commit(Batch { lease: vec![request], ..Batch::default() }).await.lease.remove(0)
    }

    /// Accepts a task and leases it.
    pub async fn run(&self, task: NewTask) -> Leased {
        self.accept(task).await;
        self.lease(1).await.remove(0)
    }

    pub fn settlement(&self, leased: &Leased, outcome: Outcome) -> Settlement {
        let decision = settle::decide(&leased.facts, outcome, "w1", mix(11, self.draw()));
        Settlement { key: leased.key(), facts: leased.facts.clone(), decision, then: Vec::new() }
    }

    pub async fn settle(&self, settlement: Settlement) -> Settled {
        self.commit(Batch { settle: vec![settlement], ..Batch::default() }).await.settle[0]
    }

    pub async fn report(&self, leased: &Leased, outcome: Outcome) -> Settled {
        self.settle(self.settlement(leased, outcome)).await
    }

    pub async fn fail(&self, leased: &Leased) -> Settled {
        self.report(leased, Outcome::failed(FailureKind::Error, "it broke")).await
    }

    pub async fn hand(&self, id: TaskId, hand: Hand) -> Result<Task, HandError> {
        self.commit(Batch { hand: vec![(id, hand)], ..Batch::default() }).await.hand.remove(0)
    }

    pub async fn control(&self, queue: &str, state: QueueState) {
        self.commit(Batch { control: vec![(queue.into(), state)], ..Batch::default() }).await;
    }

    pub async fn promote(&self, most: usize) -> usize {
        self.commit(Batch { promote: most, ..Batch::default() }).await.promote
    }

    pub async fn rescue(&self, most: usize) -> usize {
        self.commit(Batch { rescue: most, seed: mix(13, self.draw()), ..Batch::default() }).await.rescue
    }

    pub async fn get(&self, id: TaskId) -> Task {
        self.find(id).await.unwrap()
    }

    pub async fn find(&self, id: TaskId) -> Option<Task> {
        self.store.tasks(vec![id]).await.unwrap().remove(0)
    }

    /// Every event of this store. A store that is shared shows a commit when those that began before it have ended.
    pub async fn events(&self) -> Vec<Transition> {
        self.events_after(Position(0)).await.events
    }

    pub async fn events_after(&self, after: Position) -> EventPage {
        loop {
            let page = self.store.events(after, usize::MAX).await.unwrap();
            if page.next >= self.position.get() || page.reset {
                return page;
            }
            tokio::task::yield_now().await;
        }
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// The `n`-th id; they grow with `n`.
pub fn id(n: u64) -> TaskId {
    let bits = (1_700_000_000_000_u128 << 80) | (7 << 76) | (2 << 62) | u128::from(n);
    TaskId::from_bytes(bits.to_be_bytes())
}

/// A success with this result.
pub fn success(json: &'static str) -> Outcome {
    Outcome::Succeeded(Bytes::from_static(json.as_bytes()))
}

pub fn ids(leased: &[Leased]) -> Vec<TaskId> {
    leased.iter().map(|it| it.facts.id).collect()
}

/// A spec that differs from the default.
pub fn spec(change: impl FnOnce(&mut Spec)) -> Arc<Spec> {
    let mut spec = Spec::default();
    change(&mut spec);
    Spec::share(spec)
}
