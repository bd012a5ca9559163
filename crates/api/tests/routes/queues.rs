//! Queues.

use serde_json::json;

use crate::world::{World, demo};

#[tokio::test(start_paused = true)]
async fn a_queue_is_counted_by_state() {
    let world = World::new();
    for _ in 0..3 {
        world.submit(&json!({ "type": "demo", "queue": "q" })).await;
    }
    world.submit(&json!({ "type": "demo", "queue": "q", "delay": "1h" })).await;
    tokio::time::sleep(std::time::Duration::from_secs(90)).await;
    let queue = world.get("/v1/queues/q").await.expect(200).json();
    assert_eq!(
        queue,
        json!({ "name": "q", "state": "active", "oldest_queued_age": "1m30s", "verdict": queue["verdict"],
            "counts": { "scheduled": 1, "blocked": 0, "queued": 3, "running": 0, "waiting": 0, "retrying": 0 } })
    );
    assert!(queue["verdict"].as_str().unwrap().starts_with("stuck: no worker serves"), "{queue}");
    world.lease(1).await;
    let queue = world.get("/v1/queues/q").await.expect(200).json();
    assert_eq!((&queue["counts"]["running"], &queue["verdict"]), (&json!(1), &json!("working")));
    let list = world.get("/v1/queues").await.expect(200).json();
    assert_eq!(list, json!({ "items": [queue] }));
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_paused_resumed_and_drained() {
    let world = World::new();
    let task = json!({ "type": "demo", "queue": "a:b/c" });
    world.submit(&task).await;
    let act = async |action: &str| world.act(&format!("/v1/queues/a:b%2Fc%3A{action}")).await.expect(200).json();
    assert_eq!(act("pause").await["state"], "paused");
    assert_eq!(world.lease(1).await.len(), 0);
    world.submit(&task).await;
    assert_eq!(act("drain").await["state"], "draining");
    world.post("/v1/tasks", &task).await.problem(409, "queue_draining");
    let problem = world.post("/v1/tasks:batch", &json!([demo(), task])).await.problem(409, "queue_draining");
    assert_eq!(problem["errors"][0]["path"], "/1");
    assert_eq!(act("resume").await["state"], "active");
    assert_eq!(world.lease(2).await.len(), 2);
    assert_eq!(world.get("/v1/queues/a:b%2Fc").await.expect(200).json()["name"], "a:b/c");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_never_had_a_task_is_not_found() {
    let world = World::new();
    world.get("/v1/queues/never").await.problem(404, "queue_not_found");
    for action in ["pause", "resume", "drain"] {
        world.act(&format!("/v1/queues/never:{action}")).await.problem(404, "queue_not_found");
    }
}

#[tokio::test(start_paused = true)]
async fn queues_are_paged_by_name() {
    let world = World::new();
    for name in ["b", "a", "ü", "c"] {
        world.submit(&json!({ "type": "demo", "queue": name })).await;
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/queues?limit=3{cursor}")).await.expect(200).json();
        names.extend(page["items"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(names, ["a", "b", "c", "ü"]);
    world.get("/v1/queues?cursor=x").await.problem(422, "bad_cursor");
    world.get("/v1/queues?limit=0").await.problem(422, "invalid");
}
