use std::sync::Arc;

use tasklane_core::accept::NewTask;
use tasklane_core::error::StoreError;
use tasklane_core::event::Position;
use tasklane_core::gate::Limit;
use tasklane_core::hand::Hand;
use tasklane_core::lease::{LaneFilter, TypeFilter};
use tasklane_core::limit;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::store::{Batch, EventPage, TaskFilter};
use tasklane_core::queue::QueueState;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Lane, Scope, TaskId};
use tasklane_core::time::Timestamp;

use super::gate::at_most;
use super::world::{SECOND, World, beginning, ids, spec, success};

pub async fn lists_page_newest_first(world: World) {
    let tasks: Vec<_> = (0..7).map(|_| world.task("t")).collect();
    let mut expected: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
    expected.reverse();
    world.submit(tasks).await.unwrap();
    let (mut below, mut seen) = (None, Vec::new());
    loop {
        let page = world.store.list(TaskFilter::default(), below, 3).await.unwrap();
        assert!(page.tasks.len() <= 3);
        seen.extend(page.tasks.iter().map(|task| task.facts.id));
        below = page.next;
        if below.is_none() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

async fn listed(world: &World, filter: TaskFilter) -> Vec<TaskId> {
    let page = world.store.list(filter, None, 100).await.unwrap();
    page.tasks.iter().map(|task| task.facts.id).collect()
}

pub async fn lists_filter(world: World) {
    let plain = world.run(world.task("a")).await.facts.id;
    world.advance(SECOND);
    let mut task = world.task_in("r", "b");
    task.scope = Arc::new(Scope { origin: "atropos".into(), tenant: "x".into() });
    task.spec = spec(|spec| drop(spec.labels.insert("k".into(), "v".into())));
    let other = world.accept(task).await.id;
    let system = world.accept(world.task_in("~s", "b")).await.id;
    let all = TaskFilter::default;
    assert_eq!(listed(&world, all()).await, [other, plain]);
    assert_eq!(listed(&world, TaskFilter { queue: Some("~s".into()), ..all() }).await, [system]);
    assert_eq!(listed(&world, TaskFilter { state: Some(State::Running), ..all() }).await, [plain]);
    assert_eq!(listed(&world, TaskFilter { state: Some(State::Queued), ..all() }).await, [other]);
    let open = |states: &[State]| TaskFilter { states: states.to_vec(), ..all() };
    assert_eq!(listed(&world, open(&[State::Queued, State::Running])).await, [other, plain]);
    assert_eq!(listed(&world, open(&[State::Failed, State::Running])).await, [plain]);
    assert_eq!(listed(&world, TaskFilter { task_type: Some("a".into()), ..all() }).await, [plain]);
    assert_eq!(listed(&world, TaskFilter { tenant: Some("x".into()), ..all() }).await, [other]);
    assert_eq!(listed(&world, TaskFilter { origin: Some("".into()), ..all() }).await, [plain]);
    let label = |value: &str| TaskFilter { labels: vec![("k".into(), value.into())], ..all() };
    assert_eq!(listed(&world, label("v")).await, [other]);
    assert!(listed(&world, label("w")).await.is_empty());
    let search = |text: &str| TaskFilter { search: Some(text.into()), ..all() };
    assert_eq!(listed(&world, search(&plain.to_string())).await, [plain]);
    assert_eq!(listed(&world, search("a")).await, [plain]);
    assert_eq!(listed(&world, search("v")).await, [other]);
    assert!(listed(&world, search("nowhere")).await.is_empty());
    let at = beginning().plus(SECOND);
    assert_eq!(listed(&world, TaskFilter { created_after: Some(at), ..all() }).await, [other]);
    assert_eq!(listed(&world, TaskFilter { created_before: Some(at), ..all() }).await, [plain]);
}

pub async fn attempts_in_order(world: World) {
    let first = world.run(world.task("t")).await;
    let id = first.facts.id;
    world.advance(SECOND);
    world.report(&first, Outcome::failed(FailureKind::Error, "one")).await;
    world.advance(3600 * SECOND);
    world.promote(1).await;
    let second = world.lease(1).await.remove(0);
    let attempts = world.store.attempts(id).await.unwrap().unwrap();
    assert_eq!(attempts.iter().map(|it| (it.attempt, it.charged)).collect::<Vec<_>>(), [(1, true), (2, false)]);
    assert_eq!(attempts[0].failure.as_ref().unwrap().message, "one");
    assert_eq!(attempts[1].ended_at, None);
    world.report(&second, success("1")).await;
    let attempts = world.store.attempts(id).await.unwrap().unwrap();
    assert_eq!((attempts.len(), attempts[1].ended_at), (2, Some(world.store.now())));
    assert_eq!(world.store.attempts(world.task("t").id).await.unwrap(), None);
}

pub async fn events_in_order_and_by_position(world: World) {
    let mut positions = Vec::new();
    let mut told = Vec::new();
    for _ in 0..4 {
        let accept = vec![tasklane_core::accept::Submission { tasks: vec![world.task("t"), world.task("u")] }];
        let answers = world.commit(Batch { accept, lease: vec![world.request(1)], ..Batch::default() }).await;
        positions.push(answers.position);
        told.push(answers.transitions);
        world.advance(SECOND);
    }
    let nothing = world.commit(Batch::default()).await;
    assert_eq!(nothing.position, positions[3], "a commit without transitions is no event");
    assert_eq!(world.events().await, told.concat());
    let page = world.store.events(positions[0], 1).await.unwrap();
    assert_eq!((page.events, page.next, page.reset), (told[1].clone(), positions[1], false));
    let page = world.store.events(positions[3], 9).await.unwrap();
    assert_eq!((page.events.len(), page.next, page.reset), (0, positions[3], false));
    let page = world.store.events(Position(positions[3].0 + (1 << 40)), 9).await.unwrap();
    assert_eq!((page.next, page.reset), (positions[3], true), "a position of another log");
}

pub async fn queues_count_without_rows(world: World) {
    world.advance(SECOND);
    let mut urgent = world.task("t");
    let first = world.accept(world.task("t")).await.id;
    world.accept(world.task_in("~s", "t")).await;
    world.accept(world.task_in("b", "t")).await;
    world.advance(SECOND);
    urgent.priority = 5;
    let urgent = world.accept(urgent).await.id;
    let queues = world.store.queues(None).await.unwrap();
    assert_eq!(queues.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["b", "q"]);
    let q = &queues[1];
    assert_eq!((q.counts.of(State::Queued), q.counts.total(), q.state), (2, 2, QueueState::Active));
    assert_eq!((q.oldest_queued_at, q.next), (Some(beginning().plus(SECOND)), Some(urgent)));
    world.lease(9).await;
    let q = world.store.queues(Some("q".into())).await.unwrap().remove(0);
    assert_eq!((q.counts.of(State::Running), q.next, q.oldest_queued_at), (2, None, None));
    assert!(world.get(first).await.facts.lease.is_some());
    assert_eq!(world.store.queues(Some("~s".into())).await.unwrap().len(), 1);
    assert!(world.store.queues(Some("none".into())).await.unwrap().is_empty());
}

pub async fn lanes_count_without_rows(world: World) {
    world.accept(world.task("t")).await;
    world.accept(world.task_in("b", "t")).await;
    world.accept(world.task_in("b", "a")).await;
    world.accept(world.task_in("~s", "a")).await;
    world.run(world.task("t")).await;
    let lanes = world.store.lanes().await.unwrap();
    let named: Vec<_> = lanes.iter().map(|it| (&*it.lane.task_type, &*it.lane.queue, it.counts.total())).collect();
    assert_eq!(named, [("a", "b", 1), ("t", "b", 1), ("t", "q", 2)]);
    assert_eq!(lanes[2].counts.of(State::Running), 1);
}

pub async fn standing_counts_those_ahead(world: World) {
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(world.accept(world.task("t")).await.id);
        world.advance(SECOND);
    }
    let mut urgent = world.task("t");
    urgent.priority = 1;
    let urgent = world.accept(urgent).await.id;
    let ahead = async |id, most| {
        let standing = world.store.standing(id, most).await.unwrap().unwrap();
        (standing.ahead, standing.ahead_is_more)
    };
    assert_eq!(ahead(urgent, 9).await, (Some(0), false));
    assert_eq!(ahead(all[4], 9).await, (Some(5), false));
    assert_eq!(ahead(all[4], 3).await, (Some(3), true));
    world.lease(1).await;
    assert_eq!(ahead(all[4], 9).await, (Some(4), false));
    assert_eq!(ahead(urgent, 9).await, (None, false));
    assert!(world.store.standing(world.task("t").id, 9).await.unwrap().is_none());
}

/// Whatever a store still keeps of what was leased: nobody sees it in the line.
pub async fn what_was_leased_stands_before_nobody(world: World) {
    for limits in [Limit::none(), Limit::share([Limit { key: "k".into(), bounds: at_most(99) }])] {
        let mut all = Vec::new();
        for (many, priority) in [(3, 1), (8, 0), (1, 0), (1, 0), (1, 0), (1, 0), (5, -1)] {
            let task = || NewTask { priority, limits: limits.clone(), ..world.task("t") };
            let accepted = world.submit((0..many).map(|_| task()).collect()).await.unwrap();
            all.extend(accepted.iter().map(|it| (it.id, world.store.now())));
            world.advance(SECOND);
        }
        for (taken, next) in all.iter().enumerate().skip(1) {
            assert_eq!(ids(&world.lease(1).await), [all[taken - 1].0]);
            let standing = world.store.standing(all[19].0, 99).await.unwrap().unwrap();
            assert_eq!(standing.ahead, Some(19 - taken as u64));
            let queue = world.store.queues(Some("q".into())).await.unwrap().remove(0);
            assert_eq!((queue.next, queue.oldest_queued_at), (Some(next.0), Some(next.1)));
        }
        assert_eq!(ids(&world.lease(9).await), [all[19].0]);
    }
}

pub async fn stats_count(world: World) {
    world.run(world.task("a")).await;
    world.accept(world.task("b")).await;
    let stats = world.store.stats().await.unwrap();
    assert_eq!((stats.counts.of(State::Running), stats.counts.of(State::Queued), stats.lanes), (1, 1, 2));
    assert_eq!(stats.commits, 3);
}

pub async fn a_closed_store_is_away(world: World) {
    world.accept(world.task("t")).await;
    world.store.close().await;
    assert!(matches!(world.store.commit(Batch::default()).await, Err(StoreError::Away(_))));
    assert!(matches!(world.store.tasks(vec![]).await, Err(StoreError::Away(_))));
    world.store.close().await;
}

fn of(world: &World, origin: &str, tenant: &str) -> NewTask {
    let scope = Arc::new(Scope { origin: origin.into(), tenant: tenant.into() });
    NewTask { scope, ..world.task("t") }
}

pub async fn counts_by_origin_and_tenant(world: World) {
    let tasks = vec![of(&world, "atropos", ""), of(&world, "atropos", "x"), of(&world, "", "x"), world.task("t")];
    let first = tasks[0].id;
    world.submit(tasks).await.unwrap();
    let counts = async |origin: &str, tenant: Option<&str>| {
        world.store.counts(origin.into(), tenant.map(Into::into)).await.unwrap()
    };
    for (origin, tenant, number) in
        [("atropos", None, 2), ("atropos", Some("x"), 1), ("", None, 2), ("", Some("y"), 0), ("threads", None, 0)]
    {
        assert_eq!(counts(origin, tenant).await.total(), number, "{origin} {tenant:?}");
    }
    world.hand(first, Hand::Cancel).await.unwrap();
    world.hand(first, Hand::Hide).await.unwrap();
    let after = counts("atropos", None).await;
    assert_eq!((after.of(State::Queued), after.of(State::Cancelled), after.deleted()), (1, 0, 1));
}

pub async fn only_rows_of_the_origin_are_examined(world: World) {
    let old = of(&world, "atropos", "");
    let expected = old.id;
    world.accept(old).await;
    for _ in 0..5 {
        let tasks = (0..limit::READ_ROWS / 4).map(|_| world.task("t")).collect();
        world.submit(tasks).await.unwrap();
    }
    let filter = || TaskFilter { origin: Some("atropos".into()), ..TaskFilter::default() };
    assert_eq!(listed(&world, filter()).await, [expected], "behind more rows of others than one read examines");
    let page = world.store.list(filter(), Some(expected), 9).await.unwrap();
    assert_eq!((page.tasks.len(), page.next), (0, None));
}

pub async fn a_lane_is_known_from_its_first_task_on(world: World) {
    let task = world.task_in("r", "b");
    let lane = Arc::clone(&task.lane);
    assert!(!world.store.knows(&lane));
    world.accept(task).await;
    assert!(world.store.knows(&lane) && !world.store.knows(&Lane::new("q", "b")));
}

pub async fn crash_loops_are_found_in_the_log(world: World) {
    let mut looped = Vec::new();
    for _ in 0..3 {
        let mut task = world.task("t");
        task.spec = spec(|spec| spec.max_attempts = 9);
        let id = world.accept(task).await.id;
        world.accept(world.task("u")).await;
        for _ in 0..3 {
            let lanes = vec![LaneFilter { queue: None, types: TypeFilter::Only(vec!["t".into()]) }];
            let leased = world.lease_as(world.request_for(1, lanes)).await.remove(0);
            world.report(&leased, Outcome::failed(FailureKind::Killed, "killed")).await;
            world.advance(3600 * SECOND);
            world.promote(9).await;
        }
        looped.push((id, world.get(id).await.finished_at.unwrap()));
    }
    let end = world.events_after(Position(0)).await.next;
    let found = |page: &EventPage| page.events.iter().map(|it| (it.task, it.at)).collect::<Vec<_>>();
    let all = world.store.crash_loops(Position(0), Timestamp::EPOCH, 99).await.unwrap();
    assert_eq!((found(&all), all.next, all.reset), (looped.clone(), end, false));
    assert_eq!(all.commits.iter().map(|(_, many)| many).sum::<usize>(), 3);
    assert!(all.events.iter().all(|it| (it.to, it.reason) == (State::Failed, Reason::CrashLoop)));
    let first = world.store.crash_loops(Position(0), Timestamp::EPOCH, 1).await.unwrap();
    assert_eq!((found(&first), first.next), (looped[..1].to_vec(), all.commits[0].0));
    let rest = world.store.crash_loops(first.next, Timestamp::EPOCH, 99).await.unwrap();
    assert_eq!((found(&rest), rest.next), (looped[1..].to_vec(), end));
    for nth in 0..3 {
        let late = world.store.crash_loops(Position(0), looped[nth].1, 99).await.unwrap();
        assert_eq!((found(&late), late.next), (looped[nth..].to_vec(), end));
    }
    let none = world.store.crash_loops(end, Timestamp::EPOCH, 99).await.unwrap();
    assert!(none.events.is_empty() && none.next == end);
}
