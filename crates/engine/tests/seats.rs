//! Seats that serve several lanes: what comes into one of them does not hide what comes into another.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests need the rest")]
mod world;

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tasklane_core::accept::{NewTask, Start, Submission};
use tasklane_core::lease::{LaneFilter, TypeFilter};
use tasklane_core::limit;
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::store::Hint;
use tasklane_core::task::Lane;
use tasklane_engine::LeaseReply;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use world::{SECOND, World};

/// Parks a request of one task for these types.
fn park(world: &World, types: &[&str]) -> JoinHandle<LeaseReply> {
    park_for(world, types, 1)
}

fn park_for(world: &World, types: &[&str], limit: usize) -> JoinHandle<LeaseReply> {
    let types = TypeFilter::Only(types.iter().map(|it| (*it).into()).collect());
    let mut call = world.lease_call(20 * SECOND);
    call.wish.lanes = [LaneFilter { queue: Some("default".into()), types }].into();
    call.wish.limit = limit;
    let engine = world.engine.clone();
    tokio::spawn(async move { engine.lease(call).await.unwrap() })
}

async fn submit_all(world: &World, types: &[&str]) {
    let mut tasks: Vec<NewTask> = Vec::new();
    for task_type in types {
        tasks.push(world.new_task(|new| new.lane = Lane::new("default", task_type)));
    }
    world.engine.submit(Submission { tasks }).await.unwrap();
}

/// What each got, at once.
async fn got(parked: Vec<JoinHandle<LeaseReply>>) -> Vec<Vec<String>> {
    let before = Instant::now();
    let mut got = Vec::new();
    for parked in parked {
        let tasks = parked.await.unwrap().tasks;
        got.push(tasks.iter().map(|it| it.facts.lane.task_type.to_string()).collect());
    }
    assert_eq!(before.elapsed(), Duration::ZERO, "{got:?}");
    got
}

#[tokio::test(start_paused = true)]
async fn tasks_of_two_lanes_that_are_due_come_to_who_waits_for_each() {
    let world = World::new();
    for task_type in ["a", "b"] {
        let lane = Lane::new("default", task_type);
        world.submit_with(|new| (new.lane, new.start) = (lane, Start::After(5 * SECOND))).await;
    }
    let mut parked = Vec::new();
    for types in [["a"], ["a"], ["b"]] {
        parked.push(park(&world, &types));
        world.settle_down().await;
    }
    tokio::time::sleep(5 * SECOND).await;
    let others = parked.remove(1);
    assert_eq!(got(parked).await, [["a"], ["b"]]);
    drop(others);
}

#[tokio::test(start_paused = true)]
async fn a_seat_woken_for_one_lane_and_filled_from_another_leaves_its_lane_to_the_next() {
    let ([a, b], bus) = World::several();
    let both = park(&b, &["a", "b"]);
    b.settle_down().await;
    let one = park(&b, &["a"]);
    b.settle_down().await;
    bus.deaf.store(true, Relaxed);
    a.submit("a").await;
    a.submit_with(|new| (new.lane, new.priority) = (Lane::new("default", "b"), 9)).await;
    bus.tell_all(&Hint { lanes: vec![a.lane()], ..Hint::default() });
    assert_eq!(got(vec![both, one]).await, [["b"], ["a"]]);
}

#[tokio::test(start_paused = true)]
async fn a_hint_of_two_lanes_wakes_who_serves_the_second_alone() {
    let ([a, b], bus) = World::several();
    let both = park(&b, &["a", "b"]);
    b.settle_down().await;
    let one = park(&b, &["b"]);
    b.settle_down().await;
    bus.deaf.store(true, Relaxed);
    submit_all(&a, &["a", "b"]).await;
    let lanes = ["a", "b"].map(|it| Lane::new("default", it)).to_vec();
    bus.tell_all(&Hint { lanes, ..Hint::default() });
    assert_eq!(got(vec![both, one]).await, [["a"], ["b"]]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_seat_looks_for_what_has_gone_is_not_missed() {
    let ([a, b], bus) = World::several();
    let both = park(&b, &["a", "b"]);
    b.settle_down().await;
    bus.deaf.store(true, Relaxed);
    let hint = |it: &str| Hint { lanes: vec![Lane::new("default", it)], ..Hint::default() };
    bus.tell_all(&hint("a"));
    // It looks now.
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    submit_all(&a, &["b"]).await;
    bus.tell_all(&hint("b"));
    assert_eq!(got(vec![both]).await, [["b"]]);
}

#[tokio::test(start_paused = true)]
async fn one_seat_that_wants_much_is_given_what_comes_into_all_its_lanes() {
    let ([a, b], bus) = World::several();
    let much = park_for(&b, &["a", "b"], 10);
    b.settle_down().await;
    let asked = bus.asked.load(Relaxed);
    submit_all(&a, &["a", "b", "a"]).await;
    let mut got = got(vec![much]).await;
    got[0].sort();
    assert_eq!(got, [["a", "a", "b"]]);
    assert_eq!(bus.asked.load(Relaxed) - asked, 1, "and the store was asked once");
}

#[tokio::test(start_paused = true)]
async fn a_request_for_nothing_waits_for_cancellations_alone() {
    let ([a, b], bus) = World::several();
    a.submit("a").await;
    let task = a.lease_one(Duration::ZERO).await.unwrap();
    let listening = park_for(&a, &["a"], 0);
    a.settle_down().await;
    let asked = bus.asked.load(Relaxed);
    b.submit("a").await;
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(bus.asked.load(Relaxed), asked);
    b.engine.hand(task.facts.id, tasklane_core::hand::Hand::Cancel).await.unwrap();
    assert_eq!(listening.await.unwrap().cancel, [task.facts.id]);
    a.report(&task, Outcome::Cancelled).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_full_of_bytes_hides_no_further_tasks() {
    let world = World::new();
    let mut parked = Vec::new();
    for _ in 0..5 {
        parked.push(park_for(&world, &["a"], 100));
        world.settle_down().await;
    }
    let payload = bytes::Bytes::from(vec![b'1'; limit::PAYLOAD_BYTES]);
    let tasks =
        (0..140).map(|_| world.new_task(|new| (new.lane, new.payload) = (Lane::new("default", "a"), payload.clone())));
    world.engine.submit(Submission { tasks: tasks.collect() }).await.unwrap();
    let got: Vec<usize> = got(parked).await.iter().map(Vec::len).collect();
    assert_eq!(got, [32, 32, 32, 32, 12]);
}
