//! Bodies that are of the wrong type, too large, too slow, or no JSON.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use serde_json::json;

use crate::world::{JSON, World, demo};

fn payload(json: &str) -> String {
    format!(r#"{{"type":"demo","payload":{json}}}"#)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_json_is_refused_with_its_place() {
    let world = World::new();
    let nested = |depth: usize| payload(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let cases = [
        (String::new(), 0),
        ("{\"type\":\"demo\"".into(), 14),
        (payload("1e400"), 25),
        (payload(r#""\ud800""#), 26),
        (payload("\"a\nb\""), 27),
        (payload("01"), 26),
        (nested(10_000), 25 + 128),
        (nested(129), 25 + 128),
    ];
    for (body, offset) in cases {
        let problem = world.call("POST", "/v1/tasks", &[JSON], body).await.problem(400, "malformed_json");
        assert!(problem["detail"].as_str().unwrap().ends_with(&format!("at byte {offset}")), "{problem}");
    }
    let bytes = [&b"{\"type\":\"demo\",\"payload\":\""[..], b"\xff\"}"].concat();
    world.call("POST", "/v1/tasks", &[JSON], bytes).await.problem(400, "malformed_json");
    for path in ["/v1/tasks:batch", "/v1/leases", "/v1/reports"] {
        world.call("POST", path, &[JSON], "[{").await.problem(400, "malformed_json");
    }
    world.call("POST", "/v1/tasks", &[JSON], nested(128)).await.expect(201);
    for kept in [r#""\u0000""#, "1.7976931348623157e308", "-0.0", r#"{ "a" : [ ] }"#] {
        let reply = world.call("POST", "/v1/tasks", &[JSON], payload(kept)).await.expect(201);
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        let text = world.get(&format!("/v1/tasks/{id}")).await.expect(200).text();
        assert!(text.contains(&format!(r#""payload":{kept},"#)), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_of_another_type_is_refused() {
    let world = World::new();
    for headers in [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/xml")]] {
        for path in ["/v1/tasks", "/v1/tasks:batch", "/v1/leases", "/v1/reports"] {
            world.call("POST", path, headers, "{}").await.problem(415, "unsupported_media_type");
        }
    }
    let lines = [("content-type", "application/x-ndjson")];
    world.call("POST", "/v1/tasks", &lines, "{}").await.problem(415, "unsupported_media_type");
    let id = world.submit(&demo()).await;
    let path = format!("/v1/tasks/{id}:cancel");
    world.call("POST", &path, &[("content-type", "text/plain")], "{}").await.problem(415, "unsupported_media_type");
    world.call("POST", &path, &[("content-type", "text/plain")], "").await.expect(200);
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    world.call("POST", "/v1/tasks", &charset, demo().to_string()).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_refused() {
    let world = World::new();
    let long = |bytes: usize| payload(&format!("\"{}\"", "x".repeat(bytes - 2)));
    world.call("POST", "/v1/tasks", &[JSON], long(1 << 20)).await.expect(201);
    let problem = world.call("POST", "/v1/tasks", &[JSON], long((1 << 20) + 1)).await.problem(413, "payload_too_large");
    assert_eq!(problem["errors"][0]["path"], "/payload");
    world.call("POST", "/v1/tasks", &[JSON], long(2 << 20)).await.problem(413, "payload_too_large");
    let batch = json!([demo(), { "type": "demo", "payload": "x".repeat(1 << 20) }]);
    let problem = world.post("/v1/tasks:batch", &batch).await.problem(413, "payload_too_large");
    assert_eq!(problem["errors"][0]["path"], "/1/payload");

    // Announced and never sent: the answer does not wait for it.
    let announced = [JSON, ("content-length", "40000000")];
    let silent = Body::new(Dripping(None, None));
    world.call("POST", "/v1/tasks:batch", &announced, silent).await.problem(413, "payload_too_large");
}

#[tokio::test(start_paused = true)]
async fn a_slow_or_broken_body_is_given_up() {
    let world = World::new();
    let before = tokio::time::Instant::now();
    let half = Some(Bytes::from_static(b"{\"type\":"));
    let slow = Body::new(Dripping(half.clone(), None));
    world.call("POST", "/v1/tasks", &[JSON], slow).await.problem(408, "body_timeout");
    assert!(before.elapsed() < Duration::from_secs(40), "{:?}", before.elapsed());
    let silent = Body::new(Dripping(half.clone(), Some(io::ErrorKind::TimedOut)));
    world.call("POST", "/v1/tasks", &[JSON], silent).await.problem(408, "body_timeout");
    let broken = Body::new(Dripping(half, Some(io::ErrorKind::ConnectionReset)));
    world.call("POST", "/v1/tasks", &[JSON], broken).await.problem(400, "incomplete_body");
}

#[tokio::test(start_paused = true)]
async fn only_so_many_large_bodies_are_held_at_once() {
    let world = World::new();
    let announced = [JSON, ("content-length", "33554432")];
    let large = || world.call("POST", "/v1/tasks:batch", &announced, Body::new(Dripping(None, None)));
    let mut held: Vec<_> = (0..8).map(|_| Box::pin(large())).collect();
    for body in &mut held {
        assert!(tokio::time::timeout(Duration::from_millis(1), body).await.is_err(), "it waits for its body");
    }
    let refused = large().await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(503, "too_busy");
    world.submit(&demo()).await;
    drop(held);
    let free = tokio::time::timeout(Duration::from_millis(1), large()).await;
    assert!(free.is_err(), "what callers who went away held is given back");
}

/// A body of at most one piece, then silence, or an error.
struct Dripping(Option<Bytes>, Option<io::ErrorKind>);

impl hyper::body::Body for Dripping {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.0.take(), self.1) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, Some(kind)) => Poll::Ready(Some(Err(kind.into()))),
            (None, None) => Poll::Pending,
        }
    }
}
