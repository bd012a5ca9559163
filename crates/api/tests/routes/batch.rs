//! Many tasks: all or nothing, or each alone.

use serde_json::{Value, json};

use crate::world::{JSON, Reply, World, demo};

const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

async fn queued(world: &World) -> u64 {
    let queues = world.get("/v1/queues").await.expect(200).json();
    queues["items"].as_array().unwrap().iter().map(|it| it["counts"]["queued"].as_u64().unwrap()).sum()
}

async fn lines(world: &World, query: &str, text: impl Into<axum::body::Body>) -> Reply {
    world.call("POST", &format!("/v1/tasks:batch{query}"), &[LINES], text).await
}

#[tokio::test(start_paused = true)]
async fn one_bad_item_spoils_all_or_only_itself() {
    let world = World::new();
    let items = json!([demo(), { "type": "demo", "priority": 5000 }, demo(), 7]);
    let problem = world.post("/v1/tasks:batch", &items).await.problem(422, "invalid");
    let paths: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/1/priority", "/3"]);
    assert_eq!(queued(&world).await, 0, "all or nothing accepted something");

    let alone = world.post("/v1/tasks%3Abatch?atomic=false", &items).await.expect(200).json();
    let tasks = alone["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 4);
    assert_eq!((&tasks[0]["state"], &tasks[2]["state"]), (&json!("queued"), &json!("queued")));
    let error = &tasks[1]["error"];
    assert_eq!(
        (&error["code"], &error["status"], &error["errors"][0]["path"]),
        (&json!("invalid"), &json!(422), &json!("/1/priority"))
    );
    assert!(tasks[3]["error"]["code"] == "invalid" && tasks[3].get("id").is_none(), "{alone}");
    assert_eq!(queued(&world).await, 2);
    serde_json::from_value::<tasklane_wire::task::BatchShape>(alone).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_spoils_all_or_only_itself() {
    let world = World::new();
    let held = json!({ "type": "demo", "unique": { "key": "k", "policy": "reject" } });
    world.submit(&held).await;
    let items = json!([demo(), held, demo()]);
    let problem = world.post("/v1/tasks:batch", &items).await.problem(409, "unique_held");
    assert_eq!(problem["errors"][0]["path"], "/1");
    assert_eq!(queued(&world).await, 1);
    let alone = world.post("/v1/tasks:batch?atomic=false", &items).await.expect(200).json();
    assert_eq!(alone["tasks"][1]["error"]["code"], "unique_held", "{alone}");
    assert!(alone["tasks"][0]["id"].is_string() && alone["tasks"][2]["id"].is_string());
    assert_eq!(queued(&world).await, 3);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_are_taken_and_one_more_is_not() {
    let world = World::new();
    let items = |number: usize| Value::from(vec![demo(); number]);
    for query in ["", "?atomic=false"] {
        world.post(&format!("/v1/tasks:batch{query}"), &items(10_001)).await.problem(413, "too_many_tasks");
        lines(&world, query, "{\"type\":\"demo\"}\n".repeat(10_001)).await.problem(413, "too_many_tasks");
    }
    assert_eq!(queued(&world).await, 0);
    let reply = world.post("/v1/tasks:batch", &items(10_000)).await.expect(201).json();
    assert_eq!(reply["tasks"].as_array().unwrap().len(), 10_000);
    assert_eq!(queued(&world).await, 10_000);
}

#[tokio::test(start_paused = true)]
async fn lines_are_as_good_as_an_array_and_answers_stand_in_order() {
    let world = World::new();
    let text: String = (0..50).map(|nth| format!("{{\"type\":\"demo\",\"payload\":{nth}}}\r\n")).collect();
    let reply = lines(&world, "?echo=full", text).await.expect(201).json();
    let payloads: Vec<_> =
        reply["tasks"].as_array().unwrap().iter().map(|it| it["payload"].as_u64().unwrap()).collect();
    assert_eq!(payloads, (0..50).collect::<Vec<_>>());
    lines(&world, "", "{\"type\":\"demo\"}\n\n{\"type\":\"demo\"}").await.expect(201);
    let problem = lines(&world, "", "{\"type\":\"demo\"}\n{\"type\":\n").await.problem(400, "malformed_json");
    assert!(problem["detail"].as_str().unwrap().ends_with("at byte 24"), "{problem}");
    lines(&world, "?atomic=false", "{\"type\":\"demo\"}\nx").await.problem(400, "malformed_json");
    let problem = lines(&world, "", "{\"type\":\"demo\"}\n{\"type\":5}").await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["path"], "/1/type");
    assert_eq!(queued(&world).await, 52);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_batch_is_refused() {
    let world = World::new();
    for body in ["{}", "\"x\"", "5", "null"] {
        world.call("POST", "/v1/tasks:batch", &[JSON], body).await.problem(422, "invalid");
    }
    for query in ["?atomic=maybe", "?echo=loud", "?nope=1"] {
        world.post(&format!("/v1/tasks:batch{query}"), &json!([])).await.problem(422, "invalid");
    }
    let keyed = [JSON, ("idempotency-key", "k")];
    let problem = world.call("POST", "/v1/tasks:batch", &keyed, "[]").await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["path"], "header:idempotency-key");
    let empty = world.post("/v1/tasks:batch", &json!([])).await.expect(201).json();
    assert_eq!(empty, json!({ "tasks": [] }));
}

#[tokio::test(start_paused = true)]
async fn a_whole_echo_of_a_batch_with_errors_keeps_its_order() {
    let world = World::new();
    let items = json!([{ "type": "a" }, 7, { "type": "b" }]);
    let reply = world.post("/v1/tasks:batch?atomic=false&echo=full", &items).await.expect(200).json();
    assert_eq!((&reply["tasks"][0]["type"], &reply["tasks"][2]["type"]), (&json!("a"), &json!("b")));
    assert!(reply["tasks"][1]["error"].is_object());
}

#[tokio::test(start_paused = true)]
async fn a_batch_read_on_a_thread_of_its_own_is_the_same() {
    let world = World::new();
    let items: Vec<_> = (0..400).map(|nth| json!({ "type": "demo", "payload": [nth, "x".repeat(1000)] })).collect();
    let reply = world.post("/v1/tasks:batch?echo=full", &items.into()).await.expect(201).json();
    assert_eq!(reply["tasks"][399]["payload"][0], 399);
}
