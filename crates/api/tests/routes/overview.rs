//! Types, workers, numbers, and actions to many tasks.

use serde_json::json;

use crate::world::{World, demo};

#[tokio::test(start_paused = true)]
async fn types_are_those_of_tasks_and_those_of_workers() {
    let world = World::new();
    world.submit(&demo()).await;
    world.submit(&json!({ "type": "demo", "queue": "b" })).await;
    world.submit(&json!({ "type": "other" })).await;
    let wish = json!({ "worker": "w", "lanes": [{ "queue": "b", "types": ["demo", "idle"] }], "limit": 1 });
    world.post("/v1/leases", &wish).await.expect(200);
    let types = world.get("/v1/types").await.expect(200).json();
    let told: Vec<_> =
        types["items"].as_array().unwrap().iter().map(|it| (it["name"].clone(), it["workers"].clone())).collect();
    assert_eq!(told, [(json!("demo"), json!(1)), (json!("idle"), json!(1)), (json!("other"), json!(0))]);
    let demo = world.get("/v1/types/demo").await.expect(200).json();
    assert_eq!((&demo["queues"], &demo["counts"]["queued"]), (&json!(["b", "default"]), &json!(1)));
    assert_eq!((&demo["counts"]["running"], &demo["counts"]["succeeded"]), (&json!(1), &json!(0)));
    world.get("/v1/types/never").await.problem(404, "type_not_found");
    let page = world.get("/v1/types?limit=2").await.expect(200).json();
    let rest =
        world.get(&format!("/v1/types?cursor={}", page["next_cursor"].as_str().unwrap())).await.expect(200).json();
    assert_eq!((page["items"].as_array().unwrap().len(), &rest["items"][0]["name"]), (2, &json!("other")));
    world.get("/v1/types?cursor=odd%21").await.problem(422, "bad_cursor");
}

#[tokio::test(start_paused = true)]
async fn workers_are_those_heard_of_lately() {
    let world = World::new();
    world.submit(&demo()).await;
    assert_eq!(world.get("/v1/workers").await.expect(200).json(), json!({ "items": [] }));
    world.lease(5).await;
    let workers = world.get("/v1/workers").await.expect(200).json();
    let heard_at = workers["items"][0]["heard_at"].clone();
    let lanes = json!([{ "queue": "*", "types": ["*"] }]);
    assert_eq!(workers, json!({ "items": [{ "name": "w", "lanes": lanes, "running": 1, "heard_at": heard_at }] }));
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    assert_eq!(world.get("/v1/workers").await.expect(200).json(), json!({ "items": [] }));
}

#[tokio::test(start_paused = true)]
async fn everything_in_numbers() {
    let world = World::new();
    world.submit(&demo()).await;
    world.lease(1).await;
    let stats = world.get("/v1/stats").await.expect(200).json();
    assert_eq!((&stats["tasks"]["running"], &stats["queues"], &stats["workers"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(stats["store"]["kind"], "memory");
    world.get("/v1/stats?x=1").await.problem(422, "invalid");
}

#[tokio::test(start_paused = true)]
async fn a_search_finds_by_id_type_and_label() {
    let world = World::new();
    let id = world.submit(&json!({ "type": "mail.send", "labels": { "to": "ada@example.com" } })).await;
    world.submit(&demo()).await;
    for text in [&id[..35], "mail", "ada%40"] {
        let found = world.get(&format!("/v1/tasks?q={text}")).await.expect(200).json();
        assert_eq!((found["items"].as_array().unwrap().len(), &found["items"][0]["id"]), (1, &json!(id)), "{text}");
    }
    world.get("/v1/tasks?q=").await.problem(422, "invalid");
    world.get(&format!("/v1/tasks?q={}", "x".repeat(201))).await.problem(422, "invalid");
}

#[tokio::test(start_paused = true)]
async fn a_bulk_is_a_task_of_a_system_queue() {
    let world = World::new();
    let bulk = json!({ "filter": { "state": "queued" }, "action": "cancel" });
    let reply = world.post("/v1/tasks:bulk", &bulk).await.expect(201);
    let task = reply.json();
    assert_eq!(reply.header("location"), format!("/v1/tasks/{}", task["id"].as_str().unwrap()));
    assert_eq!((&task["queue"], &task["state"]), (&json!("~bulk"), &json!("queued")));
    assert_eq!(world.get("/v1/tasks").await.expect(200).json()["items"], json!([]), "not listed unless asked for");
    let asked = world.get("/v1/tasks?queue=~bulk").await.expect(200).json();
    assert_eq!(asked["items"][0]["id"], task["id"]);
    let problem =
        world.post("/v1/tasks:bulk", &json!({ "filter": {}, "action": "drop" })).await.problem(422, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
    world.act("/v1/queues/never:purge").await.problem(404, "queue_not_found");
}
