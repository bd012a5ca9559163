//! Streams of events and logs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{World, demo};

async fn say(world: &World, leased: &Value, n: u64, message: &str) {
    world.report("logs", leased, &json!({ "n": n, "level": "info", "message": message })).await;
}

#[tokio::test(start_paused = true)]
async fn a_tasks_stream_tells_it_all_to_the_end() {
    let world = World::new();
    let id = world.submit(&json!({ "type": "demo", "tenant": "t" })).await;
    let mut stream = world.stream(&format!("/v1/tasks/{id}/events"), &[]).await;
    let first = stream.next().await.unwrap();
    assert_eq!(first.name, "task.queued");
    let at = &first.data["at"];
    let stands = json!({ "task": id, "type": "demo", "queue": "default", "tenant": "t", "to": "queued",
        "reason": "accepted", "attempt": 0, "at": at });
    assert_eq!(first.data, stands);
    let leased = world.lease(1).await.remove(0);
    let running = stream.next().await.unwrap();
    assert_eq!(
        (&*running.name, &running.data["from"], &running.data["attempt"]),
        ("task.running", &json!("queued"), &json!(1))
    );
    world.report("progress", &leased, &json!({ "percent": 50, "data": [1, 2] })).await;
    let progress = stream.next().await.unwrap();
    assert_eq!((&*progress.name, progress.data), ("progress", json!({ "task": id, "percent": 50.0, "data": [1, 2] })));
    say(&world, &leased, 0, "one").await;
    let line = stream.next().await.unwrap();
    assert_eq!((&*line.name, &line.data["message"]), ("log", &json!("one")));
    let logs = json!([{ "id": id, "lease": leased["lease"], "n": 1, "level": "info", "message": "last" }]);
    let done = json!([{ "id": id, "lease": leased["lease"], "result": 1 }]);
    world.post("/v1/reports", &json!({ "worker": "w", "logs": logs, "succeed": done })).await.expect(200);
    assert_eq!(stream.next().await.unwrap().data["message"], "last", "lines come before the end");
    let end = stream.next().await.unwrap();
    assert_eq!(end.name, "task.succeeded");
    assert_eq!(stream.next().await, None);

    // Whoever comes again goes on where it was, and is told when there is nothing left.
    let path = format!("/v1/tasks/{id}/events");
    let mut again = world.stream(&path, &[("last-event-id", &running.id)]).await;
    assert_eq!(again.names().await, ["log", "log", "task.succeeded"]);
    let mut after = world.stream(&format!("{path}?after={}", line.id), &[]).await;
    assert_eq!(after.names().await, ["log", "task.succeeded"]);
    world.call("GET", &path, &[("last-event-id", &end.id)], "").await.expect(204);
    let mut late = world.stream(&path, &[]).await;
    assert_eq!(late.names().await, ["log", "log", "task.succeeded"]);
    let mut lost = world.stream(&path, &[("last-event-id", "of another server")]).await;
    assert_eq!(lost.names().await, ["reset", "log", "log", "task.succeeded"]);
    world.get(&format!("{path}?after=x")).await.problem(422, "invalid");
    world.get("/v1/tasks/0192f0c1-2345-7abc-8def-0123456789ab/events").await.problem(404, "task_not_found");
}

#[tokio::test(start_paused = true)]
async fn a_log_is_followed_to_the_end() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let leased = world.lease(1).await.remove(0);
    say(&world, &leased, 0, "before").await;
    let path = format!("/v1/tasks/{id}/logs?follow");
    let mut stream = world.stream(&path, &[]).await;
    let before = stream.next().await.unwrap();
    assert_eq!(before.data["message"], "before");
    say(&world, &leased, 1, "while").await;
    assert_eq!(stream.next().await.unwrap().data["message"], "while");
    world.report("succeed", &leased, &json!({})).await;
    let end = stream.next().await.unwrap();
    assert_eq!((&*end.name, end.data), ("end", json!({ "state": "succeeded" })));
    assert_eq!(stream.next().await, None);
    let mut again = world.stream(&path, &[("last-event-id", &before.id)]).await;
    let seen = again.next().await.unwrap();
    assert_eq!((&seen.data["message"], again.names().await), (&json!("while"), vec!["end".to_owned()]));
    world.call("GET", &path, &[("last-event-id", &seen.id)], "").await.expect(204);
}

#[tokio::test(start_paused = true)]
async fn the_stream_of_all_tasks_can_be_narrowed_and_resumed() {
    let world = World::new();
    let mut all = world.stream("/v1/events", &[]).await;
    let mut ends = world.stream("/v1/events?state=succeeded,failed&queue=default", &[]).await;
    let mut named = world.stream("/v1/events?event=task.running&type=demo", &[]).await;
    let tasks = json!([{ "type": "demo" }, { "type": "demo", "queue": "other" }, { "type": "demo" }]);
    world.post("/v1/tasks:batch", &tasks).await.expect(201);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(all.next().await.unwrap());
    }
    assert!(seen.iter().all(|it| it.name == "task.queued"));
    for leased in world.lease(3).await {
        assert_eq!(named.next().await.unwrap().data["task"], leased["id"]);
        world.report("succeed", &leased, &json!({})).await;
    }
    for _ in 0..2 {
        let end = ends.next().await.unwrap();
        assert_eq!((&*end.name, &end.data["queue"]), ("task.succeeded", &json!("default")));
    }
    // From within a commit: two of three were seen.
    let mut rest = world.stream("/v1/events", &[("last-event-id", &seen[1].id)]).await;
    assert_eq!(rest.next().await.unwrap(), seen[2]);
    assert_eq!(rest.next().await.unwrap().name, "task.running");
    let mut after = world.stream(&format!("/v1/events?after={}", seen[2].id), &[]).await;
    assert_eq!(after.next().await.unwrap().name, "task.running");
    let mut lost = world.stream("/v1/events", &[("last-event-id", "e1.ffffff")]).await;
    assert_eq!(lost.next().await.unwrap().name, "reset");
    for query in ["state=done", "event=queued", "event=task.queued&state=queued", "queue=", "after=1", "x=1"] {
        world.get(&format!("/v1/events?{query}")).await.problem(422, "invalid");
    }
    world.get("/v1/events?label.a=b").await.problem(422, "not_supported");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_says_that_it_is_there() {
    let world = World::new();
    let mut stream = world.stream("/v1/events", &[]).await;
    assert_eq!(stream.block().await.unwrap(), "retry: 1000");
    let before = tokio::time::Instant::now();
    assert_eq!(stream.block().await.unwrap(), ": still here");
    assert!((15..17).contains(&before.elapsed().as_secs()), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_the_server_and_are_bounded() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let mut one = world.stream(&format!("/v1/tasks/{id}/events"), &[]).await;
    let mut streams = Vec::new();
    for _ in 1..1000 {
        streams.push(world.stream("/v1/events", &[]).await);
    }
    let refused = world.get("/v1/events").await;
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit-policy"), "\"streams\";q=1000");
    refused.problem(429, "too_many_streams");
    let metrics = world.get("/metrics").await.text();
    assert!(metrics.contains("tasklane_streams 1000"), "{metrics}");
    drop(streams.split_off(1));
    // Whether a reader is gone is seen when the stream is carried on.
    tokio::time::sleep(Duration::from_secs(1)).await;
    streams.push(world.stream("/v1/events", &[]).await);
    world.engine.end_streams();
    assert_eq!(one.names().await, ["task.queued"]);
    for mut stream in streams {
        assert_eq!(stream.names().await, Vec::<String>::new());
    }
}
