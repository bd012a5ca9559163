use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_core::accept::NewTask;
use tasklane_core::gate::{Bounds, SetBy, SetGate};
use tasklane_core::hand::Hand;
use tasklane_core::lease::{LaneFilter, TypeFilter, mix};
use tasklane_core::ports::store::{Batch, TaskFilter};
use tasklane_core::record::{Content, Kind, SetRecord};
use tasklane_core::state::State;
use tasklane_core::task::{Scope, Task};
use tasklane_core::webhook::endpoint::{Endpoint, EndpointId, Format, MAX_RUNNING, Order};
use tasklane_core::webhook::event::{EventName, Events, Filter};
use tasklane_core::webhook::outbox::{Callback, Subscriptions};
use tasklane_core::webhook::secret::Secret;
use tasklane_core::webhook::{EVENT_LABEL, QUEUE, TASK_LABEL};
use uuid::Uuid;

use super::world::{SECOND, World, beginning, spec, success};

/// An endpoint that is told of all states of tasks.
pub fn endpoint(n: u128, tenant: Option<&str>) -> (EndpointId, Arc<Endpoint>) {
    let order = Order {
        url: "https://example.org/".into(),
        description: "".into(),
        events: Events::of(EventName::asked_by("task.*")),
        filter: Filter::default(),
        headers: BTreeMap::new(),
        format: Format::Standard,
        max_running: MAX_RUNNING,
    };
    let secret = Secret::of(&[7; 32]).unwrap();
    (EndpointId(Uuid::from_u128(n)), Arc::new(Endpoint::new(tenant.map(Into::into), order, secret, beginning())))
}

impl World {
    /// A commit of which one endpoint of everybody's is told.
    async fn told_of(&self, batch: Batch) -> tasklane_core::ports::store::Answers {
        let (subscriptions, seed) = (Subscriptions::of([endpoint(1, None)]), mix(17, self.draw()));
        self.commit(Batch { subscriptions, seed, ..batch }).await
    }

    async fn deliveries(&self) -> Vec<Task> {
        let filter = TaskFilter { queue: Some(QUEUE.into()), ..TaskFilter::default() };
        let mut all = self.store.list(filter, None, 99).await.unwrap().tasks;
        all.sort_by_key(|it| it.created_at);
        all
    }

    /// Of what the deliveries there are tell.
    async fn names(&self) -> Vec<String> {
        self.deliveries().await.iter().map(|it| it.facts.spec.labels[EVENT_LABEL].to_string()).collect()
    }

    async fn lease_deliveries(&self, limit: usize) -> Vec<tasklane_core::lease::Leased> {
        let lane = LaneFilter { queue: Some(QUEUE.into()), types: TypeFilter::Any };
        self.lease_as(self.request_for(limit, vec![lane])).await
    }
}

fn accepting(task: NewTask) -> Batch {
    let accept = vec![tasklane_core::accept::Submission { tasks: vec![task] }];
    Batch { accept, ..Batch::default() }
}

pub async fn each_move_of_a_task_is_told_in_its_commit(world: World) {
    let task = world.task("t");
    let id = task.id;
    let accepted = world.told_of(accepting(task)).await;
    assert_eq!(accepted.transitions.len(), 2, "the task's and that of its delivery");
    world.advance(SECOND);
    let leased =
        world.told_of(Batch { lease: vec![world.request(1)], ..Batch::default() }).await.lease.remove(0).remove(0);
    world.advance(SECOND);
    let settlement = world.settlement(&leased, success(r#"{"n":7}"#));
    world.told_of(Batch { settle: vec![settlement], ..Batch::default() }).await;
    assert_eq!(world.names().await, ["task.queued", "task.running", "task.succeeded"]);
    let deliveries = world.deliveries().await;
    let last: serde_json::Value = serde_json::from_slice(&deliveries[2].payload).unwrap();
    assert_eq!(last["data"]["task"], id.to_string());
    assert_eq!(last["data"]["result"]["n"], 7);
    assert!(deliveries.iter().all(|it| *it.facts.spec.labels[TASK_LABEL] == *id.to_string()));
    let ids: Vec<_> = deliveries.iter().map(|it| it.facts.id).collect();
    assert!(ids.is_sorted(), "they begin with their moments");
}

pub async fn what_hands_and_time_do_is_told_too(world: World) {
    let late = NewTask { start: tasklane_core::accept::Start::After(SECOND), ..world.task("t") };
    let id = late.id;
    world.told_of(accepting(late)).await;
    world.advance(SECOND);
    world.told_of(Batch { promote: 9, ..Batch::default() }).await;
    world.advance(SECOND);
    world.told_of(Batch { hand: vec![(id, Hand::Cancel)], ..Batch::default() }).await;
    world.advance(SECOND);
    world
        .told_of(Batch { hand: vec![(id, Hand::Retry), (id, Hand::Cancel), (id, Hand::Retry)], ..Batch::default() })
        .await;
    let names = world.names().await;
    assert_eq!(names[..3], ["task.scheduled", "task.queued", "task.cancelled"]);
    let mut same: Vec<_> = names[3..].iter().map(String::as_str).collect();
    same.sort_unstable();
    assert_eq!(same, ["task.cancelled", "task.queued", "task.queued"], "each of several moves of one commit");
}

pub async fn what_follows_a_settlement_or_a_record_is_told(world: World) {
    let leased = world.run(world.task("t")).await;
    let mut settlement = world.settlement(&leased, success("1"));
    settlement.then = vec![world.task("then")];
    world.told_of(Batch { settle: vec![settlement], ..Batch::default() }).await;
    let mut names = world.names().await;
    names.sort_unstable();
    assert_eq!(names, ["task.queued", "task.succeeded"]);
    let content = Content { tenant: "".into(), name: None, due: None, body: "{}".into() };
    let mut set = SetRecord::new(Kind::Schedule, Uuid::from_u128(7), None, Some(content));
    set.then = vec![world.task("then")];
    world.told_of(Batch { record: vec![set], ..Batch::default() }).await;
    assert_eq!(world.names().await.len(), 3);
}

pub async fn nothing_is_told_of_what_did_not_happen(world: World) {
    let leased = world.run(world.task("t")).await;
    assert!(world.names().await.is_empty(), "nobody asked for it");
    let lost = world.settlement(&leased, success("1"));
    world.hand(leased.facts.id, Hand::Cancel).await.unwrap();
    world.advance(SECOND * 60);
    world.rescue(9).await;
    world.told_of(Batch { settle: vec![lost], ..Batch::default() }).await;
    world.told_of(Batch { hand: vec![(leased.facts.id, Hand::Cancel)], ..Batch::default() }).await;
    assert!(world.names().await.is_empty());
}

pub async fn an_endpoint_of_a_tenant_is_told_of_its_tasks(world: World) {
    let subscriptions = Subscriptions::of([endpoint(1, Some("a")), endpoint(2, None)]);
    for tenant in ["a", "b"] {
        let task = NewTask { scope: Scope::of(Some(tenant)), ..world.task("t") };
        world.commit(Batch { subscriptions: subscriptions.clone(), ..accepting(task) }).await;
    }
    let of = |tenant: &str| {
        let filter = TaskFilter { queue: Some(QUEUE.into()), tenant: Some(tenant.into()), ..TaskFilter::default() };
        world.store.list(filter, None, 99)
    };
    assert_eq!(of("a").await.unwrap().tasks.len(), 1, "its own log");
    assert_eq!(of("").await.unwrap().tasks.len(), 2);
}

pub async fn each_of_many_moves_in_one_commit_is_told(world: World) {
    // More than one statement writes.
    let tasks: Vec<NewTask> = (0..5_000).map(|_| world.task("t")).collect();
    let accept = vec![tasklane_core::accept::Submission { tasks }];
    let moved = world.told_of(Batch { accept, ..Batch::default() }).await.transitions;
    let of_system = moved.iter().filter(|it| *it.lane.queue == *QUEUE).count();
    assert_eq!((of_system, moved.len()), (5_000, 10_000));
    let queues = world.store.queues(Some(QUEUE.into())).await.unwrap();
    assert_eq!(queues[0].counts.of(State::Queued), 5_000);
}

pub async fn a_task_calls_back(world: World) {
    let callback = Callback { url: "https://example.org/".into(), events: Events::default(), secret: None };
    let task = NewTask { spec: spec(|it| it.callback = Some(Arc::new(callback))), ..world.task("t") };
    let leased = world.run(task).await;
    world.fail(&leased).await;
    assert!(world.names().await.is_empty(), "it ends later");
    world.hand(leased.facts.id, Hand::Cancel).await.unwrap();
    assert_eq!(world.names().await, ["task.cancelled"]);
    assert!(world.lease_deliveries(9).await[0].facts.spec.callback.is_some());
}

pub async fn deliveries_pass_the_gate_of_their_endpoint(world: World) {
    let (id, endpoint) = endpoint(1, None);
    let name = endpoint.gate(id);
    let set = |most| SetGate {
        name: name.clone(),
        by: SetBy::Config,
        bounds: Some(Bounds { max_running: Some(most), rate: None }),
    };
    world.commit(Batch { gate: vec![set(0)], ..Batch::default() }).await;
    for _ in 0..3 {
        world.told_of(accepting(world.task("t"))).await;
    }
    assert!(world.lease_deliveries(9).await.is_empty());
    assert!(world.deliveries().await.iter().all(|it| it.facts.state == State::Blocked));
    let opened = world.commit(Batch { gate: vec![set(2)], ..Batch::default() }).await.opened;
    assert!(opened.iter().any(|(lane, more)| *lane.queue == *QUEUE && *more == 2), "{opened:?}");
    assert_eq!(world.lease_deliveries(9).await.len(), 2);
}
