//! A worker of several servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::Response;
use serde_json::{Value, json};
use tasklane_client::worker::Options;
use tasklane_client::{Client, Error, HandlerError, TaskContext, Worker};
use tasklane_core::lease::{LeaseKey, Token, mix};
use tasklane_wire::{lease, read};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::stub::{Seen, Stub, answer, id, problem};

fn nothing() -> Response {
    answer(200, &json!({"lost": [], "cancel": [], "tasks": []}))
}

/// The one task there is.
fn task() -> Response {
    let key = LeaseKey { id: read::task_id(&id(1)).unwrap(), attempt: 1, token: Token(7) };
    let task = json!({"id": id(1), "type": "nap", "queue": "q", "payload": null, "attempt": 1, "lease": &*lease::encode(&key)});
    answer(200, &json!({"tasks": [task], "cancel": []}))
}

fn members(report: &Value, list: &str) -> usize {
    report[list].as_array().map_or(0, Vec::len)
}

/// A server that takes reports and has no work; tells how many items of a list it was told.
async fn taker(list: &'static str) -> (Stub, watch::Receiver<usize>) {
    let (told, heard) = watch::channel(0);
    let told = Arc::new(told);
    let stub = Stub::start(move |seen: Seen| {
        let told = Arc::clone(&told);
        async move {
            if seen.is("POST /v1/leases") && seen.json()["wait"] != "0s" {
                std::future::pending::<()>().await;
            }
            told.send_modify(|it| *it += members(&seen.json(), list));
            nothing()
        }
    })
    .await;
    (stub, heard)
}

/// A worker of two servers that begins with the first.
fn worker_of(first: &Stub, second: &Stub, wait: Duration) -> Worker {
    let seed = (0..).find(|seed| mix(*seed, 1) % 2 == 1);
    first.client().worker().or_server(&second.client()).options(Options { seed, wait, ..Options::default() })
}

/// What the second server was asked by the end.
async fn moves_on_from_one_that_falls_silent(lease: Duration) -> Vec<Seen> {
    let asked = Arc::new(AtomicUsize::new(0));
    let first = Stub::start(move |_| {
        let nth = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            if nth > 0 {
                std::future::pending::<()>().await;
            }
            nothing()
        }
    })
    .await;
    let (second, mut asked) = taker("lanes").await;
    let worker = worker_of(&first, &second, Duration::from_secs(1)).handle("nap", nap).lease(lease);
    worker.run_until(async { drop(asked.wait_for(|it| *it > 0).await) }).await.unwrap();
    second.seen()
}

#[tokio::test]
async fn an_idle_worker_misses_a_server_that_falls_silent_soon_after_the_wait_it_asked_for() {
    let began = Instant::now();
    assert!(!moves_on_from_one_that_falls_silent(Duration::from_secs(60)).await.is_empty());
    // One second, and what an answer may take beyond it; a client alone would have waited for thirty more.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

async fn nap(context: TaskContext, (): ()) -> Result<(), HandlerError> {
    tokio::select! {
        () = sleep(Duration::from_secs(3)) => Ok(()),
        () = context.cancelled() => Err(HandlerError::cancelled()),
    }
}

#[tokio::test]
async fn what_one_server_cannot_take_now_another_is_told() {
    // The first hands out the task, and is closed for good then.
    let asked = Arc::new(AtomicUsize::new(0));
    let first = Stub::start(move |_| {
        let nth = asked.fetch_add(1, Ordering::Relaxed);
        async move { if nth == 0 { task() } else { answer(503, &problem(503, "unavailable", "the store is away")) } }
    })
    .await;
    let (second, mut succeeded) = taker("succeed").await;
    let worker = worker_of(&first, &second, Duration::from_secs(20)).handle("nap", |_, (): ()| async { Ok(()) });
    let drained = worker.run_until(async { drop(succeeded.wait_for(|it| *it > 0).await) }).await.unwrap();
    assert_eq!((*succeeded.borrow(), drained.unreported), (1, 0));
}

#[tokio::test]
async fn a_lease_is_renewed_elsewhere_where_its_server_answers_nothing_any_more() {
    let asked = Arc::new(AtomicUsize::new(0));
    let first = Stub::start(move |_| {
        let nth = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            if nth > 0 {
                std::future::pending::<()>().await;
            }
            task()
        }
    })
    .await;
    let (second, mut renewed) = taker("renew").await;
    let lease = Duration::from_secs(5);
    let worker = worker_of(&first, &second, Duration::from_secs(20)).handle("nap", nap).lease(lease);
    let began = Instant::now();
    let renewal = async {
        drop(renewed.wait_for(|it| *it > 0).await);
        assert!(began.elapsed() < lease, "the attempt was not stopped for it");
        let waits = || second.seen().iter().any(|it| it.is("POST /v1/leases"));
        while !waits() && began.elapsed() < 3 * lease {
            sleep(Duration::from_millis(10)).await;
        }
        assert!(began.elapsed() < Duration::from_secs(3), "the wish that waits at the first is given up");
    };
    let drained = worker.run_until(renewal).await.unwrap();
    assert_eq!(drained.stopped, 0, "it ended by itself");
    let ended = second.seen().into_iter().filter(|it| it.is("POST /v1/reports")).map(|it| it.json());
    assert_eq!(ended.map(|it| members(&it, "succeed")).sum::<usize>(), 1);
}

#[tokio::test]
async fn a_worker_is_asked_for_what_it_can() {
    let client = Client::builder().build().unwrap();
    let worker = || client.worker().handle("a", |_, (): ()| async { Ok(()) });
    let odd = worker().only(&["b"]).run_until(std::future::pending()).await;
    assert!(matches!(&odd, Err(Error::Invalid(why)) if why.contains("\"b\"")), "{odd:?}");
    let long = worker().label(&"x".repeat(200)).run_until(std::future::pending()).await;
    assert!(matches!(long, Err(Error::Invalid(_))), "{long:?}");
}

#[tokio::test]
async fn what_is_served_and_how_it_is_called_is_announced() {
    let (stub, _) = taker("renew").await;
    let worker = stub.client().worker().handle("a", |_, (): ()| async { Ok(()) });
    let worker = worker.handle("b", |_, (): ()| async { Ok(()) }).only(&["b"]).name("w").label("x=1").label("y=2");
    let asked = async {
        while stub.seen().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    worker.run_until(asked).await.unwrap();
    let wish = stub.seen()[0].json();
    assert_eq!((&wish["worker"], &wish["lanes"][0]["types"]), (&json!("w x=1 y=2"), &json!(["b"])));
}
