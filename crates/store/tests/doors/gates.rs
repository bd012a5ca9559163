//! Gates between servers: never more run than a gate lets through, whoever leases, and nobody is left standing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::accept::{NewTask, Start, Submission, UniquePolicy};
use tasklane_core::gate::{Bounds, GateName, Limit, SetBy, SetGate};
use tasklane_core::lease::{Home, LaneFilter, LeaseRequest, TypeFilter, mix};
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::store::{Answers, Batch, Store};
use tasklane_core::settle::{self, Settlement};
use tasklane_core::state::State;
use tasklane_core::task::{Lane, Scope, Spec, TaskId};
use tasklane_store::postgres::{Options, PostgresStore, check};
use tasklane_testkit::{ManualClock, postgres};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::NoTls;

use crate::world::beginning;

/// Nothing happens for so long: it stands still for good.
const STUCK: Duration = Duration::from_secs(30);

/// Two servers on one schema, and what their workers see.
struct Servers {
    options: Options,
    stores: [Arc<PostgresStore>; 2],
    /// Grows whenever a server has reason to look for work.
    news: [watch::Sender<u64>; 2],
    running: AtomicI64,
    left: AtomicUsize,
    seed: AtomicI64,
}

impl Servers {
    async fn start() -> Arc<Self> {
        // The clock of these servers stands still, so that nothing they remember is forgotten for its age.
        let schema = postgres::fresh_schema_name().into();
        let options = Options { schema, ..Options::new(postgres::shared().url(), ManualClock::at(beginning())) };
        let stores =
            [PostgresStore::open(options.clone()).await.unwrap(), PostgresStore::open(options.clone()).await.unwrap()];
        let news = [watch::Sender::new(0), watch::Sender::new(0)];
        let (running, left, seed) = Default::default();
        let servers = Arc::new(Self { options, stores, news, running, left, seed });
        for at in 0..2 {
            let servers = Arc::clone(&servers);
            tokio::spawn(async move {
                loop {
                    let hint = servers.stores[at].hint().await;
                    if hint.all || !hint.lanes.is_empty() {
                        servers.news[at].send_modify(|it| *it += 1);
                    }
                }
            });
        }
        servers
    }

    async fn commit(&self, at: usize, batch: Batch) -> Answers {
        let answers = self.stores[at].commit(batch).await.unwrap();
        if !answers.opened.is_empty() || answers.transitions.iter().any(|it| it.to == State::Queued) {
            self.news[at].send_modify(|it| *it += 1);
        }
        answers
    }

    async fn submit(&self, at: usize, tasks: Vec<NewTask>) {
        self.left.fetch_add(tasks.len(), Ordering::SeqCst);
        let answers = self.commit(at, Batch { accept: vec![Submission { tasks }], ..Batch::default() }).await;
        answers.accept[0].as_ref().unwrap();
    }

    fn request(&self, limit: usize) -> LeaseRequest {
        let seed = mix(7, self.seed.fetch_add(1, Ordering::SeqCst) as u64);
        let lanes = vec![LaneFilter { queue: None, types: TypeFilter::Any }].into();
        LeaseRequest { worker: "w".into(), lanes, limit, length: Duration::from_secs(60), seed, home: Home::Apart }
    }

    /// Runs what it gets, and asks for more in the commit that ends it, until nothing is left. `most` tasks run at a time.
    async fn work(self: Arc<Self>, at: usize, limit: usize, most: i64) {
        let mut news = self.news[at].subscribe();
        let mut settle = Vec::new();
        while self.left.load(Ordering::SeqCst) > 0 {
            news.borrow_and_update();
            self.running.fetch_sub(settle.len() as i64, Ordering::SeqCst);
            let ended = settle.len();
            let batch = Batch {
                settle: std::mem::take(&mut settle),
                lease: vec![self.request(limit)],
                promote: 9,
                ..Batch::default()
            };
            let answers = self.commit(at, batch).await;
            if self.left.fetch_sub(ended, Ordering::SeqCst) == ended && ended > 0 {
                self.news.iter().for_each(|it| it.send_modify(|it| *it += 1));
            }
            for leased in answers.lease.into_iter().flatten() {
                let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(running <= most, "{running} run where {most} may");
                let decision = settle::decide(&leased.facts, Outcome::Succeeded(Bytes::from_static(b"1")), "w", 1);
                settle.push(Settlement { key: leased.key(), facts: leased.facts, decision, then: Vec::new() });
            }
            if settle.is_empty() && self.left.load(Ordering::SeqCst) > 0 {
                // One may do it all, and nobody else hears of it.
                let before = self.left.load(Ordering::SeqCst);
                let heard = timeout(STUCK, news.changed()).await;
                if heard.is_err() && self.left.load(Ordering::SeqCst) == before {
                    self.stands_still().await;
                }
            }
        }
    }

    /// Several workers of both servers, until nothing is left, while somebody counts what runs and holds it against the gates.
    async fn work_off(self: &Arc<Self>, workers: usize, limit: usize, most: i64) {
        let mut all = JoinSet::new();
        for n in 0..workers {
            all.spawn(Arc::clone(self).work(n % 2, limit, most));
        }
        let mut looks = 0;
        let watched = async {
            loop {
                let running = self.stores[1].stats().await.unwrap().counts.of(State::Running);
                assert!(running <= most as u64, "{running} run where {most} may");
                for gate in self.stores[0].gates(None, 99).await.unwrap() {
                    let most = gate.bounds.max_running.map_or(u64::MAX, u64::from);
                    assert!(gate.running <= most, "{gate:?}");
                }
                looks += 1;
            }
        };
        tokio::select! {
            () = watched => {}
            all = async { while let Some(done) = all.join_next().await { done.unwrap(); } } => all,
        }
        assert!(looks > 0);
        self.is_sound().await;
    }

    async fn stands_still(&self) {
        let [one, other] = [&self.stores[0], &self.stores[1]];
        let (gates, counts) = (one.gates(None, 99).await.unwrap(), one.stats().await.unwrap().counts);
        let report = check(&self.options).await.unwrap();
        let mut found = Vec::new();
        for (at, store) in [one, other].into_iter().enumerate() {
            let lease = vec![self.request(1)];
            let answers = store.commit(Batch { lease, ..Batch::default() }).await.unwrap();
            found.push((at, answers.lease[0].len(), answers.opened));
        }
        let left = self.left.load(Ordering::SeqCst);
        panic!("{left} tasks stand still: {gates:#?} {counts:?} {:?} {found:?}", report.problems);
    }

    async fn is_sound(&self) {
        assert!(
            self.stores[0].gates(None, 99).await.unwrap().iter().all(|gate| (gate.running, gate.waiting) == (0, 0))
        );
        let report = check(&self.options).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

fn task(queue: &str, keys: &[(&str, u32)]) -> NewTask {
    let bounds = |most| Bounds { max_running: Some(most), rate: None };
    NewTask {
        id: TaskId(uuid::Uuid::now_v7()),
        lane: Lane::new(queue, "t"),
        scope: Scope::native(),
        payload: Bytes::from_static(b"1"),
        start: Start::Now,
        priority: 0,
        limits: Limit::share(keys.iter().map(|(key, most)| Limit { key: (*key).into(), bounds: bounds(*most) })),
        spec: Spec::shared(),
        deadlines: Default::default(),
        unique_policy: UniquePolicy::Return,
        idempotency: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_runs_at_a_time_whoever_leases_and_all_get_done() {
    let servers = Servers::start().await;
    for n in 0..20 {
        let tasks = (0..100).map(|it| task(["a", "b"][it % 2], &[("k", 1)])).collect();
        servers.submit(n % 2, tasks).await;
    }
    servers.work_off(8, 3, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gates_of_several_keys_and_a_queue_hold_together() {
    let servers = Servers::start().await;
    let bounds = Some(Bounds { max_running: Some(12), rate: None });
    let gate = vec![SetGate { name: GateName::Queue("a".into()), by: SetBy::Operator, bounds }];
    servers.commit(0, Batch { gate, ..Batch::default() }).await;
    for n in 0..20 {
        let keys: Vec<String> = (0..100).map(|it| format!("k{}", (it + n) % 10)).collect();
        let tasks = keys.iter().enumerate().map(|(it, key)| match it % 3 {
            0 => task("a", &[(key, 2)]),
            1 => task("a", &[(key, 2), ("all", 5)]),
            _ => task("a", &[]),
        });
        servers.submit(n % 2, tasks.collect()).await;
    }
    servers.work_off(10, 4, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_still_at_a_gate_holds_up_nothing_else() {
    let servers = Servers::start().await;
    servers.submit(0, vec![task("a", &[("k", 1)])]).await;
    let (other, running) = tokio_postgres::connect(&postgres::shared().url(), NoTls).await.unwrap();
    tokio::spawn(running);
    let stripes = format!("BEGIN; SELECT no FROM {}.stripes FOR UPDATE", servers.options.schema);
    other.batch_execute(&stripes).await.unwrap();
    let accept = vec![Submission { tasks: vec![task("b", &[])] }];
    let met = servers.commit(0, Batch { accept, lease: vec![servers.request(9)], ..Batch::default() }).await;
    let leased: Vec<&str> = met.lease[0].iter().map(|it| &*it.facts.lane.queue).collect();
    assert_eq!(leased, ["b"]);
    assert!(met.opened.iter().any(|(lane, _)| &*lane.queue == "a"), "whoever waits looks again: {:?}", met.opened);
    other.batch_execute("ROLLBACK").await.unwrap();
    let free = servers.commit(1, Batch { lease: vec![servers.request(9)], ..Batch::default() }).await;
    assert_eq!(free.lease[0].len(), 1);
}
