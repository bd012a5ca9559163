use std::sync::Arc;
use std::time::Duration;

use tasklane_core::accept::{Deadlines, Moment, NewTask, Submission};
use tasklane_core::gate::{Bounds, EVERY_TENANT, Gate, GateName, Limit, Rate, SetBy, SetGate};
use tasklane_core::hand::Hand;
use tasklane_core::lease::{LaneFilter, Leased, TypeFilter};
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::store::{Answers, Batch, TaskFilter};
use tasklane_core::queue::QueueState;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Lane, Scope, TaskId};

use super::world::{LEASE, SECOND, World, id, ids, spec, success};

pub fn at_most(most: u32) -> Bounds {
    Bounds { max_running: Some(most), rate: None }
}

fn so_often(count: u32, seconds: u32) -> Bounds {
    Bounds { max_running: None, rate: Some(Rate { count, per: SECOND * seconds }) }
}

/// A task that names these keys with these bounds.
fn limited<const N: usize>(mut task: NewTask, limits: [(&str, Bounds); N]) -> NewTask {
    task.limits = Limit::share(limits.map(|(key, bounds)| Limit { key: key.into(), bounds }));
    task
}

fn of_tenant(mut task: NewTask, tenant: &str) -> NewTask {
    task.scope = Arc::new(Scope { origin: "".into(), tenant: tenant.into() });
    task
}

fn key(tenant: &str, key: &str) -> GateName {
    GateName::Key { tenant: tenant.into(), key: key.into() }
}

impl World {
    /// Accepts so many tasks that name the key `k` with these bounds.
    async fn accept_limited(&self, bounds: Bounds, many: usize) -> Vec<TaskId> {
        let mut ids = Vec::new();
        for _ in 0..many {
            ids.push(self.accept(limited(self.task("t"), [("k", bounds)])).await.id);
        }
        ids
    }

    async fn set_gate_by(&self, by: SetBy, name: GateName, bounds: Option<Bounds>) -> Answers {
        self.commit(Batch { gate: vec![SetGate { name, by, bounds }], ..Batch::default() }).await
    }

    async fn set_gate(&self, name: GateName, bounds: Bounds) -> Answers {
        self.set_gate_by(SetBy::Operator, name, Some(bounds)).await
    }

    async fn gate(&self, name: GateName) -> Gate {
        self.store.gate(name).await.unwrap().unwrap().gate
    }

    /// What settling `leased` answers.
    async fn end(&self, leased: &Leased) -> Answers {
        let settle = vec![self.settlement(leased, success("1"))];
        self.commit(Batch { settle, ..Batch::default() }).await
    }

    async fn states(&self, ids: &[TaskId]) -> Vec<State> {
        let tasks = self.store.tasks(ids.to_vec()).await.unwrap();
        tasks.into_iter().map(|task| task.unwrap().facts.state).collect()
    }
}

fn opened(answers: &Answers) -> Vec<(&str, usize)> {
    answers.opened.iter().map(|(lane, more)| (&*lane.queue, *more)).collect()
}

impl World {
    /// A commit told of so many more in each queue. A store that others share counts no gate that nobody asks for: it may
    /// tell too much, but never too little.
    fn told<const N: usize>(&self, answers: &Answers, expected: [(&str, usize); N]) {
        let told = opened(answers);
        if !self.store.is_shared() {
            assert_eq!(told, expected);
        }
        for (queue, more) in expected {
            assert!(told.iter().any(|it| it.0 == queue && it.1 >= more), "{queue} {more}: {told:?}");
        }
    }
}

fn only(queue: &str) -> Vec<LaneFilter> {
    vec![LaneFilter { queue: Some(queue.into()), types: TypeFilter::Any }]
}

pub async fn never_more_than_the_limit(world: World) {
    let all = world.accept_limited(at_most(2), 5).await;
    let running = world.lease(9).await;
    assert_eq!(ids(&running), all[..2]);
    assert!(world.lease(9).await.is_empty());
    world.end(&running[0]).await;
    assert_eq!(ids(&world.lease(9).await), all[2..3]);
    let gate = world.gate(key("", "k")).await;
    assert_eq!((gate.running, gate.waiting, gate.is_full()), (2, 2, true));
}

pub async fn two_requests_of_one_commit_share_the_slots(world: World) {
    let all = world.accept_limited(at_most(3), 5).await;
    let lease = vec![world.request(2), world.request(2), world.request(2)];
    let got = world.commit(Batch { lease, ..Batch::default() }).await.lease;
    assert_eq!(got.iter().map(|it| ids(it)).collect::<Vec<_>>(), [&all[..2], &all[2..3], &[]]);
}

pub async fn all_or_none(world: World) {
    let holder = world.run(limited(world.task("t"), [("b", at_most(1))])).await;
    let both = world.accept(limited(world.task("t"), [("a", at_most(1)), ("b", at_most(1))])).await.id;
    let alone = world.accept(limited(world.task("t"), [("a", at_most(1))])).await.id;
    let started = world.lease(9).await;
    assert_eq!(ids(&started), [alone], "what is blocked by one gate holds no slot of another");
    world.end(&holder).await;
    assert!(world.lease(9).await.is_empty());
    world.end(&started[0]).await;
    assert_eq!(ids(&world.lease(9).await), [both]);
}

pub async fn several_gates_meet(world: World) {
    world.set_gate(GateName::Queue("q".into()), at_most(3)).await;
    world.set_gate(GateName::Type("t".into()), at_most(2)).await;
    let all = world.accept_limited(at_most(1), 2).await;
    let (plain, other) = (world.accept(world.task("t")).await.id, world.accept(world.task("u")).await.id);
    let more = [world.accept(world.task("t")).await.id, world.accept(world.task("u")).await.id];
    let elsewhere = world.accept(world.task_in("r", "u")).await.id;
    assert_eq!(ids(&world.lease(9).await), [all[0], plain, other, elsewhere]);
    let blocked = [State::Blocked; 3];
    assert_eq!(world.states(&[all[1], more[0], more[1]]).await, blocked);
}

pub async fn a_freed_slot_is_taken_in_the_same_commit(world: World) {
    let all = world.accept_limited(at_most(1), 3).await;
    let first = world.lease(1).await.remove(0);
    let (settle, lease) = (vec![world.settlement(&first, success("1"))], vec![world.request(1)]);
    let answers = world.commit(Batch { settle, lease, ..Batch::default() }).await;
    assert_eq!((ids(&answers.lease[0]), opened(&answers)), (all[1..2].to_vec(), vec![]), "it was counted");
    let answers = world.end(&answers.lease[0][0]).await;
    // Nobody took it, so everybody is told, of one slot.
    world.told(&answers, [("q", 1)]);
}

pub async fn room_is_told_in_each_lane_and_no_more_than_there_is(world: World) {
    let names = |queue| limited(world.task_in(queue, "t"), [("k", at_most(2))]);
    for _ in 0..4 {
        world.accept(names("a")).await;
    }
    let running = world.lease(2).await;
    world.accept(names("b")).await;
    world.accept(names("paused")).await;
    world.control("paused", QueueState::Paused).await;
    let answers = world.end(&running[0]).await;
    world.told(&answers, [("a", 1), ("b", 1)]);
    assert!(opened(&answers).iter().all(|it| it.0 != "paused"));
    // b has had its one already.
    world.told(&world.end(&running[1]).await, [("a", 1)]);
    world.accept(world.task_in("a", "t")).await;
    assert_eq!(world.lease(9).await.len(), 3);
}

pub async fn a_lost_lease_gives_back(world: World) {
    let all = world.accept_limited(at_most(1), 2).await;
    world.lease(1).await;
    world.advance(LEASE);
    let answers = world.commit(Batch { rescue: 9, ..Batch::default() }).await;
    let lane = Lane::new("q", "t");
    let told = answers.transitions.iter().filter(|it| it.to == State::Queued).count() + answers.opened.len();
    assert!((1..=2).contains(&told) && answers.opened.iter().all(|it| it.0 == lane), "{answers:?}");
    let again = world.lease(9).await;
    assert_eq!((ids(&again), again[0].facts.attempt), (all[..1].to_vec(), 2));
}

pub async fn however_an_attempt_ends_its_slots_come_back(world: World) {
    let deadline = |task: NewTask| {
        let deadlines = Deadlines { start: None, end: Some(Moment::After(SECOND * 9)) };
        NewTask { deadlines, ..task }
    };
    let new = || limited(world.task("t"), [("k", at_most(1))]);
    for outcome in [
        Outcome::failed(FailureKind::Error, "it broke"),
        Outcome::failed(FailureKind::Permanent, "it broke"),
        Outcome::Snoozed(SECOND * 999),
        success("1"),
    ] {
        let leased = world.run(new()).await;
        assert_eq!(world.gate(key("", "k")).await.running, 1);
        world.report(&leased, outcome).await;
        assert_eq!(world.gate(key("", "k")).await.running, 0);
    }
    let leased = world.run(new()).await;
    world.report(&leased, Outcome::Released).await;
    let again = world.lease(9).await.remove(0);
    assert_eq!(again.facts.id, leased.facts.id);
    world.hand(again.facts.id, Hand::Cancel).await.unwrap();
    assert_eq!(world.gate(key("", "k")).await.running, 1, "it runs until its worker has heard of it");
    world.report(&again, Outcome::Cancelled).await;
    let late = world.run(deadline(new())).await;
    world.advance(SECOND * 9);
    assert_eq!(world.rescue(9).await, 1);
    assert_eq!(world.get(late.facts.id).await.facts.state, State::Failed);
    assert_eq!(world.gate(key("", "k")).await.running, 0);
}

pub async fn what_ends_while_it_waits_never_took_a_slot(world: World) {
    let running = world.run(limited(world.task("t"), [("k", at_most(1))])).await;
    let deadlines = Deadlines { start: Some(Moment::After(SECOND)), end: None };
    let late = world.accept(NewTask { deadlines, ..limited(world.task("t"), [("k", at_most(1))]) }).await.id;
    let cancelled = world.accept_limited(at_most(1), 1).await[0];
    world.hand(cancelled, Hand::Cancel).await.unwrap();
    world.advance(SECOND);
    assert!(world.lease(9).await.is_empty());
    assert_eq!(world.get(late).await.facts.state, State::Blocked, "a lease does not look behind a full gate");
    assert_eq!(world.promote(9).await, 1);
    assert_eq!(world.get(late).await.facts.state, State::Expired);
    let gate = world.gate(key("", "k")).await;
    assert_eq!((gate.running, gate.waiting), (1, 0));
    world.end(&running).await;
    assert_eq!(world.gate(key("", "k")).await.running, 0);
}

pub async fn a_limit_on_a_queue_holds_for_what_waits(world: World) {
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(world.accept(world.task("t")).await.id);
    }
    let running = world.lease(3).await;
    world.set_gate(GateName::Queue("q".into()), at_most(2)).await;
    assert!(world.lease(9).await.is_empty());
    assert_eq!(world.gate(GateName::Queue("q".into())).await.running, 3, "what runs goes on");
    world.told(&world.end(&running[0]).await, []);
    world.told(&world.end(&running[1]).await, [("q", 1)]);
    assert_eq!(ids(&world.lease(9).await), all[3..4]);
    let removed = world.set_gate_by(SetBy::Operator, GateName::Queue("q".into()), None).await;
    assert!(removed.gate[0]);
    world.told(&removed, [("q", 1)]);
    assert_eq!(ids(&world.lease(9).await), all[4..]);
}

pub async fn lowered_and_raised(world: World) {
    world.accept_limited(at_most(2), 6).await;
    let running = world.lease(9).await;
    world.set_gate(key("", "k"), at_most(0)).await;
    for leased in &running {
        assert!(opened(&world.end(leased).await).is_empty(), "it lets nobody through");
    }
    assert!(world.lease(9).await.is_empty());
    world.told(&world.set_gate(key("", "k"), at_most(3)).await, [("q", 3)]);
    assert_eq!(world.lease(9).await.len(), 3);
    world.accept_limited(at_most(1), 1).await;
    assert_eq!(world.gate(key("", "k")).await.bounds, at_most(3), "a task does not overrule an operator");
}

pub async fn a_stronger_word_stands(world: World) {
    let name = || GateName::Type("t".into());
    let set = async |by, bounds| world.set_gate_by(by, name(), bounds).await.gate[0];
    assert!(!set(SetBy::Operator, None).await, "there is nothing to remove");
    assert!(set(SetBy::Config, Some(at_most(1))).await && set(SetBy::Config, Some(at_most(2))).await);
    assert!(set(SetBy::Operator, Some(at_most(3))).await);
    assert!(!set(SetBy::Config, Some(at_most(4))).await && !set(SetBy::Config, None).await);
    let gate = world.gate(name()).await;
    assert_eq!((gate.bounds, gate.set_by), (at_most(3), SetBy::Operator));
    assert!(set(SetBy::Operator, None).await);
    assert_eq!(world.store.gate(name()).await.unwrap(), None);
}

pub async fn the_last_task_defines_and_one_without_bounds_only_passes(world: World) {
    let tasks = [at_most(1), at_most(2), Bounds::default()].map(|it| limited(world.task("t"), [("k", it)]));
    world.submit(tasks.into()).await.unwrap();
    assert_eq!(world.gate(key("", "k")).await.bounds, at_most(2));
    assert_eq!(world.lease(9).await.len(), 2);
    world.accept(limited(world.task("t"), [("open", Bounds::default())])).await;
    assert_eq!(world.lease(9).await.len(), 1);
    let gate = world.gate(key("", "open")).await;
    assert_eq!((gate.bounds, gate.set_by, gate.running, gate.is_full()), (Bounds::default(), SetBy::Task, 1, false));
}

pub async fn what_is_not_accepted_defines_nothing(world: World) {
    world.control("full", QueueState::Draining).await;
    let refused = limited(world.task_in("full", "t"), [("k", at_most(1))]);
    let good = limited(world.task("t"), [("other", at_most(1))]);
    assert!(world.submit(vec![good, refused]).await.is_err());
    assert_eq!(world.store.gates(None, 9).await.unwrap(), []);
    let named = NewTask { spec: spec(|it| it.fingerprint = Some(1)), id: id(500), ..world.task("t") };
    world.accept(named.clone()).await;
    assert!(world.accept(limited(named, [("k", at_most(1))])).await.existing);
    assert_eq!(world.store.gates(None, 9).await.unwrap(), []);
}

pub async fn a_paused_lane_holds_nothing(world: World) {
    let paused = world.accept(limited(world.task_in("a", "t"), [("k", at_most(1))])).await.id;
    world.control("a", QueueState::Paused).await;
    let other = world.accept(limited(world.task_in("b", "t"), [("k", at_most(1))])).await.id;
    let running = world.lease(9).await;
    assert_eq!(ids(&running), [other]);
    world.control("a", QueueState::Active).await;
    assert!(world.lease(9).await.is_empty());
    world.end(&running[0]).await;
    assert_eq!(ids(&world.lease(9).await), [paused]);
}

pub async fn a_lane_that_nobody_serves_holds_nothing(world: World) {
    for queue in ["a", "b"] {
        world.accept(limited(world.task_in(queue, "t"), [("k", at_most(1))])).await;
    }
    let running = world.lease_as(world.request_for(9, only("b"))).await;
    assert_eq!(running.len(), 1, "though what stands in the other lane came first");
    world.told(&world.end(&running[0]).await, [("a", 1)]);
}

pub async fn urgent_first(world: World) {
    let all = world.accept_limited(at_most(1), 2).await;
    let first = world.lease(9).await.remove(0);
    let urgent = world.accept(NewTask { priority: 5, ..limited(world.task("t"), [("k", at_most(1))]) }).await.id;
    world.end(&first).await;
    let second = world.lease(9).await;
    assert_eq!(ids(&second), [urgent]);
    world.end(&second[0]).await;
    assert_eq!(ids(&world.lease(9).await), all[1..]);
}

pub async fn who_is_blocked_holds_up_nobody(world: World) {
    world.accept_limited(at_most(1), 50).await;
    let plain = world.accept(world.task("t")).await.id;
    assert_eq!(world.lease(9).await.len(), 2);
    assert_eq!(world.get(plain).await.facts.state, State::Running);
}

pub async fn a_rate_opens_by_time(world: World) {
    let all = world.accept_limited(so_often(2, 10), 5).await;
    assert_eq!(ids(&world.lease(1).await), all[..1]);
    world.advance(SECOND * 4);
    let running = world.lease(9).await;
    assert_eq!(ids(&running), all[1..2]);
    let gate = world.gate(key("", "k")).await;
    assert_eq!((gate.is_full(), gate.opens_at), (true, Some(world.store.now().plus(SECOND * 6))));
    world.report(&running[0], Outcome::Released).await;
    assert!(world.lease(9).await.is_empty(), "a start is not given back");
    world.advance(SECOND * 6 - Duration::from_millis(1));
    let before = world.commit(Batch { promote: 9, lease: vec![world.request(9)], ..Batch::default() }).await;
    assert_eq!((before.lease[0].len(), opened(&before)), (0, vec![]));
    assert_eq!(before.next_due, Some(Duration::from_millis(1)));
    world.advance(Duration::from_millis(1));
    let at = world.commit(Batch { promote: 9, ..Batch::default() }).await;
    assert_eq!(at.promote, 0);
    world.told(&at, [("q", 1)]);
    assert_eq!(ids(&world.lease(9).await), all[1..2]);
    world.advance(SECOND * 4);
    assert_eq!(world.lease(9).await.len(), 1);
}

pub async fn blocked_is_shown_and_counted(world: World) {
    let all = world.accept_limited(at_most(1), 3).await;
    let delayed = NewTask {
        start: tasklane_core::accept::Start::After(SECOND * 60),
        ..limited(world.task("t"), [("k", at_most(1))])
    };
    let delayed = world.accept(delayed).await.id;
    assert_eq!(world.states(&all).await, [State::Queued; 3]);
    let answers = world.commit(Batch { lease: vec![world.request(9)], ..Batch::default() }).await;
    assert_eq!(answers.transitions.len(), 1, "blocked is no event");
    assert_eq!(world.states(&all).await, [State::Running, State::Blocked, State::Blocked]);
    assert_eq!(world.states(&[delayed]).await, [State::Scheduled]);
    assert_eq!(world.get(all[1]).await.reason, Reason::GateFull);
    let listed = async |state| {
        let filter = TaskFilter { state: Some(state), ..TaskFilter::default() };
        world.store.list(filter, None, 9).await.unwrap().tasks.len()
    };
    let (blocked, queued) = (listed(State::Blocked).await, listed(State::Queued).await);
    assert_eq!((blocked, queued), (2, 0));
    let queue = world.store.queues(None).await.unwrap().remove(0);
    let lane = world.store.lanes().await.unwrap().remove(0);
    let all_counts = [
        queue.counts,
        lane.counts,
        world.store.counts("".into(), None).await.unwrap(),
        world.store.stats().await.unwrap().counts,
    ];
    assert!(all_counts.iter().all(|it| (it.of(State::Blocked), it.of(State::Queued)) == (2, 0)), "{all_counts:?}");
    assert_eq!(queue.next, Some(all[1]), "where all are blocked, the first of these");
    world.hand(all[1], Hand::Cancel).await.unwrap();
    assert_eq!(world.get(all[1]).await.facts.state, State::Cancelled);
}

pub async fn standing_names_the_full_gates(world: World) {
    world.run(limited(world.task("t"), [("k", at_most(1)), ("open", at_most(9))])).await;
    let blocked = limited(world.task("t"), [("k", at_most(1)), ("open", at_most(9))]);
    let blocked = world.accept(blocked).await.id;
    let free = world.accept(world.task("t")).await.id;
    let standing = world.store.standing(blocked, 9).await.unwrap().unwrap();
    assert_eq!((standing.task.facts.state, standing.ahead), (State::Blocked, Some(0)));
    assert_eq!(standing.gates, [world.gate(key("", "k")).await]);
    let standing = world.store.standing(free, 9).await.unwrap().unwrap();
    assert_eq!((standing.task.facts.state, standing.ahead), (State::Queued, Some(0)), "who is blocked is not ahead");
    assert!(standing.gates.is_empty());
}

pub async fn gates_page_by_name_and_show_holders(world: World) {
    world.set_gate(GateName::Type("t".into()), at_most(9)).await;
    world.set_gate(GateName::Queue("z".into()), at_most(9)).await;
    let running = world.run(limited(world.task("t"), [("b", at_most(1)), ("a", at_most(1))])).await;
    let expected = [GateName::Queue("z".into()), GateName::Type("t".into()), key("", "a"), key("", "b")];
    let page = world.store.gates(None, 3).await.unwrap();
    let rest = world.store.gates(Some(page[2].name.clone()), 3).await.unwrap();
    let names: Vec<_> = page.iter().chain(&rest).map(|it| it.name.clone()).collect();
    assert_eq!(names, expected);
    let running_in: Vec<_> = page.iter().chain(&rest).map(|it| it.running).collect();
    assert_eq!(running_in, [0, 1, 1, 1]);
    let detail = world.store.gate(key("", "a")).await.unwrap().unwrap();
    assert_eq!(detail.holders, [(running.facts.id, Some("w1".into()))]);
    assert_eq!(world.store.gate(key("other", "a")).await.unwrap(), None);
}

pub async fn keys_are_of_one_tenant(world: World) {
    for tenant in ["a", "b", "a"] {
        world.accept(of_tenant(limited(world.task("t"), [("k", at_most(1))]), tenant)).await;
    }
    assert_eq!(world.lease(9).await.len(), 2);
    assert_eq!(world.gate(key("a", "k")).await.waiting, 1);
}

pub async fn a_stand_in_holds_for_every_tenant(world: World) {
    let every = key(EVERY_TENANT, "k");
    assert!(world.set_gate_by(SetBy::Config, every.clone(), Some(at_most(1))).await.gate[0]);
    for tenant in ["a", "a", "b", "b", "c", "c"] {
        world.accept(of_tenant(limited(world.task("t"), [("k", at_most(9))]), tenant)).await;
    }
    world.set_gate(key("c", "k"), at_most(2)).await;
    assert_eq!(world.lease(9).await.len(), 4, "one each, and two where an operator said so");
    let gate = world.gate(key("a", "k")).await;
    assert_eq!((gate.bounds, gate.set_by, gate.running, gate.is_full()), (at_most(1), SetBy::Config, 1, true));
    assert_eq!(world.gate(every.clone()).await.running, 0, "it is no gate itself");
    let removed = world.set_gate_by(SetBy::Config, every, None).await;
    world.told(&removed, [("q", 2)]);
}

pub async fn system_queues_pass_only_what_their_tasks_name(world: World) {
    world.set_gate(GateName::Queue("~s".into()), at_most(0)).await;
    world.set_gate(GateName::Type("t".into()), at_most(0)).await;
    for _ in 0..3 {
        world.accept(limited(world.task_in("~s", "t"), [("k", at_most(2))])).await;
    }
    assert_eq!(world.lease_as(world.request_for(9, only("~s"))).await.len(), 2);
    assert_eq!(world.gate(key("", "k")).await.running, 2);
}

pub async fn a_strand_that_stands_first_goes_first(world: World) {
    let mut all = Vec::new();
    for n in 0..100 {
        let name = if n < 60 { "k0".to_owned() } else { format!("k{}", n % 10) };
        all.push(world.accept(limited(world.task("t"), [(&name, at_most(99))])).await.id);
        world.advance(Duration::from_millis(1));
    }
    for (from, to) in [(0, 50), (50, 80), (80, 100)] {
        assert_eq!(ids(&world.lease(to - from).await), all[from..to]);
    }
}

pub async fn a_hundred_strands_in_order(world: World) {
    let mut firsts = Vec::new();
    for n in 0..300_u32 {
        let name = format!("k{}", n % 100);
        let priority = (n % 7) as i32;
        let task = NewTask { priority, ..limited(world.task("t"), [(&name, at_most(1))]) };
        let id = world.accept(task).await.id;
        firsts.push((n % 100, -priority, n, id));
        if n % 50 == 0 {
            world.advance(SECOND);
        }
    }
    // Each key lets its first one through; these come in the order of their lane.
    firsts.sort_unstable();
    firsts.dedup_by_key(|it| it.0);
    firsts.sort_unstable_by_key(|it| (it.1, it.2));
    let expected: Vec<TaskId> = firsts.into_iter().map(|it| it.3).collect();
    let leased = [world.lease(30).await, world.lease(1).await, world.lease(200).await].concat();
    assert_eq!(ids(&leased), expected);
    assert!(world.lease(9).await.is_empty());
}

pub async fn followers_define_their_gates(world: World) {
    let leased = world.run(world.task("t")).await;
    let mut settlement = world.settlement(&leased, success("1"));
    settlement.then = vec![limited(world.task("t"), [("k", at_most(1))])];
    world.settle(settlement).await;
    let batch = Batch {
        accept: vec![Submission { tasks: vec![limited(world.task("t"), [("k", at_most(1))])] }],
        lease: vec![world.request(9)],
        ..Batch::default()
    };
    assert_eq!(world.commit(batch).await.lease[0].len(), 1);
}
