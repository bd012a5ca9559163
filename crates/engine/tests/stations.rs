//! The engine's stations over the memory store, on tokio's paused clock: time passes only when everything waits for it.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests need the rest")]
mod world;

use std::time::Duration;

use tasklane_core::accept::{NewTask, Start};
use tasklane_core::gate::{Bounds, Limit, Rate};
use tasklane_core::hand::Hand;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::queue::QueueState;
use tasklane_core::retry::Retry;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Progress, Spec};
use tasklane_engine::Asker;
use world::{SECOND, World};

#[tokio::test(start_paused = true)]
async fn a_task_goes_the_straight_road() {
    let world = World::new();
    let id = world.submit("a").await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    assert_eq!((task.facts.id, task.facts.attempt), (id, 1));
    assert!(world.report(&task, Outcome::Succeeded("1".into())).await.lost.is_empty());
    let done = world.task(id).await;
    assert_eq!((done.facts.state, done.result.as_deref()), (State::Succeeded, Some(&b"1"[..])));
}

#[tokio::test(start_paused = true)]
async fn a_submit_reaches_a_parked_worker_without_time_passing() {
    let world = World::new();
    let parked = world.park(20 * SECOND);
    world.settle_down().await;
    let before = tokio::time::Instant::now();
    let id = world.submit("a").await;
    let got = parked.await.unwrap();
    assert_eq!(got.tasks[0].facts.id, id);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

/// Makes tasks pass one gate with these bounds.
fn behind(bounds: Bounds) -> impl Fn(&mut NewTask) {
    move |new| new.limits = Limit::share([Limit { key: "k".into(), bounds }])
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_comes_free_reaches_a_parked_worker_without_time_passing() {
    let (world, one) = (World::new(), behind(Bounds { max_running: Some(1), rate: None }));
    world.submit_with(&one).await;
    let running = world.lease_one(Duration::ZERO).await.unwrap();
    let parked = [world.park(20 * SECOND), world.park(20 * SECOND)];
    let blocked = [world.submit_with(&one).await, world.submit_with(&one).await];
    world.settle_down().await;
    let before = tokio::time::Instant::now();
    world.report(&running, Outcome::Succeeded("1".into())).await;
    let [first, second] = parked;
    let got = first.await.unwrap();
    assert_eq!((got.tasks[0].facts.id, before.elapsed()), (blocked[0], Duration::ZERO));
    world.report(&got.tasks[0], Outcome::Succeeded("1".into())).await;
    assert_eq!((second.await.unwrap().tasks[0].facts.id, before.elapsed()), (blocked[1], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_opens_by_time_does_so_at_its_moment() {
    let rate = Rate { count: 1, per: Duration::from_millis(7_250) };
    let (world, seldom) = (World::new(), behind(Bounds { max_running: None, rate: Some(rate) }));
    world.submit_with(&seldom).await;
    let second = world.submit_with(&seldom).await;
    let first = world.lease_one(Duration::ZERO).await.unwrap();
    let before = tokio::time::Instant::now();
    world.report(&first, Outcome::Succeeded("1".into())).await;
    assert_eq!(world.lease_one(20 * SECOND).await.unwrap().facts.id, second);
    let late = before.elapsed().saturating_sub(rate.per);
    assert!(before.elapsed() >= rate.per && late < Duration::from_millis(50), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_parked_worker_gets_nothing_when_its_wait_is_over() {
    let world = World::new();
    let before = tokio::time::Instant::now();
    assert!(world.lease_one(5 * SECOND).await.is_none());
    assert_eq!(before.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_called_for_nothing_does_not_wait_longer_than_it_wants() {
    let world = World::new();
    world.submit("a").await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    world.report(&task, Outcome::Succeeded("1".into())).await;
    world.engine.control("default", QueueState::Paused).await.unwrap();
    let (parked, gone) = (world.park(5 * SECOND), world.park(5 * SECOND));
    world.settle_down().await;
    let before = tokio::time::Instant::now();
    world.submit("a").await;
    world.submit("a").await;
    gone.abort();
    assert!(tokio::time::timeout(6 * SECOND, parked).await.unwrap().unwrap().tasks.is_empty());
    assert_eq!(before.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_parked_worker_is_not_given_tasks_of_other_lanes() {
    let world = World::new();
    let parked = world.park(3 * SECOND);
    world.settle_down().await;
    world.submit_to("elsewhere", "a").await;
    assert!(parked.await.unwrap().tasks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_while_it_waits_takes_nothing_with_it() {
    let world = World::new();
    let parked = world.park(20 * SECOND);
    world.settle_down().await;
    parked.abort();
    drop(parked.await);
    let id = world.submit("a").await;
    assert_eq!(world.lease_one(Duration::ZERO).await.unwrap().facts.id, id);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_task_starts_when_its_time_comes() {
    let world = World::new();
    let before = tokio::time::Instant::now();
    world.submit_with(|new| new.start = Start::After(30 * SECOND)).await;
    assert!(world.lease_one(29 * SECOND).await.is_none());
    assert!(world.lease_one(29 * SECOND).await.is_some());
    assert_eq!(before.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_task_starts_at_its_moment_and_not_at_the_next_poll() {
    let world = World::new();
    let before = tokio::time::Instant::now();
    world.submit_with(|new| new.start = Start::After(Duration::from_millis(250))).await;
    assert!(world.lease_one(20 * SECOND).await.is_some());
    assert!(before.elapsed() < Duration::from_millis(300), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_just_as_it_gets_work_gives_it_back_unspent() {
    let world = World::new();
    let call = world.lease_call(20 * SECOND);
    let mut leasing = Box::pin(world.engine.lease(call));
    tokio::select! {
        biased;
        _ = &mut leasing => panic!("there is no work yet"),
        () = world.settle_down() => {}
    }
    let id = world.submit("a").await;
    assert_eq!(world.task(id).await.facts.state, State::Running, "handed to the caller in the same commit");
    drop(leasing);
    world.settle_down().await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    assert_eq!((task.facts.id, task.facts.attempt, task.facts.spent), (id, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_is_retried_after_its_back_off() {
    let world = World::new();
    let retry = Retry::Delays { delays: vec![7 * SECOND], jitter: false };
    let id = world.submit_with(|new| new.spec = Spec { retry, ..Spec::default() }.into()).await;
    let first = world.lease_one(Duration::ZERO).await.unwrap();
    let failed_at = tokio::time::Instant::now();
    world.report(&first, Outcome::failed(FailureKind::Error, "no")).await;
    assert_eq!(world.task(id).await.facts.state, State::Retrying);
    let second = world.lease_one(20 * SECOND).await.unwrap();
    assert_eq!((second.facts.attempt, second.facts.spent), (2, 1));
    assert_eq!(failed_at.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_loses_its_lease_and_its_late_report_is_refused() {
    let world = World::new();
    let id = world.submit("a").await;
    let first = world.lease_one(Duration::ZERO).await.unwrap();
    let second = world.lease_as("other", 29 * SECOND).await;
    assert!(second.is_none(), "the lease is 30 s long");
    let second = world.lease_as("other", 29 * SECOND).await.unwrap();
    assert_eq!((second.facts.attempt, second.facts.spent, second.facts.crashes), (2, 1, 1));
    assert_eq!(world.report(&first, Outcome::Succeeded("1".into())).await.lost, [id]);
    assert!(world.report(&second, Outcome::Succeeded("2".into())).await.lost.is_empty());
    assert_eq!(world.task(id).await.result.as_deref(), Some(&b"2"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_worker_s_other_seats_do_not_catch_the_task_it_lost() {
    let world = World::new();
    let id = world.submit("a").await;
    world.lease_one(Duration::ZERO).await.unwrap();
    let seats = [world.park(60 * SECOND), world.park(60 * SECOND)];
    world.settle_down().await;
    let task = world.lease_as("healthy", 60 * SECOND).await.unwrap();
    assert_eq!((task.facts.id, task.facts.attempt), (id, 2));
    for seat in seats {
        assert!(seat.await.unwrap().tasks.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn renewals_keep_a_lease() {
    let world = World::new();
    world.submit("a").await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    for _ in 0..20 {
        tokio::time::sleep(20 * SECOND).await;
        assert!(world.renew(&task).await.lost.is_empty());
    }
    assert!(world.report(&task, Outcome::Succeeded("1".into())).await.lost.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_same_report_twice_is_accepted_silently() {
    let world = World::new();
    world.submit("a").await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    assert!(world.report(&task, Outcome::Succeeded("1".into())).await.lost.is_empty());
    assert!(world.report(&task, Outcome::Succeeded("1".into())).await.lost.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_reaches_a_parked_worker_at_once() {
    let world = World::new();
    let id = world.submit("a").await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    let parked = world.park(20 * SECOND);
    world.settle_down().await;
    let before = tokio::time::Instant::now();
    assert!(world.engine.hand(id, Hand::Cancel).await.unwrap().facts.cancel_requested);
    assert_eq!(parked.await.unwrap().cancel, [id]);
    assert_eq!(before.elapsed(), Duration::ZERO);
    world.report(&task, Outcome::Succeeded("1".into())).await;
    let task = world.task(id).await;
    assert_eq!((task.facts.state, task.reason, task.result), (State::Cancelled, Reason::Cancelled, None));
    let attempts = world.engine.attempts(id).await.unwrap().unwrap();
    assert_eq!(attempts[0].result.as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_reaches_a_worker_that_leased_before_the_last_start() {
    let before = World::new();
    let id = before.submit("a").await;
    let task = before.lease_one(Duration::ZERO).await.unwrap();
    let world = before.again();
    world.engine.hand(id, Hand::Cancel).await.unwrap();
    assert_eq!(world.renew(&task).await.cancel, [id]);
    world.report(&task, Outcome::Cancelled).await;
    assert_eq!(world.task(id).await.facts.state, State::Cancelled);
    world.engine.hand(id, Hand::Retry).await.unwrap();
    let again = world.lease_one(Duration::ZERO).await.unwrap();
    assert_eq!(world.renew(&again).await.cancel, [], "an old cancellation is not of this attempt");
    world.report(&again, Outcome::Succeeded("1".into())).await;
    assert_eq!(world.task(id).await.facts.state, State::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_nobody_could_be_told_of_is_not_of_a_later_attempt() {
    let before = World::new();
    let id = before.submit("a").await;
    let task = before.lease_one(Duration::ZERO).await.unwrap();
    let world = before.again();
    world.engine.hand(id, Hand::Cancel).await.unwrap();
    world.report(&task, Outcome::Cancelled).await;
    world.engine.hand(id, Hand::Retry).await.unwrap();
    let again = world.lease_one(Duration::ZERO).await.unwrap();
    assert!(!again.facts.cancel_requested);
    assert_eq!(world.renew(&again).await.cancel, []);
    world.report(&again, Outcome::Succeeded("1".into())).await;
    assert_eq!(world.task(id).await.facts.state, State::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ignores_a_cancellation_has_ten_seconds() {
    let world = World::new();
    let id = world.submit("a").await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    world.engine.hand(id, Hand::Cancel).await.unwrap();
    assert_eq!(world.renew(&task).await.cancel, [id]);
    let told = tokio::time::Instant::now();
    let done = world.engine.wait(id, 60 * SECOND).await.unwrap().unwrap();
    assert_eq!(done.facts.state, State::Cancelled);
    assert_eq!(told.elapsed().as_secs(), 10);
    assert_eq!(world.renew(&task).await.lost, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_reader_is_woken_by_the_end() {
    let world = World::new();
    let id = world.submit("a").await;
    let engine = world.engine.clone();
    let waiting = tokio::spawn(async move { engine.wait(id, 60 * SECOND).await });
    world.settle_down().await;
    let before = tokio::time::Instant::now();
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    world.report(&task, Outcome::Succeeded("1".into())).await;
    assert_eq!(waiting.await.unwrap().unwrap().unwrap().facts.state, State::Succeeded);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_named_request_asked_again_gets_the_same_unreported_tasks() {
    let world = World::new();
    world.submit("a").await;
    world.submit("a").await;
    let mut call = world.lease_call(Duration::ZERO);
    (call.wish.limit, call.wish.request) = (2, Some("r1".into()));
    let first = world.engine.lease(call.clone()).await.unwrap().tasks;
    assert_eq!(first.len(), 2);
    world.report(&first[0], Outcome::Succeeded("1".into())).await;
    let again = world.engine.lease(call).await.unwrap().tasks;
    assert_eq!(again.iter().map(|it| it.key()).collect::<Vec<_>>(), [first[1].key()]);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_wants_work_gets_it_in_the_same_answer() {
    let world = World::new();
    world.submit("a").await;
    let second = world.submit("a").await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    let mut call = world.report_call(vec![(task.key(), Outcome::Succeeded("1".into()))]);
    call.want = Some(world.lease_call(Duration::ZERO).wish);
    let reply = world.engine.report(call).await.unwrap();
    assert_eq!(reply.tasks[0].facts.id, second);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_queue_wakes_who_waits_for_it() {
    let world = World::new();
    world.submit("a").await;
    world.engine.control("default", QueueState::Paused).await.unwrap().unwrap();
    let parked = world.park(20 * SECOND);
    world.settle_down().await;
    let before = tokio::time::Instant::now();
    world.engine.control("default", QueueState::Active).await.unwrap().unwrap();
    assert_eq!(parked.await.unwrap().tasks.len(), 1);
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn progress_within_a_second_is_written_a_second_later() {
    let world = World::new();
    let id = world.submit("a").await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    for percent in [10.0, 20.0, 30.0] {
        let mut call = world.report_call(Vec::new());
        call.progress = vec![(task.key(), Some(Progress { percent: Some(percent), ..Progress::default() }))];
        assert!(world.engine.report(call).await.unwrap().lost.is_empty());
    }
    assert_eq!(world.task(id).await.progress.unwrap().percent, Some(10.0));
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(world.task(id).await.progress.unwrap().percent, Some(30.0));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_times_out() {
    let world = World::new();
    let spec = Spec { attempt_timeout: Some(5 * SECOND), max_attempts: 1, ..Spec::default() };
    let id = world.submit_with(|new| new.spec = spec.into()).await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    let done = world.engine.wait(id, 30 * SECOND).await.unwrap().unwrap();
    assert_eq!(done.failure.unwrap().kind, FailureKind::Timeout);
    assert_eq!(world.renew(&task).await.lost, [id]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_says_nothing_for_too_long_times_out_though_its_lease_is_renewed() {
    let world = World::new();
    let spec = Spec { heartbeat_timeout: Some(8 * SECOND), max_attempts: 1, ..Spec::default() };
    let id = world.submit_with(|new| new.spec = spec.into()).await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(4 * SECOND).await;
        let mut call = world.report_call(Vec::new());
        call.progress = vec![(task.key(), None)];
        assert!(world.engine.report(call).await.unwrap().lost.is_empty());
    }
    for _ in 0..3 {
        tokio::time::sleep(4 * SECOND).await;
        world.renew(&task).await;
    }
    assert_eq!(world.task(id).await.failure.unwrap().kind, FailureKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_that_come_often_keep_a_task_that_may_not_be_silent_for_long() {
    let world = World::new();
    let spec = Spec { heartbeat_timeout: Some(SECOND), ..Spec::default() };
    world.submit_with(|new| new.spec = spec.into()).await;
    let task = world.lease_one(Duration::ZERO).await.unwrap();
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(70)).await;
        let mut call = world.report_call(Vec::new());
        call.progress = vec![(task.key(), None)];
        assert!(world.engine.report(call).await.unwrap().lost.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_hands_out_nothing() {
    let world = World::new();
    let parked = world.park(20 * SECOND);
    world.settle_down().await;
    world.engine.drain();
    assert!(parked.await.unwrap().tasks.is_empty());
    world.submit("a").await;
    assert!(world.lease_one(Duration::ZERO).await.is_none());
    assert!(world.engine.ready().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn why_names_every_reason() {
    let world = World::new();
    let id = world.submit("a").await;
    let codes = || async {
        world
            .engine
            .why(id, Asker::Operator)
            .await
            .unwrap()
            .unwrap()
            .reasons
            .iter()
            .map(|it| it.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes().await, ["no_worker"]);
    world.engine.control("default", QueueState::Paused).await.unwrap();
    assert_eq!(codes().await, ["queue_paused", "no_worker"]);
    assert!(world.lease_one(Duration::ZERO).await.is_none());
    assert_eq!(codes().await, ["queue_paused"]);
    world.engine.control("default", QueueState::Active).await.unwrap();
    assert_eq!(codes().await, ["workers_busy"]);
    let later = world.submit("a").await;
    assert_eq!(world.engine.why(later, Asker::Operator).await.unwrap().unwrap().reasons[0].code, "behind_others");
}

#[tokio::test(start_paused = true)]
async fn a_rerun_is_a_new_task_with_the_same_input() {
    let world = World::new();
    let id = world.submit("a").await;
    let again = world.engine.rerun(id).await.unwrap();
    assert_ne!(again.facts.id, id);
    assert_eq!(again.facts.spec.rerun_of, Some(id));
    assert_eq!(again.payload, world.task(id).await.payload);
}

#[tokio::test(start_paused = true)]
async fn what_a_named_request_is_given_again_is_leased_anew() {
    let world = World::new();
    world.submit("a").await;
    let mut call = world.lease_call(Duration::ZERO);
    call.wish.request = Some("r1".into());
    let first = world.engine.lease(call.clone()).await.unwrap().tasks;
    tokio::time::sleep(20 * SECOND).await;
    let again = world.engine.lease(call).await.unwrap().tasks;
    assert_eq!(again[0].key(), first[0].key());
    tokio::time::sleep(20 * SECOND).await;
    assert!(world.renew(&again[0]).await.lost.is_empty(), "the worker counts from when it asked again");
}
