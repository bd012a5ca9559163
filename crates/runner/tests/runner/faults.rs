//! A server that loses requests and answers, goes away and refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::lease::mix;
use tasklane_core::outcome::Outcome;
use tasklane_core::task::Spec;
use tokio::time::{Instant, sleep};

use crate::fake::{FakeServer, Handler, Script, done, handler, id, secs, start};

/// Ends at once, after a while, or with a panic, as the id says; counts how many run at once.
fn mixed(most: &Arc<AtomicUsize>) -> Arc<Handler> {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::clone(most));
    handler("mixed", move |task, context| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            let n = mix(task.facts.id.0.as_u128() as u64, 0);
            most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            context.progress(Default::default());
            match n % 10 {
                0..6 => {}
                6 => tokio::task::yield_now().await,
                7 => sleep(Duration::from_millis(n % 3000)).await,
                _ => sleep(secs(n % 100)).await,
            }
            running.fetch_sub(1, Ordering::Relaxed);
            assert!(!n.is_multiple_of(7), "as the script says");
            done()
        }
    })
}

#[tokio::test(start_paused = true)]
async fn whatever_is_lost_on_the_way_every_task_ends_once() {
    for seed in 0..30 {
        let latency = Duration::from_millis(mix(seed, 1) % 2000);
        let (lose_request, lose_answer) = (seed % 4 * 10, seed % 5 * 10);
        let server = FakeServer::new(Script { seed, lose_request, lose_answer, latency, impatient: seed % 3 == 1 });
        server.add(0..300, "mixed", Spec::default());
        let most = Arc::default();
        let runner = start(&server, mixed(&most), 20);
        server.all_done().await;
        let state = server.state();
        for (id, task) in &state.tasks {
            let ends = task.accepted.iter().filter(|it| it.1 != Outcome::Released).count();
            assert_eq!(ends, 1, "seed {seed}, task {id}: {task:?}");
        }
        assert!(most.load(Ordering::Relaxed) <= 20, "seed {seed}: never more at once than slots");
        if seed % 20 == 0 {
            let unheard: u32 = state.tasks.values().map(|it| it.expired).sum();
            assert_eq!((state.lost, unheard), (0, 0), "seed {seed}: nothing was lost on the way");
        }
        drop(state);
        drop(runner);
    }
}

#[tokio::test(start_paused = true)]
async fn outcomes_outlive_an_outage_and_slots_bound_them() {
    let server = FakeServer::new(Script::default());
    server.add(0..50, "nap", Spec::default());
    let nap = handler("nap", |_, _| async {
        sleep(secs(2)).await;
        done()
    });
    let runner = start(&server, nap, 20);
    sleep(secs(1)).await;
    server.set_away(true);
    sleep(secs(20)).await;
    server.set_away(false);
    let back = Instant::now();
    server.until(|state| state.tasks.values().filter(|it| it.outcome().is_some()).count() >= 20).await;
    assert!(back.elapsed() <= secs(5), "back-off is at most five seconds");
    assert_eq!(server.state().most_leased, 20);
    server.all_done().await;
    assert!(server.state().tasks.values().all(|it| it.attempt == 1));
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_let_wishes_wait_is_not_stormed() {
    let server = FakeServer::new(Script { impatient: true, latency: Duration::from_millis(2), ..Script::default() });
    let nap = handler("nap", |_, _| async {
        sleep(Duration::from_millis(777)).await;
        done()
    });
    let runner = start(&server, nap, 20);
    sleep(secs(100)).await;
    // The pause grows to a second at most.
    let exchanges = server.state().exchanges;
    assert!((100..400).contains(&exchanges), "{exchanges} exchanges in 100 s");
    server.add(0..1, "nap", Spec::default());
    server.until(|state| state.task(0).lease.is_some()).await;
    let leased = Instant::now();
    server.all_done().await;
    assert!(leased.elapsed().as_millis() <= 777 + 5, "reported at once all the same");
    drop(runner);
}

#[tokio::test(start_paused = true)]
async fn a_refused_outcome_does_not_take_the_others_with_it() {
    let server = FakeServer::new(Script::default());
    let poison = Bytes::from_static(b"poison");
    server.state().refuses = Some(poison.clone());
    server.add(0..100, "odd", Spec::default());
    let odd = handler("odd", move |task, _| {
        let poison = poison.clone();
        async move { if task.facts.id == id(37) { Outcome::Succeeded(poison) } else { done() } }
    });
    let runner = start(&server, odd, 100);
    server.until(|state| state.tasks.values().filter(|it| it.outcome().is_some()).count() == 99).await;
    assert!(server.state().task(37).outcome().is_none());
    drop(runner);
}
