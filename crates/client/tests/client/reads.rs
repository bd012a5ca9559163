//! Reads, waits and actions by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tasklane_client::{Error, FailureKind, List, State, TaskId, task_id};

use crate::stub::{Seen, Stub, answer, id, problem, task};

fn one() -> TaskId {
    task_id(&id(1)).unwrap()
}

#[tokio::test]
async fn a_wait_asks_again_until_the_task_is_final() {
    let asked = Arc::new(AtomicUsize::new(0));
    let stub = Stub::start(move |_| {
        let n = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            let done = json!({"result": {"words": 3}});
            if n < 2 { answer(200, &task(1, "running", &json!({}))) } else { answer(200, &task(1, "succeeded", &done)) }
        }
    })
    .await;
    let result: serde_json::Value = stub.client().result(one(), Duration::from_secs(90)).await.unwrap();
    assert_eq!(result, json!({"words": 3}));
    let lines: Vec<_> = stub.seen().into_iter().map(|it| it.line).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], format!("GET /v1/tasks/{}?wait=1m", id(1)), "one wait is at most a minute");
    assert!(lines[2].starts_with(&format!("GET /v1/tasks/{}?wait=", id(1))));
}

#[tokio::test]
async fn a_wait_outlives_a_server_that_is_away_for_a_while() {
    let asked = Arc::new(AtomicUsize::new(0));
    let stub = Stub::start(move |_| {
        let n = asked.fetch_add(1, Ordering::Relaxed);
        let away = problem(503, "store_away", "the store is away");
        let first = if n == 0 { answer(503, &away) } else { answer(200, &task(1, "succeeded", &json!({"result": 3}))) };
        std::future::ready(first)
    })
    .await;
    assert_eq!(stub.client().result::<u8>(one(), Duration::from_secs(30)).await.unwrap(), 3);
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = tasklane_client::Client::builder().url(format!("http://{nobody}")).build().unwrap();
    let error = client.wait(one(), Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_result_that_is_not_there_has_its_own_errors() {
    let stub = Stub::start(|_| async { answer(200, &task(1, "waiting", &json!({}))) }).await;
    let error = stub.client().result::<u8>(one(), Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::NotFinished { state: State::Waiting, .. }), "{error:?}");
    assert_eq!(stub.client().wait(one(), Duration::ZERO).await.unwrap().state, State::Waiting);

    let failure = json!({"failure": {"kind": "permanent", "message": "no such file", "retryable": false}});
    let stub = Stub::start(move |_| std::future::ready(answer(200, &task(1, "failed", &failure)))).await;
    let error = stub.client().result::<u8>(one(), Duration::ZERO).await.unwrap_err();
    assert_eq!(error.to_string(), format!("task {} failed: no such file (permanent)", id(1)));
    match error {
        Error::TaskFailed { state: State::Failed, failure: Some(failure), .. } => {
            assert_eq!((failure.kind, &*failure.message), (FailureKind::Permanent, "no such file"));
        }
        other => panic!("{other:?}"),
    }

    let text = json!({"result": "text"});
    let stub = Stub::start(move |_| std::future::ready(answer(200, &task(1, "succeeded", &text)))).await;
    let error = stub.client().result::<u8>(one(), Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::Answer(_)), "{error:?}");
}

#[tokio::test]
async fn actions_and_lists_name_what_they_mean() {
    let stub = Stub::start(|seen: Seen| async move {
        let counts = json!({"scheduled": 0, "blocked": 0, "queued": 1, "running": 0, "waiting": 0, "retrying": 0});
        let queue = json!({"name": "a/b", "state": "paused", "counts": counts, "verdict": "paused"});
        match &*seen.line {
            line if line.contains("/queues/") => answer(200, &queue),
            "GET /v1/queues" => answer(200, &json!({"items": [queue], "next_cursor": "n=1"})),
            line if line.contains("/queues?") => answer(200, &json!({"items": [queue]})),
            line if line.starts_with("GET /v1/tasks?") => {
                answer(200, &json!({"items": [task(1, "queued", &json!({}))]}))
            }
            line if line.ends_with(":retry") => answer(409, &problem(409, "invalid_transition", "it runs")),
            _ => answer(200, &task(1, "cancelled", &json!({}))),
        }
    })
    .await;
    let client = stub.client();
    assert_eq!(client.cancel(one()).await.unwrap().state, State::Cancelled);
    assert_eq!(client.retry(one()).await.unwrap_err().code(), Some("invalid_transition"));
    client.rerun(one()).await.unwrap();
    client.delete(one()).await.unwrap();
    assert_eq!(client.pause("a/b").await.unwrap().counts.queued, 1);
    assert_eq!(client.queues().await.unwrap().len(), 2, "both pages");
    let list = List::all().state(State::Queued).label("k", "a b&c").limit(5);
    assert_eq!(client.list(&list).await.unwrap().items.len(), 1);
    let lines: Vec<_> = stub.seen().into_iter().map(|it| it.line).collect();
    let task = format!("/v1/tasks/{}", id(1));
    let expected = [
        format!("POST {task}:cancel"),
        format!("POST {task}:retry"),
        format!("POST {task}:rerun"),
        format!("DELETE {task}"),
        "POST /v1/queues/a%2Fb:pause".into(),
        "GET /v1/queues".into(),
        "GET /v1/queues?cursor=n%3D1".into(),
        "GET /v1/tasks?state=queued&label.k=a%20b%26c&limit=5".into(),
    ];
    assert_eq!(lines, expected);
}
