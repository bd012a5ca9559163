//! Turns between servers: each knows by itself whom it charged, and how far turns have come is one for all.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::accept::{NewTask, Start, Submission, UniquePolicy};
use tasklane_core::gate::Limit;
use tasklane_core::lease::{Home, LaneFilter, LeaseRequest, Leased, TypeFilter, mix};
use tasklane_core::ports::store::{Batch, Store};
use tasklane_core::task::{Lane, Scope, Spec, Task, TaskId};
use tasklane_store::postgres::{Options, PostgresStore, check};
use tasklane_testkit::{ManualClock, postgres};

use crate::world::beginning;

/// Servers on one schema.
struct Servers {
    options: Options,
    stores: Vec<Arc<PostgresStore>>,
    clock: Arc<ManualClock>,
}

impl Servers {
    async fn start(many: usize) -> Self {
        let (schema, clock) = (postgres::fresh_schema_name().into(), ManualClock::at(beginning()));
        let options = Options { schema, ..Options::new(postgres::shared().url(), clock.clone()) };
        let mut servers = Self { options, stores: Vec::new(), clock };
        for _ in 0..many {
            servers.open().await;
        }
        servers
    }

    async fn open(&mut self) {
        self.stores.push(PostgresStore::open(self.options.clone()).await.unwrap());
    }

    /// What was read of the database is read again.
    fn later(&self) {
        self.clock.advance(Duration::from_millis(100));
    }

    async fn submit(&self, at: usize, tenant: &str, many: usize) -> Vec<TaskId> {
        self.later();
        let task = || NewTask {
            id: TaskId(uuid::Uuid::now_v7()),
            lane: Lane::new("q", "t"),
            scope: Arc::new(Scope { origin: "".into(), tenant: tenant.into() }),
            payload: bytes::Bytes::from_static(b"1"),
            start: Start::Now,
            priority: 0,
            limits: Limit::none(),
            spec: Spec::shared(),
            deadlines: Default::default(),
            unique_policy: UniquePolicy::Return,
            idempotency: None,
        };
        let tasks = (0..many).map(|_| task()).collect();
        let batch = Batch { accept: vec![Submission { tasks }], ..Batch::default() };
        let accepted = self.stores[at].commit(batch).await.unwrap().accept.remove(0).unwrap();
        accepted.iter().map(|it| it.id).collect()
    }

    async fn lease(&self, at: usize, limit: usize) -> Vec<Leased> {
        let lanes = vec![LaneFilter { queue: Some("q".into()), types: TypeFilter::Only(["t".into()].into()) }].into();
        let (length, home) = (Duration::from_secs(60), Home::Apart);
        let request = LeaseRequest { worker: "w".into(), lanes, limit, length, seed: mix(7, at as u64), home };
        let batch = Batch { lease: vec![request], ..Batch::default() };
        self.stores[at].commit(batch).await.unwrap().lease.remove(0)
    }

    async fn task(&self, id: TaskId) -> Task {
        self.stores[0].tasks(vec![id]).await.unwrap().remove(0).unwrap()
    }

    async fn are_sound(self) {
        let report = check(&self.options).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        for store in self.stores {
            store.close().await;
        }
    }
}

fn of(leased: &[Leased], tenant: &str) -> usize {
    leased.iter().filter(|it| *it.facts.scope.tenant == *tenant).count()
}

#[tokio::test]
async fn a_newcomer_on_another_server_is_not_behind_a_backlog_nor_before_all_of_it() {
    let servers = Servers::start(2).await;
    servers.submit(0, "a", 1000).await;
    assert_eq!(servers.lease(0, 500).await.len(), 500);
    let late = servers.submit(1, "b", 100).await;
    let first = servers.lease(0, 2).await;
    assert!(first.iter().any(|it| it.facts.id == late[0]), "{first:?}");
    let leased = servers.lease(0, 40).await;
    assert!((19..=21).contains(&of(&leased, "b")), "{}", of(&leased, "b"));
    servers.are_sound().await;
}

#[tokio::test]
async fn a_server_that_only_accepts_knows_how_far_turns_have_come_though_nothing_is_queued() {
    let servers = Servers::start(2).await;
    servers.submit(1, "b", 1).await;
    servers.submit(0, "a", 500).await;
    assert_eq!(servers.lease(0, 999).await.len(), 501);
    servers.submit(1, "b", 100).await;
    servers.submit(0, "a", 100).await;
    let leased = servers.lease(0, 20).await;
    assert!((9..=11).contains(&of(&leased, "a")), "{}", of(&leased, "a"));
    servers.are_sound().await;
}

#[tokio::test]
async fn a_tenant_on_two_servers_gets_at_most_twice_as_much() {
    let servers = Servers::start(2).await;
    servers.submit(0, "b", 100).await;
    for _ in 0..10 {
        servers.submit(0, "a", 10).await;
        servers.submit(1, "a", 10).await;
    }
    let leased = servers.lease(1, 60).await;
    assert!(of(&leased, "b") >= 19, "{}", of(&leased, "b"));
    servers.are_sound().await;
}

#[tokio::test]
async fn a_lane_that_one_server_came_to_share_is_shared_on_all() {
    let servers = Servers::start(2).await;
    let before = servers.submit(1, "", 3).await;
    servers.submit(0, "a", 1).await;
    let after = servers.submit(1, "", 1).await;
    assert_eq!(servers.task(before[0]).await.turn, None);
    assert!(servers.task(after[0]).await.turn.is_some());
    let leased: Vec<TaskId> = servers.lease(1, 9).await.iter().map(|it| it.facts.id).collect();
    let of_nobody: Vec<&TaskId> = leased.iter().filter(|id| before.contains(id) || after.contains(id)).collect();
    assert_eq!((leased.len(), of_nobody), (5, before.iter().chain(&after).collect::<Vec<_>>()));
    servers.are_sound().await;
}

#[tokio::test]
async fn a_server_that_starts_counts_what_each_tenant_has_queued() {
    let mut servers = Servers::start(1).await;
    servers.submit(0, "a", 100).await;
    servers.submit(0, "b", 100).await;
    servers.lease(0, 100).await;
    servers.open().await;
    servers.submit(1, "a", 50).await;
    servers.submit(1, "c", 50).await;
    let leased = servers.lease(1, 90).await;
    for tenant in ["a", "b", "c"] {
        assert!((29..=31).contains(&of(&leased, tenant)), "{tenant}: {}", of(&leased, tenant));
    }
    servers.are_sound().await;
}
