//! Submits, alone and together.

use std::time::Duration;

use axum::response::Response;
use serde_json::{Value, json};
use tasklane_client::{Client, Error, NewTask, Retry, State, UniquePolicy, task_id};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::stub::{Seen, Stub, answer, id, problem};

/// Accepts tasks with numbers for payloads; the number comes back in the id.
async fn accept(seen: Seen) -> Response {
    let tasks = seen.json();
    let accepted = tasks.as_array().unwrap().iter().map(|task| match task["type"].as_str() {
        Some("bad") => json!({"error": problem(422, "invalid", "no such priority")}),
        _ => json!({"id": id(task["payload"].as_u64().unwrap() as usize), "state": "queued"}),
    });
    answer(200, &json!({"tasks": accepted.collect::<Vec<_>>()}))
}

fn refused(error: Error) -> (u16, String, Option<Duration>) {
    match error {
        Error::Refused { problem, retry_after } => (problem.status, problem.code.clone(), retry_after),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn submits_made_at_once_travel_together_and_each_gets_its_own_answer() {
    let stub = Stub::start(accept).await;
    let client = stub.client();
    let callers: Vec<_> = (0..2500)
        .map(|n: usize| {
            let client = client.clone();
            let task_type = if n % 10 == 3 { "bad" } else { "good" };
            tokio::spawn(async move { client.submit(NewTask::new(task_type, &n)).await })
        })
        .collect();
    for (n, caller) in callers.into_iter().enumerate() {
        match caller.await.unwrap() {
            Ok(submitted) => {
                assert_ne!(n % 10, 3);
                assert_eq!((submitted.id.to_string(), submitted.state), (id(n), State::Queued));
            }
            Err(error) => {
                assert_eq!(n % 10, 3);
                assert_eq!(error.code(), Some("invalid"));
            }
        }
    }
    let sizes: Vec<_> = stub.seen().iter().map(|it| it.json().as_array().unwrap().len()).collect();
    assert!(sizes.len() <= 6 && sizes.iter().all(|it| *it <= 1000), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 2500);
    assert!(stub.seen().iter().all(|it| it.is("POST /v1/tasks:batch?atomic=false")));
}

#[tokio::test]
async fn while_three_requests_are_in_flight_the_next_one_gathers() {
    let (release, gate) = watch::channel(false);
    let stub = Stub::start(move |seen: Seen| {
        let mut gate = gate.clone();
        async move {
            if seen.is("GET /beside") {
                return answer(200, &Value::Null);
            }
            gate.wait_for(|it| *it).await.unwrap();
            accept(seen).await
        }
    })
    .await;
    let client = stub.client();
    let submits = || stub.seen().into_iter().filter(|it| !it.is("GET /beside")).collect::<Vec<_>>();
    let mut callers = Vec::new();
    for n in 0..10 {
        let task = NewTask::new("t", &n);
        let submitting = client.clone();
        callers.push(tokio::spawn(async move { submitting.submit(task).await }));
        // Each of the first three is let out before the next comes; the others have the time of a round trip for it.
        client.get_json("/beside").await.unwrap();
        while submits().len() <= n.min(2) {
            tokio::task::yield_now().await;
        }
    }
    release.send_replace(true);
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let sizes: Vec<_> = submits().iter().map(|it| it.json().as_array().unwrap().len()).collect();
    assert_eq!(sizes, [1, 1, 1, 7]);
}

#[tokio::test]
async fn requests_are_of_bounded_size() {
    let size = 1 << 20;
    let stub = Stub::start(|seen: Seen| async move {
        let accepted = vec![json!({"id": id(1), "state": "queued"}); seen.json().as_array().unwrap().len()];
        answer(200, &json!({"tasks": accepted}))
    })
    .await;
    let client = stub.client();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.submit(NewTask::new("t", &"x".repeat(size))).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let sizes: Vec<_> = stub.seen().iter().map(|it| it.body.len()).collect();
    assert!(sizes.iter().all(|it| *it <= 8 * size + 1024), "{sizes:?}");
    assert_eq!(sizes.len(), 3, "{sizes:?}");
}

#[tokio::test]
async fn a_task_that_spoils_the_whole_request_is_the_only_one_refused() {
    let stub = Stub::start(|seen: Seen| async move {
        let spoilt = seen.json().as_array().unwrap().iter().any(|it| it["payload"] == 13);
        if spoilt { answer(413, &problem(413, "too_large", "too large")) } else { accept(seen).await }
    })
    .await;
    let client = stub.client();
    let callers: Vec<_> = (0..40)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.submit(NewTask::new("t", &n)).await })
        })
        .collect();
    for (n, caller) in callers.into_iter().enumerate() {
        let answered = caller.await.unwrap();
        assert_eq!(answered.is_err(), n == 13, "{n}: {answered:?}");
    }
}

#[tokio::test]
async fn what_the_server_says_no_with_is_told() {
    let stub = Stub::start(|_| async {
        let mut response = answer(503, &problem(503, "store_away", "the store is away"));
        response.headers_mut().insert("retry-after", "7".parse().unwrap());
        response
    })
    .await;
    let error = stub.client().submit(NewTask::new("t", &1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the store is away (store_away)");
    assert_eq!(refused(error), (503, "store_away".into(), Some(Duration::from_secs(7))));
    let stub = Stub::start(|_| async { Response::builder().status(502).body("<html>".into()).unwrap() }).await;
    let error = stub.client().submit(NewTask::new("t", &1)).await.unwrap_err();
    assert_eq!(refused(error), (502, "http_error".into(), None));
}

#[tokio::test]
async fn without_a_connection_nothing_was_done_and_without_an_answer_nobody_knows() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::builder().url(&url).build().unwrap();
    let cut = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.read_u8().await.unwrap();
    });
    let error = client.submit(NewTask::new("t", &1)).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    cut.await.unwrap();
    let error = client.submit(NewTask::new("t", &1)).await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { url: it, .. } if *it == url), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_an_unknown_outcome() {
    let stub = Stub::start(|_| std::future::pending()).await;
    let client = Client::builder().url(&stub.url).timeout(Duration::from_millis(50)).build().unwrap();
    let error = client.submit(NewTask::new("t", &1)).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    let error = client.task(task_id(&id(1)).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "a read changes nothing: {error:?}");
}

#[tokio::test]
async fn an_answer_with_too_few_items_is_an_unknown_outcome() {
    let stub = Stub::start(|_| async { answer(200, &json!({"tasks": []})) }).await;
    let error = stub.client().submit(NewTask::new("t", &1)).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    let error = stub.client().submit_batch(vec![NewTask::new("t", &1)]).await.unwrap_err();
    assert!(matches!(error, Error::Answer(_)), "{error:?}");
}

#[tokio::test]
async fn a_payload_that_is_no_json_is_never_sent() {
    let stub = Stub::start(accept).await;
    let keys_are_no_strings = std::collections::BTreeMap::from([((1, 2), 3)]);
    for task in [NewTask::json("t", "{"), NewTask::json("t", "1e400"), NewTask::new("t", &keys_are_no_strings)] {
        let error = stub.client().submit(task.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        let error = stub.client().submit_batch(vec![NewTask::new("t", &1), task]).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    }
    assert!(stub.seen().is_empty());
}

#[tokio::test]
async fn a_batch_is_one_submission() {
    let stub = Stub::start(accept).await;
    let client = Client::builder().url(format!("{}/", stub.url)).api_key("sesame").build().unwrap();
    let submitted = client.submit_batch((0..3).map(|n| NewTask::new("t", &n)).collect()).await.unwrap();
    assert_eq!(submitted.iter().map(|it| it.id.to_string()).collect::<Vec<_>>(), [id(0), id(1), id(2)]);
    assert_eq!(client.submit_batch(Vec::new()).await.unwrap(), []);
    let seen = stub.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].is("POST /v1/tasks:batch"));
    assert_eq!(seen[0].authorization.as_deref(), Some("Bearer sesame"));
    let too_many = (0..10_001).map(|n| NewTask::new("t", &n)).collect();
    assert!(matches!(client.submit_batch(too_many).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn everything_said_about_a_task_is_sent() {
    let stub = Stub::start(accept).await;
    let second = Duration::from_secs(1);
    let delays = Retry::Delays { delays: vec![5 * second, 60 * second], jitter: false };
    let task = NewTask::json("word.count", "7")
        .id(task_id(&id(7)).unwrap())
        .queue("texts")
        .priority(10)
        .delay(90 * second)
        .start_deadline(second)
        .deadline(3600 * second)
        .attempt_timeout(2 * second)
        .heartbeat_timeout(3 * second)
        .max_attempts(5)
        .retry(delays)
        .tenant("acme")
        .label("a", "b")
        .unique("u", UniquePolicy::Reject)
        .idempotency_key("i");
    stub.client().submit(task).await.unwrap();
    let expected = json!([{
        "type": "word.count", "payload": 7, "id": id(7), "queue": "texts", "priority": 10, "delay": "1m30s",
        "start_deadline": "1s", "deadline": "1h", "attempt_timeout": "2s", "heartbeat_timeout": "3s", "max_attempts": 5,
        "retry": {"delays": ["5s", "1m"], "jitter": false}, "tenant": "acme", "labels": {"a": "b"},
        "unique": {"key": "u", "policy": "reject"}, "idempotency_key": "i",
    }]);
    assert_eq!(stub.seen()[0].json(), expected);
    let at = std::time::UNIX_EPOCH + Duration::from_millis(1_500);
    stub.client().submit(NewTask::new("t", &1).run_at(at)).await.unwrap();
    let sent: Value = stub.seen()[1].json();
    assert_eq!(sent, json!([{"type": "t", "payload": 1, "run_at": "1970-01-01T00:00:01.5Z"}]));
}

#[tokio::test]
async fn what_is_no_url_or_key_is_told_before_anything_is_sent() {
    for url in ["", "localhost:8000", "ftp://x", "http://x/?a=b", "unix:/x"] {
        assert!(matches!(Client::builder().url(url).build(), Err(Error::Invalid(_))), "{url}");
    }
    assert!(matches!(Client::builder().api_key("a\nb").build(), Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_runtime_that_ends_takes_no_others_submits_with_it() {
    let stub = Stub::start(|seen: Seen| async move {
        if seen.json()[0]["payload"] == 0 {
            std::future::pending::<()>().await;
        }
        accept(seen).await
    })
    .await;
    let client = stub.client();
    for round in 1..=4 {
        let other = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let submitting = client.clone();
        let unheard = other.spawn(async move { submitting.submit(NewTask::new("t", &0)).await });
        while stub.seen().len() < 2 * round - 1 {
            tokio::task::yield_now().await;
        }
        other.shutdown_background();
        unheard.await.unwrap_err();
        let submitted = client.submit(NewTask::new("t", &round)).await.unwrap();
        assert_eq!(submitted.id.to_string(), id(round));
    }
}
