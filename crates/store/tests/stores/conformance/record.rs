use tasklane_core::accept::NewTask;
use tasklane_core::gate::{Bounds, GateName, SetBy, SetGate};
use tasklane_core::ports::store::Batch;
use tasklane_core::queue::QueueState;
use tasklane_core::record::{Content, Kind, Order, Record, RecordQuery, RecordSet, SetRecord};
use tasklane_core::schedule::Came;
use tasklane_core::task::{TaskId, Unique};
use tasklane_core::time::Timestamp;
use uuid::Uuid;

use super::world::{SECOND, World, beginning, spec};

fn content(tenant: &str, name: Option<&str>, body: &str) -> Content {
    Content { tenant: tenant.into(), name: name.map(Box::from), due: None, body: body.into() }
}

fn change(id: u128, seen: Option<u64>, to: Option<Content>) -> SetRecord {
    SetRecord::new(Kind::Schedule, Uuid::from_u128(id), seen, to)
}

fn version(set: RecordSet) -> u64 {
    match set {
        RecordSet::Held(version) => version,
        other => panic!("{other:?}"),
    }
}

impl World {
    async fn set(&self, set: SetRecord) -> RecordSet {
        self.commit(Batch { record: vec![set], ..Batch::default() }).await.record[0]
    }

    async fn make(&self, id: u128, content: Content) -> u64 {
        version(self.set(change(id, None, Some(content))).await)
    }

    async fn record(&self, id: u128) -> Option<Record> {
        self.store.records().one(Kind::Schedule, Uuid::from_u128(id)).await.unwrap()
    }

    async fn last_version(&self, kind: Kind) -> u64 {
        self.store.records().version(kind).await.unwrap()
    }

    async fn page(&self, kind: Kind, tenant: Option<&str>, after: Option<u128>, most: usize) -> Vec<u128> {
        let (tenant, after) = (tenant.map(Box::from), after.map(Uuid::from_u128));
        let page = self
            .store
            .records()
            .page(RecordQuery { kind, tenant, name: None, order: Order::Oldest, after, most })
            .await
            .unwrap();
        page.iter().map(|it| it.id.as_u128()).collect()
    }
}

pub async fn who_has_seen_a_record_changes_it(world: World) {
    let first = world.make(7, content("a", None, "one")).await;
    assert_eq!(world.set(change(7, None, Some(content("a", None, "again")))).await, RecordSet::Changed);
    let second = version(world.set(change(7, Some(first), Some(content("b", None, "two\u{1F41D}")))).await);
    assert!(second > first);
    assert_eq!(world.set(change(7, Some(first), Some(content("a", None, "late")))).await, RecordSet::Changed);
    assert_eq!(world.set(change(7, Some(first), None)).await, RecordSet::Changed);
    assert_eq!(world.set(change(8, Some(first), None)).await, RecordSet::Changed, "there is none");
    let there = world.record(7).await.unwrap();
    assert_eq!((there.version, there.content), (second, content("b", None, "two\u{1F41D}")));
    assert_eq!(world.last_version(Kind::Schedule).await, second);
    let third = version(world.set(change(7, Some(second), None)).await);
    assert_eq!((world.record(7).await, world.last_version(Kind::Schedule).await), (None, third));
    assert!(world.make(7, content("a", None, "anew")).await > third, "no version comes twice");
    assert_eq!(world.last_version(Kind::Key).await, 0);
}

pub async fn a_name_is_taken_once(world: World) {
    world.make(1, content("a", Some("daily"), "")).await;
    let other = world.make(2, content("b", Some("daily"), "")).await;
    assert_eq!(world.set(change(3, None, Some(content("a", Some("daily"), "")))).await, RecordSet::NameTaken);
    assert_eq!(world.set(change(2, Some(other), Some(content("a", Some("daily"), "")))).await, RecordSet::NameTaken);
    let renamed = version(world.set(change(2, Some(other), Some(content("b", Some("weekly"), "")))).await);
    world.make(4, content("b", Some("daily"), "")).await;
    world.set(change(2, Some(renamed), Some(content("b", Some("weekly"), "itself")))).await;
    let of_another_kind = SetRecord { kind: Kind::Key, ..change(5, None, Some(content("a", Some("daily"), ""))) };
    version(world.set(of_another_kind).await);
    world.make(6, content("a", None, "")).await;
    world.make(7, content("a", None, "")).await;
}

pub async fn what_follows_a_record_comes_where_its_change_held(world: World) {
    let slot = |n: u64| beginning().plus(SECOND * n as u32);
    let first = world.make(7, content("", None, "")).await;
    let tick = |seen, n| {
        let task = world.task("t");
        let slots = vec![(slot(n), Came::Made(task.id)), (slot(n + 1), Came::Overlapped)];
        SetRecord { then: vec![task], slots, ..change(7, seen, Some(content("", None, "ticked"))) }
    };
    let (held, late) = (tick(Some(first), 1), tick(Some(first), 1));
    let (made, not_made) = (held.then[0].id, late.then[0].id);
    // Two that saw the same come in one commit.
    let answers = world.commit(Batch { record: vec![held, late], ..Batch::default() }).await;
    assert_eq!(answers.record[1], RecordSet::Changed);
    assert_eq!(answers.transitions.len(), 1);
    let tasks = world.store.tasks(vec![made, not_made]).await.unwrap();
    assert!(tasks[0].is_some() && tasks[1].is_none());
    let seen = version(answers.record[0]);
    version(world.set(tick(Some(seen), 3)).await);
    let slots = async |before: Option<Timestamp>, most| {
        let slots = world.store.records().slots(Uuid::from_u128(7), before, most).await.unwrap();
        slots
            .iter()
            .map(|(at, came)| (at.since(beginning()).as_secs(), matches!(came, Came::Made(TaskId(_)))))
            .collect::<Vec<_>>()
    };
    assert_eq!(slots(None, 9).await, [(4, false), (3, true), (2, false), (1, true)]);
    assert_eq!(slots(Some(slot(4)), 2).await, [(3, true), (2, false)]);
    let last = world.record(7).await.unwrap().version;
    version(world.set(change(7, Some(last), None)).await);
    assert!(slots(None, 9).await.is_empty());
}

pub async fn a_slot_notes_the_task_that_was_accepted(world: World) {
    world.control("drained", QueueState::Draining).await;
    let held =
        NewTask { spec: spec(|it| it.unique = Some(Unique { key: "k".into(), held_for: None })), ..world.task("t") };
    let first = world.accept(held.clone()).await.id;
    let led_to_it = NewTask { id: world.task("t").id, ..held };
    let then = vec![world.task_in("drained", "t"), led_to_it, world.task("t")];
    let made = then[2].id;
    let slots = then.iter().zip(1..).map(|(task, n)| (beginning().plus(SECOND * n), Came::Made(task.id))).collect();
    version(world.set(SetRecord { then, slots, ..change(7, None, Some(content("", None, ""))) }).await);
    let noted = world.store.records().slots(Uuid::from_u128(7), None, 9).await.unwrap();
    let came: Vec<_> = noted.iter().map(|(_, came)| *came).collect();
    assert_eq!(came, [Came::Made(made), Came::Made(first), Came::Refused]);
}

pub async fn only_the_last_slots_are_remembered(world: World) {
    let slots = |from: u32| (from..from + 600).map(|n| (beginning().plus(SECOND * n), Came::Missed)).collect();
    let first = version(world.set(SetRecord { slots: slots(0), ..change(7, None, Some(content("", None, ""))) }).await);
    world.set(SetRecord { slots: slots(600), ..change(7, Some(first), Some(content("", None, ""))) }).await;
    let all = world.store.records().slots(Uuid::from_u128(7), None, 9999).await.unwrap();
    assert_eq!((all.len(), all[999].0), (1000, beginning().plus(SECOND * 200)));
}

pub async fn records_page_by_kind_and_tenant(world: World) {
    for (id, tenant) in [(3, "a"), (1, "b"), (2, "a"), (4, "a")] {
        world.make(id, content(tenant, None, "")).await;
    }
    version(world.set(SetRecord { kind: Kind::Key, ..change(9, None, Some(content("a", None, ""))) }).await);
    assert_eq!(world.page(Kind::Schedule, None, None, 9).await, [1, 2, 3, 4]);
    assert_eq!(world.page(Kind::Schedule, Some("a"), Some(2), 1).await, [3]);
    assert_eq!(world.page(Kind::Schedule, Some("c"), None, 9).await, []);
    assert_eq!(world.page(Kind::Key, None, None, 9).await, [9]);
    assert_eq!(world.page(Kind::Endpoint, None, None, 9).await, []);
    world.make(8, content("b", Some("daily"), "")).await;
    let named = |tenant: Option<&str>, name: &str| {
        let (tenant, name) = (tenant.map(Box::from), Some(name.into()));
        RecordQuery { kind: Kind::Schedule, tenant, name, order: Order::Oldest, after: None, most: 9 }
    };
    for (query, found) in [(named(None, "daily"), 1), (named(Some("a"), "daily"), 0), (named(None, "weekly"), 0)] {
        assert_eq!(world.store.records().page(query.clone()).await.unwrap().len(), found, "{query:?}");
    }
}

pub async fn records_page_backwards(world: World) {
    for id in [3, 1, 2, 4] {
        world.make(id, content(if id == 2 { "b" } else { "a" }, None, "")).await;
    }
    let page = async |tenant: Option<&str>, after: Option<u128>, most| {
        let (kind, tenant, after) = (Kind::Schedule, tenant.map(Box::from), after.map(Uuid::from_u128));
        let query = RecordQuery { kind, tenant, name: None, order: Order::Newest, after, most };
        let page = world.store.records().page(query).await.unwrap();
        page.iter().map(|it| it.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(page(None, None, 9).await, [4, 3, 2, 1]);
    assert_eq!(page(None, Some(3), 1).await, [2]);
    assert_eq!(page(Some("a"), Some(3), 9).await, [1]);
}

pub async fn another_record_changes_where_the_first_one_does(world: World) {
    let noted = |n: u128| SetRecord::new(Kind::Audit, Uuid::from_u128(n), None, Some(content("", None, "noted")));
    let also = |n, seen, to| SetRecord { also: Some(Box::new(noted(n))), ..change(7, seen, to) };
    let first = version(world.set(also(1, None, Some(content("", None, "a")))).await);
    assert_eq!(world.set(also(2, None, Some(content("", None, "b")))).await, RecordSet::Changed);
    assert_eq!(world.page(Kind::Audit, None, None, 9).await, [1]);
    version(world.set(also(3, Some(first), None)).await);
    assert_eq!(world.page(Kind::Audit, None, None, 9).await, [1, 3]);
    assert_eq!(world.last_version(Kind::Audit).await, 2);
}

pub async fn a_gate_is_set_where_the_change_holds(world: World) {
    let name = GateName::Key { tenant: "".into(), key: "k".into() };
    let set = |seen, most| {
        let bounds = Some(Bounds { max_running: Some(most), rate: None });
        let gate = Some(SetGate { name: name.clone(), by: SetBy::Config, bounds });
        SetRecord { gate, ..change(7, seen, Some(content("a", None, "x"))) }
    };
    let most = async || world.store.gate(name.clone()).await.unwrap().unwrap().gate.bounds.max_running;
    let first = version(world.set(set(None, 3)).await);
    assert_eq!(most().await, Some(3));
    // Two who saw the same, in one commit: the gate is the first one's, as the record is.
    let both = Batch { record: vec![set(Some(first), 4), set(Some(first), 5)], ..Batch::default() };
    let answers = world.commit(both).await;
    assert!(matches!(answers.record[..], [RecordSet::Held(_), RecordSet::Changed]));
    assert_eq!(most().await, Some(4));
}

pub async fn records_are_due_in_their_order(world: World) {
    let due_in =
        |seconds: u32| Content { due: Some(world.store.now().plus(SECOND * seconds)), ..content("", None, "") };
    for (id, seconds) in [(1, 30), (2, 10), (3, 20), (4, 90)] {
        world.make(id, due_in(seconds)).await;
    }
    world.make(5, content("", None, "")).await;
    let due = async |most| {
        let found = world.store.records().due(Kind::Schedule, most).await.unwrap();
        (found.due.iter().map(|it| it.id.as_u128()).collect::<Vec<_>>(), found.next.map(|it| it.as_secs()))
    };
    assert_eq!(due(9).await, (vec![], Some(10)));
    world.clock.advance(SECOND * 30);
    assert_eq!(due(9).await, (vec![2, 3, 1], Some(60)));
    assert_eq!(due(2).await, (vec![2, 3], Some(60)));
    world.clock.advance(SECOND * 60);
    assert_eq!(due(9).await, (vec![2, 3, 1, 4], None));
}
