//! What workers say and put aside.

use serde_json::{Value, json};

use crate::world::{World, demo};

fn line(n: u64, level: &str, message: &str) -> Value {
    json!({ "n": n, "level": level, "message": message, "after": "5ms" })
}

async fn say(world: &World, leased: &Value, lines: &[Value]) -> Value {
    let with_lease = |it: &Value| {
        let mut item = it.clone();
        item["id"] = leased["id"].clone();
        item["lease"] = leased["lease"].clone();
        item
    };
    let logs: Vec<_> = lines.iter().map(with_lease).collect();
    world.post("/v1/reports", &json!({ "worker": "w", "logs": logs })).await.expect(200).json()
}

#[tokio::test(start_paused = true)]
async fn a_log_is_read_in_pages() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let path = format!("/v1/tasks/{id}/logs");
    assert_eq!(world.get(&path).await.expect(200).json(), json!({ "items": [] }));
    let leased = world.lease(1).await.remove(0);
    let mut first = line(0, "INFO", "begins");
    first["fields"] = json!({ "rows": 3 });
    let lines = [first, line(1, "debug", "a"), line(1, "debug", "a"), line(2, "warning", "b")];
    assert_eq!(say(&world, &leased, &lines).await, json!({ "lost": [], "cancel": [], "tasks": [] }));
    let page = world.get(&format!("{path}?limit=2")).await.expect(200).json();
    let at = page["items"][0]["at"].as_str().unwrap();
    let begins =
        json!({ "attempt": 1, "n": 0, "at": at, "level": "info", "message": "begins", "fields": { "rows": 3 } });
    assert_eq!((&page["items"][0], page["items"].as_array().unwrap().len()), (&begins, 2));
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("{path}?cursor={cursor}")).await.expect(200).json();
    assert_eq!(rest["items"][0]["level"], "warn");
    assert_eq!(rest["next_cursor"], Value::Null);
    for (query, count) in
        [("level=info", 2), ("level=error", 0), ("attempt=1", 3), ("attempt=2", 0), ("follow=false", 3)]
    {
        let page = world.get(&format!("{path}?{query}")).await.expect(200).json();
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    for query in
        ["limit=0", "limit=1001", "attempt=0", "attempt=x", "level=loud", "follow=maybe", "follow&limit=5", "x=1"]
    {
        world.get(&format!("{path}?{query}")).await.problem(422, "invalid");
    }
    world.get(&format!("{path}?cursor=c1.x")).await.problem(422, "bad_cursor");
    let none = "/v1/tasks/0192f0c1-2345-7abc-8def-0123456789ab/logs";
    world.get(none).await.problem(404, "task_not_found");
    world.get(&format!("{none}?follow")).await.problem(404, "task_not_found");
}

#[tokio::test(start_paused = true)]
async fn only_the_lease_may_speak() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let leased = world.lease(1).await.remove(0);
    world.report("release", &leased, &json!({})).await;
    let again = world.lease(1).await.remove(0);
    assert_eq!(say(&world, &leased, &[line(0, "info", "late")]).await["lost"], json!([id]));
    let aside = world.report("checkpoints", &leased, &json!({ "name": "a", "data": 1 })).await;
    assert_eq!(aside["lost"], json!([id]));
    let item = json!([{ "id": id, "lease": again["lease"], "n": 0, "level": "info", "message": "in time" }]);
    let done = json!([{ "id": id, "lease": again["lease"] }]);
    let report = json!({ "worker": "w", "logs": item, "succeed": done });
    for _ in 0..2 {
        let reply = world.post("/v1/reports", &report).await.expect(200).json();
        assert_eq!(reply["lost"], json!([]), "a whole report that is repeated is accepted silently");
    }
    let page = world.get(&format!("/v1/tasks/{id}/logs")).await.expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn checkpoints_come_back_with_the_next_lease() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let leased = world.lease(1).await.remove(0);
    assert_eq!(leased["checkpoints"], Value::Null, "none is no member");
    world.report("checkpoints", &leased, &json!({ "name": "row", "data": { "n": 1 } })).await;
    let large = json!([
        { "id": id, "lease": leased["lease"], "name": "big", "data": "x".repeat(1 << 20) },
        { "id": id, "lease": leased["lease"], "name": "row", "data": { "n": 2 } },
    ]);
    let reply = world.post("/v1/reports", &json!({ "worker": "w", "checkpoints": large })).await.expect(200).json();
    assert_eq!(
        (&reply["refused"][0]["code"], &reply["refused"][0]["name"]),
        (&json!("checkpoints_too_large"), &json!("big"))
    );
    assert_eq!(
        (&reply["refused"][0]["id"], &reply["refused"][1], &reply["lost"]),
        (&json!(id), &Value::Null, &json!([]))
    );
    world.report("release", &leased, &json!({})).await;
    assert_eq!(world.lease(1).await[0]["checkpoints"], json!({ "row": { "n": 2 } }));
    let metrics = world.get("/metrics").await.text();
    assert!(metrics.contains("tasklane_limits_hit_total{limit=\"checkpoints\"} 1"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_named() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let leased = world.lease(1).await.remove(0);
    let item = |members: Value| {
        let mut item = members;
        item["id"] = json!(id);
        item["lease"] = leased["lease"].clone();
        json!([item])
    };
    for (list, path, value) in [
        ("logs", "/logs/0/n", json!({ "level": "info", "message": "m" })),
        ("logs", "/logs/0/n", json!({ "n": -1, "level": "info", "message": "m" })),
        ("logs", "/logs/0/level", json!({ "n": 0, "level": "loud", "message": "m" })),
        ("logs", "/logs/0/level", json!({ "n": 0, "message": "m" })),
        ("logs", "/logs/0/message", json!({ "n": 0, "level": "info" })),
        ("logs", "/logs/0/fields", json!({ "n": 0, "level": "info", "message": "m", "fields": [1] })),
        ("logs", "/logs/0/after", json!({ "n": 0, "level": "info", "message": "m", "after": 5 })),
        ("logs", "/logs/0/name", json!({ "n": 0, "level": "info", "message": "m", "name": "x" })),
        ("checkpoints", "/checkpoints/0/name", json!({ "data": 1 })),
        ("checkpoints", "/checkpoints/0/name", json!({ "name": "", "data": 1 })),
        ("checkpoints", "/checkpoints/0/data", json!({ "name": "a" })),
    ] {
        let report = json!({ "worker": "w", list: item(value) });
        let problem = world.post("/v1/reports", &report).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["path"], path, "{list}: {problem}");
    }
    let long = json!({ "n": 0, "level": "info", "message": "x".repeat(20_000), "fields": { "a": "y".repeat(20_000) } });
    say(&world, &leased, &[long]).await;
    let page = world.get(&format!("/v1/tasks/{id}/logs")).await.expect(200).json();
    let kept = &page["items"][0];
    assert!(kept["message"].as_str().unwrap().ends_with("[cut]"));
    assert_eq!(kept["fields"], json!({ "cut": true }));
}
