//! The end of a runner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::executor::Context;
use tasklane_core::task::Spec;
use tasklane_runner::{Drained, LeaseSource, Options, Runner, drain_all};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::fake::{FakeServer, Handler, Script, done, handler, secs, start};

fn nap(length: Duration) -> Arc<Handler> {
    handler("nap", move |_, _| async move {
        sleep(length).await;
        done()
    })
}

#[tokio::test(start_paused = true)]
async fn what_runs_may_finish_and_nothing_new_is_taken() {
    let server = FakeServer::new(Script { latency: Duration::from_millis(20), ..Script::default() });
    server.add(0..10, "nap", Spec::default());
    let runner = start(&server, nap(secs(5)), 4);
    sleep(secs(1)).await;
    let began = Instant::now();
    assert_eq!(runner.drain(secs(30)).await, Drained { stopped: 0, unreported: 0 });
    assert!(began.elapsed() < secs(5));
    let state = server.state();
    assert_eq!(state.tasks.values().filter(|it| it.outcome() == Some(&done())).count(), 4);
    assert!(state.tasks.values().all(|it| it.lease.is_none() && it.attempt <= 1));
    assert!(state.open_wants.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_finish_in_the_grace_is_given_back_unspent() {
    let server = FakeServer::new(Script::default());
    server.add(0..6, "mixed", Spec::default());
    let mixed = handler("mixed", |task, context: Arc<dyn Context>| async move {
        match task.facts.id.0.as_u128() % 3 {
            // Deaf, obedient, and one that takes being told for an error.
            0 => std::future::pending().await,
            1 => context.cancelled().await,
            _ => {
                context.cancelled().await;
                return Outcome::failed(FailureKind::Error, "interrupted");
            }
        }
        Outcome::Cancelled
    });
    let runner = start(&server, mixed, 6);
    sleep(secs(1)).await;
    assert_eq!(runner.drain(secs(10)).await, Drained { stopped: 6, unreported: 0 });
    let state = server.state();
    for task in state.tasks.values() {
        assert_eq!(task.accepted.iter().map(|it| &it.1).collect::<Vec<_>>(), [&Outcome::Released]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_a_server_ends_and_says_what_was_not_reported() {
    let server = FakeServer::new(Script::default());
    server.add(0..3, "nap", Spec::default());
    let runner = start(&server, nap(secs(5)), 3);
    sleep(secs(1)).await;
    server.set_away(true);
    let began = Instant::now();
    assert_eq!(runner.drain(secs(30)).await, Drained { stopped: 0, unreported: 3 });
    assert!(began.elapsed() <= secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_drain_while_outcomes_cannot_be_said_waits_for_the_server_to_come_back() {
    let server = FakeServer::new(Script::default());
    server.add(0..3, "nap", Spec::default());
    let runner = start(&server, nap(secs(5)), 3);
    sleep(secs(1)).await;
    server.set_away(true);
    let drained = tokio::spawn(runner.drain(secs(30)));
    sleep(secs(8)).await;
    server.set_away(false);
    assert_eq!(drained.await.unwrap(), Drained { stopped: 0, unreported: 0 });
    assert!(server.state().tasks.values().all(|it| it.outcome() == Some(&done())));
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_after_the_drain_began_is_given_back_unrun() {
    let server = FakeServer::new(Script { seed: 1, latency: secs(2), ..Script::default() });
    server.add(0..20, "nap", Spec::default());
    let runner = start(&server, nap(Duration::ZERO), 1);
    server.until(|state| state.tasks.values().filter(|it| it.outcome().is_some()).count() == 5).await;
    // The exchange that settled the fifth brings the sixth, and its answer is on the way.
    assert_eq!(runner.drain(secs(30)).await, Drained { stopped: 0, unreported: 0 });
    let state = server.state();
    let of = |outcome: Outcome| state.tasks.values().filter(|it| it.accepted.iter().any(|it| it.1 == outcome)).count();
    assert_eq!((of(done()), of(Outcome::Released)), (5, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_cannot_hold_up_the_end() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "block", Spec::default());
    let (unblock, blocked) = std::sync::mpsc::channel::<()>();
    let (blocked, began) = (Arc::new(std::sync::Mutex::new(blocked)), Arc::new(AtomicBool::new(false)));
    let beginning = Arc::clone(&began);
    let block = handler("block", move |_, _| {
        let (blocked, began) = (Arc::clone(&blocked), Arc::clone(&beginning));
        async move {
            began.store(true, Ordering::Release);
            let _ended = blocked.lock().unwrap().recv();
            done()
        }
    });
    let options = Options { slots: 1, stop_grace: Duration::ZERO, ..Options::default() };
    let runner = Runner::start(Arc::clone(&server) as Arc<dyn LeaseSource>, vec![block], options);
    // One that has not begun is given back, and nobody is stopped.
    while !began.load(Ordering::Acquire) {
        tokio::task::yield_now().await;
    }
    let drained = runner.drain(Duration::ZERO).await;
    assert_eq!(drained, Drained { stopped: 1, unreported: 0 });
    assert_eq!(server.state().task(0).accepted.iter().map(|it| &it.1).collect::<Vec<_>>(), [&Outcome::Released]);
    drop(unblock);
}

/// Counts itself while it lives.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_leaves_nothing_running() {
    let server = FakeServer::new(Script::default());
    server.add(0..5, "deaf", Spec::default());
    let alive = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&alive);
    let deaf = handler("deaf", move |_, context| {
        count.fetch_add(1, Ordering::Relaxed);
        let alive = Alive(Arc::clone(&count));
        async move {
            context.progress(Default::default());
            context.progress(Default::default());
            let _alive = alive;
            std::future::pending().await
        }
    });
    let runner = start(&server, deaf, 5);
    sleep(secs(1)).await;
    assert_eq!(alive.load(Ordering::Relaxed), 5);
    drop(runner);
    sleep(secs(5)).await;
    assert_eq!(alive.load(Ordering::Relaxed), 0);
    assert_eq!(Arc::strong_count(&server), 1, "the loops and all they shared are gone");
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_brings_at_the_moment_of_a_drain_is_given_back() {
    for round in 0..20 {
        let (server, gate) = (FakeServer::new(Script::default()), Arc::new(Notify::new()));
        server.state().gate = Some(Arc::clone(&gate));
        server.add(0..1, "nap", Spec::default());
        let runner = start(&server, nap(secs(5)), 1);
        server.until(|state| state.task(0).lease.is_some()).await;
        // Both are there when the pump looks.
        gate.notify_one();
        runner.drain(secs(10)).await;
        let state = server.state();
        assert!(state.task(0).lease.is_none() && !state.task(0).accepted.is_empty(), "round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn runners_drain_at_once() {
    let mut runners = Vec::new();
    for _ in 0..3 {
        let server = FakeServer::new(Script::default());
        server.add(0..1, "long", Spec::default());
        let long = handler("long", |_, _| async {
            sleep(secs(20)).await;
            done()
        });
        runners.push(start(&server, long, 1));
    }
    sleep(secs(1)).await;
    let before = Instant::now();
    let drained = drain_all(runners, secs(60)).await;
    assert!(drained.len() == 3 && drained.iter().all(|it| (it.stopped, it.unreported) == (0, 0)), "{drained:?}");
    assert!(before.elapsed() < secs(20), "{:?}", before.elapsed());
}
