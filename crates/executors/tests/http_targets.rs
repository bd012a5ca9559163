//! Tasks posted to a real server of loopback, and what becomes of them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tasklane_core::accept::{Deadlines, NewTask, Start, UniquePolicy};
use tasklane_core::gate::Limit;
use tasklane_core::lease::Leased;
use tasklane_core::outcome::{Failure, FailureKind, Outcome};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::{Context, Executor};
use tasklane_core::task::{Lane, Progress, Scope, Spec, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_executors::http::{HttpTargets, Target};
use tasklane_outbound::{Error, Guard, Outbound};
use tokio::net::TcpListener;

struct Undisturbed;

impl Context for Undisturbed {
    fn progress(&self, _: Progress) {}

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

struct Cancelled;

impl Context for Cancelled {
    fn progress(&self, _: Progress) {}

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

fn task() -> Arc<Leased> {
    let spec = Spec { traceparent: Some("00-aa".into()), ..Spec::default() };
    let new = NewTask {
        id: TaskId::from_bytes([7; 16]),
        lane: Lane::new("q", "t"),
        scope: Scope::native(),
        payload: Bytes::from_static(b"{\"a\": [1, 2]}"),
        start: Start::Now,
        priority: 0,
        limits: Limit::none(),
        spec: Arc::new(spec),
        deadlines: Deadlines::default(),
        unique_policy: UniquePolicy::default(),
        idempotency: None,
    };
    let task = new.into_task(Timestamp::default());
    let mut facts = task.facts;
    facts.attempt = 2;
    Arc::new(Leased { facts, payload: task.payload, waited: Duration::ZERO, checkpoints: Vec::new() })
}

async fn server(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn targets(url: &str, guard: &str) -> Result<HttpTargets, (Box<str>, Error)> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer s"))]);
    let target = Target { url: url.into(), headers, timeout: Duration::from_secs(5) };
    let outbound = Outbound::new(Guard::allowing(guard).unwrap());
    HttpTargets::new(BTreeMap::from([("t".into(), target)]), outbound)
}

async fn outcome(status: StatusCode, headers: &[(http::HeaderName, &str)], body: impl Into<Bytes>) -> Outcome {
    let headers: HeaderMap = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    let body: Bytes = body.into();
    let router = Router::new().route("/", post(move || async move { (status, headers, body) }));
    let targets = targets(&server(router).await, "127.0.0.1").unwrap();
    targets.run(task(), Arc::new(Undisturbed)).await
}

fn failure(outcome: &Outcome) -> (&Failure, Option<Duration>) {
    match outcome {
        Outcome::Failed { failure, retry_after } => (failure, *retry_after),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_task_is_posted_and_the_answer_is_its_result() {
    let echo = |headers: HeaderMap, body: Bytes| async move {
        let told = |name: &str| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_slice(&body).unwrap();
        let names = ["idempotency-key", "tasklane-attempt", "traceparent", "authorization", "content-type"];
        Bytes::from(json!({ "headers": names.map(told), "body": body }).to_string())
    };
    let url = server(Router::new().route("/", post(echo))).await;
    let outcome = targets(&url, "127.0.0.1").unwrap().run(task(), Arc::new(Undisturbed)).await;
    let Outcome::Succeeded(result) = outcome else { panic!("{outcome:?}") };
    let id = "07070707-0707-0707-0707-070707070707";
    let expected = json!({
        "headers": [id, "2", "00-aa", "Bearer s", "application/json"],
        "body": { "id": id, "type": "t", "queue": "q", "payload": { "a": [1, 2] }, "attempt": 2, "labels": {} },
    });
    assert_eq!(serde_json::from_slice::<Value>(&result).unwrap(), expected);
}

#[tokio::test]
async fn what_succeeds_is_kept_as_json() {
    for (body, result) in [("", "null"), (" {\"a\":1}\n", "{\"a\":1}"), ("done \"well\"", "\"done \\\"well\\\"\"")] {
        assert_eq!(outcome(StatusCode::OK, &[], body).await, Outcome::Succeeded(Bytes::from(result)), "{body}");
    }
    assert_eq!(
        outcome(StatusCode::ACCEPTED, &[], "1e400").await,
        Outcome::Succeeded(Bytes::from("\"1e400\"")),
        "no number: a text"
    );
    for broken in ["{\"a\":1", "1e999", "\"\\ud800\""] {
        let claimed =
            outcome(StatusCode::OK, &[(CONTENT_TYPE, "application/problem+json; charset=utf-8")], broken).await;
        assert_eq!(failure(&claimed).0.kind, FailureKind::Permanent, "{broken}");
    }
    let binary = outcome(StatusCode::OK, &[], &b"\xff\xfe"[..]).await;
    assert_eq!(failure(&binary).0.kind, FailureKind::Permanent);
    let large = outcome(StatusCode::OK, &[], vec![b'1'; (1 << 20) + 1]).await;
    assert_eq!(failure(&large).0.kind, FailureKind::Permanent);
}

#[tokio::test]
async fn what_may_help_is_tried_again_and_the_rest_is_not() {
    for status in [408, 429, 500, 503] {
        let outcome = outcome(StatusCode::from_u16(status).unwrap(), &[(RETRY_AFTER, "7")], "later").await;
        let (failure, after) = failure(&outcome);
        assert_eq!((failure.retryable, after), (true, Some(Duration::from_secs(7))), "{status}");
        let details: Value = serde_json::from_str(failure.details.as_deref().unwrap()).unwrap();
        assert_eq!(details, json!({ "status": status, "body": "later" }));
    }
    for status in [301, 400, 401, 404, 422] {
        let outcome = outcome(StatusCode::from_u16(status).unwrap(), &[(LOCATION, "/x")], "no").await;
        assert_eq!(
            (failure(&outcome).0.retryable, failure(&outcome).0.kind),
            (false, FailureKind::Permanent),
            "{status}"
        );
    }
    let gone = targets("http://127.0.0.1:1/", "127.0.0.1").unwrap().run(task(), Arc::new(Undisturbed)).await;
    assert!(failure(&gone).0.retryable, "{gone:?}");
}

#[tokio::test]
async fn a_cancelled_attempt_ends_its_call() {
    let url = server(Router::new().route("/", post(std::future::pending::<()>))).await;
    let outcome = targets(&url, "127.0.0.1").unwrap().run(task(), Arc::new(Cancelled)).await;
    assert_eq!(outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_target_inside_needs_the_operator() {
    let (name, error) = targets("http://127.0.0.1:9/", "").unwrap_err();
    assert_eq!(&*name, "t");
    assert!(error.to_string().contains("outbound_allow"), "{error}");
    // A name is judged when it is called.
    let outcome = targets("http://localhost:9/", "").unwrap().run(task(), Arc::new(Undisturbed)).await;
    assert_eq!(failure(&outcome).0.kind, FailureKind::Permanent);
}
