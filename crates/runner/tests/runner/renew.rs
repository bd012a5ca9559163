//! Leases that are renewed, lost and cancelled; progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tasklane_core::outcome::Outcome;
use tasklane_core::ports::executor::Context;
use tasklane_core::task::{Progress, Spec};
use tasklane_runner::{LeaseSource, Options, Runner};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::fake::{FakeServer, Handler, ITEMS, Script, done, handler, id, secs, start};

/// Runs until it is told to stop; notes when that was.
fn obedient(told_at: &Arc<AtomicU64>) -> Arc<Handler> {
    let (began, told_at) = (Instant::now(), Arc::clone(told_at));
    handler("long", move |_, context: Arc<dyn Context>| {
        let told_at = Arc::clone(&told_at);
        async move {
            context.cancelled().await;
            told_at.store(began.elapsed().as_secs(), Ordering::Relaxed);
            Outcome::Cancelled
        }
    })
}

fn percent(percent: f64) -> Progress {
    Progress { percent: Some(percent), ..Progress::default() }
}

#[tokio::test(start_paused = true)]
async fn a_long_attempt_keeps_its_lease() {
    let script = Script { seed: 3, lose_request: 20, lose_answer: 20, latency: secs(1), impatient: false };
    let server = FakeServer::new(script);
    server.add(0..3, "long", Spec::default());
    let long = handler("long", |_, _| async {
        sleep(secs(1000)).await;
        done()
    });
    let runner = start(&server, long, 3);
    server.all_done().await;
    let state = server.state();
    for task in state.tasks.values() {
        assert_eq!(task.attempt, 1 + task.expired);
        assert!(task.expired <= 1, "only a grant nobody heard of may run out");
    }
    drop(state);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn progress_goes_out_at_most_once_a_second_and_the_last_word_wins() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "talk", Spec::default());
    let talk = handler("talk", |_, context| async move {
        for n in 0..=35 {
            context.progress(percent(f64::from(n)));
            sleep(Duration::from_millis(100)).await;
        }
        context.progress(percent(f64::NAN));
        context.progress(percent(1000.0));
        done()
    });
    let began = Instant::now();
    let runner = start(&server, talk, 1);
    server.all_done().await;
    let state = server.state();
    let said: Vec<_> = state.progress.iter().map(|(at, _, it)| ((*at - began).as_millis(), it.percent)).collect();
    let percents: Vec<_> = said.iter().filter_map(|it| it.1).collect();
    assert_eq!((percents.len(), percents.last()), (5, Some(&100.0)), "{said:?}");
    assert!(said[..4].windows(2).all(|it| it[1].0 - it[0].0 >= 1000), "{said:?}");
    drop(state);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_handler_with_a_heartbeat_is_heard_within_it() {
    let server = FakeServer::new(Script::default());
    let silence = Duration::from_millis(600);
    server.add(0..1, "talk", Spec { heartbeat_timeout: Some(silence), ..Spec::default() });
    let talk = handler("talk", |_, context| async move {
        for n in 0..100 {
            context.progress(percent(f64::from(n)));
            sleep(Duration::from_millis(50)).await;
        }
        done()
    });
    let runner = start(&server, talk, 1);
    server.all_done().await;
    let state = server.state();
    assert!(state.progress.windows(2).all(|it| it[1].0 - it[0].0 <= silence / 2));
    drop(state);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_reaches_the_handler_at_once() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "long", Spec::default());
    let told_at = Arc::default();
    let runner = start(&server, obedient(&told_at), 2);
    sleep(secs(45)).await;
    server.cancel(0);
    server.all_done().await;
    assert_eq!(server.state().task(0).outcome(), Some(&Outcome::Cancelled));
    assert_eq!(told_at.load(Ordering::Relaxed), 45);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_cancellation_reaches_a_worker_all_of_whose_slots_are_taken() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "long", Spec::default());
    let told_at = Arc::default();
    let runner = start(&server, obedient(&told_at), 1);
    sleep(secs(46)).await;
    // A cancellation that comes now is told with no renewal: the next is seconds away.
    server.cancel(0);
    server.all_done().await;
    assert_eq!(server.state().task(0).outcome(), Some(&Outcome::Cancelled));
    assert_eq!(told_at.load(Ordering::Relaxed), 46);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_handler_deaf_to_cancellation_is_dropped_before_the_grace_of_the_server_is_over() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "deaf", Spec::default());
    let runner = start(&server, handler("deaf", |_, _| std::future::pending()), 2);
    sleep(secs(5)).await;
    server.cancel(0);
    let began = Instant::now();
    server.all_done().await;
    assert_eq!(server.state().task(0).outcome(), Some(&Outcome::Cancelled));
    assert!(began.elapsed() < tasklane_core::limit::CANCEL_GRACE);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_lease_the_handler_is_told_and_its_outcome_is_worth_nothing() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "long", Spec::default());
    let told_at = Arc::default();
    let runner = start(&server, obedient(&told_at), 1);
    sleep(secs(5)).await;
    // Somebody else has the task now, for good.
    server.state().tasks.get_mut(&id(0)).unwrap().lease = None;
    sleep(secs(60)).await;
    assert!((7..=10).contains(&told_at.load(Ordering::Relaxed)), "told with the first renewal");
    assert_eq!(server.state().lost, 1);
    assert!(server.state().task(0).accepted.is_empty());
    assert_eq!(runner.held(), 0);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_an_attempt_the_report_did_not_name_stops_nobody() {
    let server = FakeServer::new(Script::default());
    server.add(0..2, "nap", Spec::default());
    let nap = handler("nap", |task, _| async move {
        sleep(secs(1 + task.facts.id.0.as_u128() as u64 * 4)).await;
        done()
    });
    let runner = start(&server, nap, 2);
    sleep(Duration::from_millis(500)).await;
    // Said in the answer to the report of task 0, about an earlier attempt of task 1.
    server.state().false_lost.push(id(1));
    server.all_done().await;
    assert!(server.state().false_lost.is_empty());
    let state = server.state();
    assert_eq!((state.task(1).attempt, state.task(1).outcome()), (1, Some(&done())));
    drop(state);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn work_whose_lease_cannot_be_renewed_is_over_before_it_may_have_run_out() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "long", Spec::default());
    let told_at = Arc::default();
    let runner = start(&server, obedient(&told_at), 1);
    sleep(secs(1)).await;
    server.set_away(true);
    sleep(secs(60)).await;
    let told = told_at.load(Ordering::Relaxed);
    assert!((24..=27).contains(&told), "told after {told} s");
    assert_eq!(runner.held(), 0);
    server.set_away(false);
    // Given back, not settled: for the server it was lost meanwhile, and the next attempt starts.
    sleep(secs(10)).await;
    let state = server.state();
    assert_eq!((state.task(0).expired, state.task(0).attempt), (1, 2));
    assert!(state.task(0).outcome().is_none());
    drop(state);
    drop(runner);
}

/// Notes when it was dropped, in tenths of a second.
struct DroppedAt(Instant, Arc<AtomicU64>);

impl Drop for DroppedAt {
    fn drop(&mut self) {
        self.1.store(self.0.elapsed().as_millis() as u64 / 100, Ordering::Relaxed);
    }
}

fn deaf(dropped_at: &Arc<AtomicU64>) -> Arc<Handler> {
    let (began, dropped_at) = (Instant::now(), Arc::clone(dropped_at));
    handler("deaf", move |_, _| {
        let dropped = DroppedAt(began, Arc::clone(&dropped_at));
        async move {
            let _dropped = dropped;
            std::future::pending().await
        }
    })
}

#[tokio::test(start_paused = true)]
async fn work_deaf_to_the_loss_of_the_server_is_dropped_within_its_lease() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "deaf", Spec::default());
    let dropped_at = Arc::default();
    let runner = start(&server, deaf(&dropped_at), 1);
    sleep(secs(1)).await;
    server.set_away(true);
    sleep(secs(60)).await;
    let dropped = dropped_at.load(Ordering::Relaxed);
    assert!((270..=300).contains(&dropped), "dropped after {dropped} tenths");
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_patience_for_cancellation_does_not_outlast_the_lease() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "deaf", Spec::default());
    let dropped_at = Arc::default();
    let options = Options { slots: 2, cancel_grace: secs(100), ..Options::default() };
    let source = Arc::clone(&server) as Arc<dyn LeaseSource>;
    let runner = Runner::start(source, vec![deaf(&dropped_at)], options);
    sleep(secs(1)).await;
    server.cancel(0);
    sleep(secs(1)).await;
    server.set_away(true);
    sleep(secs(60)).await;
    let dropped = dropped_at.load(Ordering::Relaxed);
    assert!((270..=300).contains(&dropped), "dropped after {dropped} tenths");
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_lease_counts_from_when_it_was_asked_for() {
    // The answer that brings the task takes twelve seconds, and nothing is heard afterwards.
    let (server, gate) = (FakeServer::new(Script::default()), Arc::new(Notify::new()));
    server.state().gate = Some(Arc::clone(&gate));
    server.add(0..1, "deaf", Spec::default());
    let dropped_at = Arc::default();
    let runner = start(&server, deaf(&dropped_at), 1);
    sleep(secs(12)).await;
    gate.notify_one();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(runner.held(), 1);
    server.set_away(true);
    sleep(secs(60)).await;
    let dropped = dropped_at.load(Ordering::Relaxed);
    assert!((270..=300).contains(&dropped), "dropped after {dropped} tenths");
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn what_was_so_long_on_its_way_that_its_lease_may_be_over_does_not_begin() {
    for (late, begun) in [(24, 1), (26, 0), (29, 0)] {
        let (server, gate) = (FakeServer::new(Script::default()), Arc::new(Notify::new()));
        server.state().gate = Some(Arc::clone(&gate));
        server.add(0..1, "long", Spec::default());
        let begins = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&begins);
        let long = handler("long", move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::pending()
        });
        let runner = start(&server, long, 1);
        sleep(secs(late)).await;
        gate.notify_one();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(begins.load(Ordering::Relaxed), begun, "after {late} s");
        drop(runner);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_shorter_than_the_lease_interrupts_nothing() {
    for (seed, lease) in [(1, 3), (2, 5), (3, 10), (4, 30), (5, 60)] {
        let server = FakeServer::lasting(Script { seed, ..Script::default() }, secs(lease));
        server.add(0..20, "long", Spec::default());
        let long = handler("long", move |_, _| async move {
            sleep(secs(4 * lease)).await;
            done()
        });
        let options = Options { slots: 20, lease: secs(lease), ..Options::default() };
        let runner = Runner::start(Arc::clone(&server) as Arc<dyn LeaseSource>, vec![long], options);
        sleep(secs(lease)).await;
        server.set_away(true);
        // Renewed in its first third, stopped in its last quarter: so long is always bridged.
        sleep(secs(lease) * 3 / 10).await;
        server.set_away(false);
        server.all_done().await;
        let state = server.state();
        assert!(state.tasks.values().all(|it| it.attempt == 1 && it.accepted.len() == 1), "a lease of {lease} s");
        drop(state);
        drop(runner);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_very_many_attempts_is_said_in_parts() {
    let server = FakeServer::new(Script::default());
    let tasks = 2 * ITEMS + 500;
    server.add(0..tasks, "long", Spec::default());
    let long = handler("long", |_, context: Arc<dyn Context>| async move {
        sleep(secs(20)).await;
        context.progress(percent(50.0));
        sleep(secs(20)).await;
        done()
    });
    let runner = start(&server, long, tasks);
    server.all_done().await;
    let state = server.state();
    assert_eq!(state.longest, ITEMS, "the longest list is full, and none is longer");
    assert!(state.tasks.values().all(|it| it.attempt == 1));
    assert_eq!(state.progress.len(), tasks);
    drop(state);
    drop(runner);
}
