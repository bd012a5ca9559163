//! What happens to tasks when nothing fails but the handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::limit;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::task::Spec;
use tokio::time::{Instant, sleep};

use crate::fake::{FakeServer, Script, done, handler, secs, start};

fn failure(outcome: Option<&Outcome>) -> (FailureKind, String, bool) {
    match outcome {
        Some(Outcome::Failed { failure, .. }) => (failure.kind, failure.message.clone(), failure.retryable),
        other => panic!("not a failure: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_makes_one_round_trip_a_batch() {
    let server = FakeServer::new(Script { latency: Duration::from_millis(2), ..Script::default() });
    server.add(0..10_000, "noop", Spec::default());
    let runner = start(&server, handler("noop", |_, _| async { done() }), 1500);
    server.all_done().await;
    // 20 batches of 500, and the few exchanges of the beginning and the end.
    assert!(server.state().exchanges <= 26, "{} exchanges", server.state().exchanges);
    assert_eq!(server.state().lost, 0);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn slots_bound_what_is_leased() {
    let server = FakeServer::new(Script { latency: Duration::from_millis(3), ..Script::default() });
    server.add(0..300, "nap", Spec::default());
    let running = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let count = Arc::clone(&running);
    let nap = handler("nap", move |task, _| {
        let count = Arc::clone(&count);
        async move {
            count.1.fetch_max(count.0.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            sleep(Duration::from_millis(task.facts.id.0.as_u128() as u64 % 40)).await;
            count.0.fetch_sub(1, Ordering::Relaxed);
            done()
        }
    });
    let runner = start(&server, nap, 7);
    server.all_done().await;
    assert_eq!((running.1.load(Ordering::Relaxed), server.state().most_leased), (7, 7));
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_parks_one_wish_and_reports_at_once_beside_it() {
    let server = FakeServer::new(Script::default());
    let runner = start(
        &server,
        handler("nap", |_, _| async {
            sleep(secs(3)).await;
            done()
        }),
        10,
    );
    sleep(secs(50)).await;
    let wants: Vec<_> = server.state().open_wants.iter().map(|it| (it.limit, it.wait)).collect();
    assert_eq!(wants, [(10, secs(20))]);
    // The first does not wait, to learn whether somebody is there.
    assert_eq!(server.state().exchanges, 4);
    let began = Instant::now();
    server.add(0..1, "nap", Spec::default());
    server.all_done().await;
    assert_eq!(began.elapsed(), secs(3));
    let wants: Vec<_> = server.state().open_wants.iter().map(|it| (it.limit, it.wait)).collect();
    assert_eq!(wants, [(9, secs(20))]);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_of_its_attempt_alone() {
    let server = FakeServer::new(Script::default());
    server.add(0..40, "boom", Spec::default());
    let boom = handler("boom", |task, _| {
        let n = task.facts.id.0.as_u128();
        assert!(n % 4 != 1, "when called {n}");
        async move {
            assert!(n % 4 != 2, "when first polled {n}");
            sleep(secs(1)).await;
            assert!(n % 4 != 3, "when polled again {n}");
            done()
        }
    });
    let runner = start(&server, boom, 10);
    server.all_done().await;
    let state = server.state();
    assert_eq!(state.task(0).outcome(), Some(&done()));
    let expect = |n: usize, when: &str| {
        let message = format!("the handler panicked: {when} {n}");
        assert_eq!(failure(state.task(n).outcome()), (FailureKind::Error, message, true));
    };
    expect(1, "when called");
    expect(2, "when first polled");
    expect(3, "when polled again");
    drop(runner);
}

/// Panics when it is dropped.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        panic!("mine");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_while_dropped_does_not_keep_its_slot() {
    let server = FakeServer::new(Script::default());
    let spec = Spec { attempt_timeout: Some(secs(5)), ..Spec::default() };
    server.add(0..3, "mine", spec);
    let mine = handler("mine", |task, _| {
        let mine = Mine;
        async move {
            let _mine = mine;
            if task.facts.id.0.as_u128() == 1 {
                return done();
            }
            std::future::pending().await
        }
    });
    let runner = start(&server, mine, 1);
    server.all_done().await;
    assert_eq!(failure(server.state().task(0).outcome()).0, FailureKind::Timeout);
    assert_eq!(failure(server.state().task(1).outcome()).0, FailureKind::Error);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_at_its_timeout() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "long", Spec { attempt_timeout: Some(secs(90)), ..Spec::default() });
    let began = Instant::now();
    let runner = start(&server, handler("long", |_, _| std::future::pending()), 1);
    server.all_done().await;
    assert_eq!(began.elapsed(), secs(90));
    let (kind, message, retryable) = failure(server.state().task(0).outcome());
    assert_eq!((kind, retryable), (FailureKind::Timeout, true));
    assert!(message.contains("attempt_timeout of 90s"), "{message}");
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_result_over_the_limit_is_a_permanent_failure() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "big", Spec::default());
    let big = handler("big", |_, _| async { Outcome::Succeeded(Bytes::from(vec![b'1'; limit::PAYLOAD_BYTES + 1])) });
    let runner = start(&server, big, 1);
    server.all_done().await;
    assert_eq!(failure(server.state().task(0).outcome()).0, FailureKind::Permanent);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn results_go_in_reports_of_bounded_size_and_hold_their_slots_until_then() {
    let server = FakeServer::new(Script { latency: secs(1), ..Script::default() });
    server.add(0..200, "big", Spec::default());
    let big = Outcome::Succeeded(Bytes::from(vec![b'1'; limit::PAYLOAD_BYTES]));
    let runner = start(&server, handler("big", move |_, _| std::future::ready(big.clone())), 40);
    server.all_done().await;
    // 25 exchanges of 8 MiB, and one for the first leases.
    assert!(server.state().exchanges >= 26, "{} exchanges", server.state().exchanges);
    assert_eq!(server.state().most_leased, 40);
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_type_nobody_serves_is_given_back_unhurriedly() {
    let server = FakeServer::new(Script::default());
    server.add(0..1, "strange", Spec::default());
    let runner = start(&server, handler("noop", |_, _| async { done() }), 1);
    sleep(Duration::from_millis(10_500)).await;
    let state = server.state();
    let accepted = &state.task(0).accepted;
    assert!(accepted.iter().all(|(_, outcome, _)| *outcome == Outcome::Released));
    assert_eq!(accepted.len(), 10);
    drop(state);
    drop(runner);
}
