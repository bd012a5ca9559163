use std::time::Duration;

use tasklane_core::accept::{Deadlines, Moment, NewTask, Submission};
use tasklane_core::gate::Limit;
use tasklane_core::lease::{LaneFilter, Token, TypeFilter};
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::store::Batch;
use tasklane_core::state::{Reason, State};

use super::gate::at_most;
use super::world::{LEASE, SECOND, World, beginning, ids, success};

fn with_priority(mut task: NewTask, priority: i32) -> NewTask {
    task.priority = priority;
    task
}

pub async fn the_urgent_first_then_the_old(world: World) {
    let mut expected = Vec::new();
    for priority in [0, -1000, 7, 0, 1000, 7] {
        let accepted = world.accept(with_priority(world.task("t"), priority)).await;
        expected.push((-priority, accepted.id));
        world.advance(SECOND);
    }
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    let leased = [world.lease(2).await, world.lease(1).await, world.lease(9).await].concat();
    assert_eq!(ids(&leased), expected);
}

pub async fn no_more_bytes_than_one_answer_may_have(world: World) {
    let mut expected = Vec::new();
    for n in 0..40_i32 {
        let payload = vec![b'1'; 1 << 20].into();
        let large = NewTask { payload, ..world.task_in(["a", "b"][n as usize % 2], "x") };
        expected.push((-(n / 7), world.accept(with_priority(large, n / 7)).await.id));
    }
    expected.sort_unstable();
    let (first, second) = (world.lease(100).await, world.lease(100).await);
    assert_eq!((first.len(), second.len()), (32, 8));
    assert_eq!(ids(&[first, second].concat()), expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

pub async fn lanes_are_merged_by_their_order(world: World) {
    let mut expected = Vec::new();
    for n in 0..30 {
        let task = with_priority(world.task_in(["a", "b", "c"][n % 3], ["x", "y"][n % 2]), (n % 4) as i32);
        expected.push((-task.priority, n / 5, world.accept(task).await.id));
        if n % 5 == 4 {
            world.advance(SECOND);
        }
    }
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(.., id)| id).collect();
    let mut leased = Vec::new();
    for limit in [1, 7, 2, 19, 5] {
        leased.extend(world.lease(limit).await);
    }
    assert_eq!(ids(&leased), expected);
}

pub async fn only_lanes_that_were_asked_for(world: World) {
    let a = world.accept(world.task_in("a", "x")).await.id;
    let b = world.accept(world.task_in("b", "x")).await.id;
    let c = world.accept(world.task_in("a", "y")).await.id;
    let only = |queue: Option<&str>, types: &[&str]| LaneFilter {
        queue: queue.map(Into::into),
        types: TypeFilter::Only(types.iter().map(|it| (*it).into()).collect()),
    };
    assert!(world.lease_as(world.request_for(9, vec![only(Some("a"), &["z"])])).await.is_empty());
    assert!(world.lease_as(world.request_for(9, vec![])).await.is_empty());
    let filters = vec![only(Some("a"), &["x", "x"]), only(Some("a"), &["x"])];
    assert_eq!(ids(&world.lease_as(world.request_for(9, filters)).await), [a]);
    assert_eq!(ids(&world.lease_as(world.request_for(9, vec![only(None, &["x", "q"])])).await), [b]);
    let any = LaneFilter { queue: Some("a".into()), types: TypeFilter::Any };
    assert_eq!(ids(&world.lease_as(world.request_for(9, vec![any])).await), [c]);
}

pub async fn system_queues_only_by_name(world: World) {
    let system = world.accept(world.task_in("~callbacks", "t")).await.id;
    assert!(world.lease(9).await.is_empty());
    let filter = LaneFilter { queue: Some("~callbacks".into()), types: TypeFilter::Any };
    assert_eq!(ids(&world.lease_as(world.request_for(9, vec![filter])).await), [system]);
}

pub async fn a_lease_carries_what_decisions_need(world: World) {
    let task = world.task("t");
    world.accept(task.clone()).await;
    world.advance(4 * SECOND);
    let request = world.request(3);
    let seed = request.seed;
    let leased = world.lease_as(request).await.remove(0);
    let (facts, now) = (&leased.facts, beginning().plus(4 * SECOND));
    assert_eq!((facts.state, facts.attempt, facts.spent), (State::Running, 1, 0));
    assert_eq!((facts.started_at, &facts.lane, &facts.scope), (Some(now), &task.lane, &task.scope));
    let lease = facts.lease.as_ref().unwrap();
    assert_eq!((lease.token, lease.length, lease.until), (Token::nth(seed, 0), LEASE, now.plus(LEASE)));
    assert_eq!((lease.heard_at, lease.grace_until), (now, None));
    assert_eq!((&leased.payload, leased.waited), (&task.payload, Duration::from_secs(4)));
    let stored = world.get(task.id).await;
    assert_eq!(&stored.facts, facts);
    assert_eq!((stored.reason, stored.worker.as_deref(), stored.progress), (Reason::Leased, Some("w1"), None));
}

pub async fn a_task_is_leased_once(world: World) {
    for _ in 0..10 {
        world.accept(world.task("t")).await;
    }
    let (a, b) = (world.request(6), world.request(6));
    let answers = world.commit(Batch { lease: vec![a, b], ..Batch::default() }).await;
    assert_eq!(answers.lease.iter().map(Vec::len).collect::<Vec<_>>(), [6, 4]);
    let mut all = ids(&answers.lease.concat());
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 10);
    assert!(world.lease(1).await.is_empty());
}

pub async fn what_is_past_its_start_deadline_is_not_started(world: World) {
    let mut task = world.task("t");
    task.deadlines = Deadlines { start: Some(Moment::After(SECOND)), end: None };
    let late = world.accept(task).await.id;
    let fine = world.accept(world.task("t")).await.id;
    world.advance(SECOND);
    assert_eq!(ids(&world.lease(1).await), [fine]);
    assert_eq!(world.get(late).await.facts.state, State::Expired);
    assert_eq!(world.promote(9).await, 0);
}

pub async fn accepted_and_leased_in_one_commit(world: World) {
    let tasks = vec![world.task("t"), world.task("t")];
    let first = tasks[0].id;
    let batch = Batch { accept: vec![Submission { tasks }], lease: vec![world.request(1)], ..Batch::default() };
    let answers = world.commit(batch).await;
    assert_eq!(ids(&answers.lease[0]), [first]);
    assert_eq!(answers.transitions.len(), 3);
    assert_eq!(world.lease(9).await.len(), 1);
}

pub async fn many_lanes_and_many_groups(world: World) {
    let mut expected = Vec::new();
    for round in 0..4 {
        let tasks: Vec<_> = (0..700).map(|n| with_priority(world.task(&format!("t{}", n % 70)), n % 3)).collect();
        expected.extend(tasks.iter().map(|task| (-task.priority, round, task.id)));
        world.submit(tasks).await.unwrap();
        world.advance(SECOND);
    }
    expected.sort_unstable();
    let mut leased = Vec::new();
    loop {
        let some = world.lease(333).await;
        if some.is_empty() {
            break;
        }
        leased.extend(ids(&some));
    }
    assert_eq!(leased, expected.into_iter().map(|(.., id)| id).collect::<Vec<_>>());
}

pub async fn rank_is_kept_when_given_back(world: World) {
    let tasks: Vec<_> = (0..5).map(|_| world.task("t")).collect();
    let all: Vec<_> = tasks.iter().map(|task| task.id).collect();
    world.submit(tasks).await.unwrap();
    let leased = world.lease(4).await;
    world.advance(SECOND);
    for back in [&leased[2], &leased[0]] {
        world.report(back, Outcome::Released).await;
    }
    assert_eq!(ids(&world.lease(9).await), [all[0], all[2], all[4]]);
}

/// Whatever a store still keeps of what was leased: who comes to stand before it goes first, and nobody goes twice.
pub async fn who_comes_before_what_was_leased_goes_first(world: World) {
    for limits in [Limit::none(), Limit::share([Limit { key: "k".into(), bounds: at_most(99) }])] {
        let task = |priority| NewTask { limits: limits.clone(), ..with_priority(world.task("t"), priority) };
        let tasks: Vec<_> = (0..8).map(|_| task(0)).collect();
        let all: Vec<_> = tasks.iter().map(|task| task.id).collect();
        world.submit(tasks).await.unwrap();
        let first = world.lease(3).await;
        world.advance(SECOND);
        let urgent = world.accept(task(1)).await.id;
        assert_eq!(ids(&world.lease(1).await), [urgent]);
        world.report(&first[1], Outcome::Released).await;
        assert_eq!(ids(&world.lease(2).await), [all[1], all[3]]);
        // What was lost comes back in the commit that leases what stands behind it.
        world.advance(LEASE);
        let mut answers = world.commit(Batch { lease: vec![world.request(1)], rescue: 9, ..Batch::default() }).await;
        let next = answers.lease.remove(0);
        assert_eq!((ids(&next), answers.rescue), (vec![all[4]], 5));
        let rest = world.lease(9).await;
        assert_eq!(ids(&rest), [&[urgent], &all[..4], &all[5..]].concat());
        for leased in next.iter().chain(&rest) {
            world.report(leased, success("1")).await;
        }
    }
}
