//! What is read about tasks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{World, demo};

const UNKNOWN: &str = "0190b6a0-0000-7000-8000-000000000000";

#[tokio::test(start_paused = true)]
async fn an_unknown_task_is_not_found() {
    let world = World::new();
    for id in [UNKNOWN, "not-an-id", "0190B6A0000070008000000000000000"] {
        for tail in ["", "/result", "/attempts", "/why", "?wait=1s"] {
            world.get(&format!("/v1/tasks/{id}{tail}")).await.problem(404, "task_not_found");
        }
        for action in ["cancel", "retry", "rerun", "reschedule"] {
            world.act(&format!("/v1/tasks/{id}:{action}")).await.problem(404, "task_not_found");
            world.act(&format!("/v1/tasks/{id}%3A{action}")).await.problem(404, "task_not_found");
        }
        world.call("DELETE", &format!("/v1/tasks/{id}"), &[], "").await.problem(404, "task_not_found");
    }
}

#[tokio::test(start_paused = true)]
async fn results_are_the_json_itself() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let path = format!("/v1/tasks/{id}/result");
    world.get(&path).await.problem(409, "task_not_finished");
    let before = tokio::time::Instant::now();
    world.get(&format!("{path}?wait=2s")).await.problem(409, "task_not_finished");
    assert_eq!(before.elapsed(), Duration::from_secs(2));
    let leased = world.lease(1).await;
    world.report("succeed", &leased[0], &json!({ "result": { "y": "ü", "n": 1.50 } })).await;
    assert_eq!(world.get(&path).await.expect(200).text(), r#"{"n":1.5,"y":"ü"}"#);
    let attempts = world.get(&format!("/v1/tasks/{id}/attempts")).await.expect(200).json();
    let attempt = &attempts["items"][0];
    assert_eq!(
        (&attempt["attempt"], &attempt["worker"], &attempt["reason"], &attempt["charged"]),
        (&json!(1), &json!("w"), &json!("succeeded"), &json!(true))
    );

    let id = world.submit(&demo()).await;
    let leased = world.lease(1).await;
    world.report("succeed", &leased[0], &json!({})).await;
    assert_eq!(world.get(&format!("/v1/tasks/{id}/result")).await.expect(200).text(), "null");
    assert!(world.task(&id).await.get("result").is_some(), "a result of null is a result");
}

#[tokio::test(start_paused = true)]
async fn a_task_without_result_says_how_it_ended() {
    let world = World::new();
    let id = world.submit(&json!({ "type": "demo", "max_attempts": 1 })).await;
    let leased = world.lease(1).await;
    let failure = json!({ "kind": "out_of_memory", "message": "no", "details": { "a": [1] }, "stack": "s" });
    world.report("fail", &leased[0], &failure).await;
    let problem = world.get(&format!("/v1/tasks/{id}/result")).await.problem(422, "task_failed");
    let mut failure = failure;
    failure["message"] = json!("no (worker w; quarantined as the last attempt it had ended like this)");
    failure["retryable"] = json!(true);
    assert_eq!(problem["failure"], failure);
    assert_eq!(world.task(&id).await["failure"], failure);

    let id = world.submit(&demo()).await;
    world.act(&format!("/v1/tasks/{id}:cancel")).await.expect(200);
    let problem = world.get(&format!("/v1/tasks/{id}/result")).await.problem(422, "task_failed");
    assert!(problem["detail"].as_str().unwrap().contains("was cancelled"), "{problem}");
}

async fn walk(world: &World, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/tasks?limit=20{query}{cursor}")).await.expect(200).json();
        found.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_and_paged_to_the_end() {
    let world = World::new();
    let task = |nth: u32| json!({ "type": if nth.is_multiple_of(3) { "a" } else { "b" }, "labels": { "n": (nth % 10).to_string() }, "tenant": "t" });
    let batch: Vec<Value> = (0..90).map(task).collect();
    let accepted = world.post("/v1/tasks:batch", &batch.into()).await.expect(201).json();
    let ids = accepted["tasks"].as_array().unwrap().iter().rev().map(|it| it["id"].as_str().unwrap().to_owned());
    assert_eq!(walk(&world, "").await, ids.collect::<Vec<_>>(), "newest first, each once");
    for (query, number) in [
        ("&type=a", 30),
        ("&label.n=3", 9),
        ("&type=a&label.n=3&state=queued&queue=default&tenant=t", 3),
        ("&state=failed", 0),
        ("&tenant=u", 0),
        ("&created_before=2023-11-14T22:13:20Z", 0),
        ("&created_after=2023-11-14T22:13:20Z", 90),
    ] {
        assert_eq!(walk(&world, query).await.len(), number, "{query}");
    }
    assert_eq!(world.get("/v1/tasks").await.json()["items"].as_array().unwrap().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_large_tasks_ends_early_and_the_list_is_whole() {
    let world = World::new();
    for _ in 0..30 {
        world.submit(&json!({ "type": "demo", "payload": "x".repeat(1 << 19) })).await;
    }
    let page = world.get("/v1/tasks?limit=200").await.expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 16, "8 MiB of them");
    let rest = world.get(&format!("/v1/tasks?limit=200&cursor={}", page["next_cursor"].as_str().unwrap())).await;
    let rest = rest.expect(200).json();
    assert_eq!((rest["items"].as_array().unwrap().len(), rest.get("next_cursor")), (14, None));
}

#[tokio::test(start_paused = true)]
async fn wrong_parameters_are_named() {
    let world = World::new();
    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=%2B5",
        "limit=",
        "state=gone",
        "type=a%20b",
        "created_after=soon",
        "nope=1",
        "queue=",
        "label.=x",
    ] {
        let problem = world.get(&format!("/v1/tasks?{query}")).await.problem(422, "invalid");
        let name = query.split('=').next().unwrap();
        assert_eq!(problem["errors"][0]["path"], format!("?{name}"), "{query}");
    }
    for cursor in ["", "nonsense", "c1.00"] {
        world.get(&format!("/v1/tasks?cursor={cursor}")).await.problem(422, "bad_cursor");
    }
}

#[tokio::test(start_paused = true)]
async fn why_names_every_reason_and_what_opens_it() {
    let world = World::new();
    let id = world.submit(&json!({ "type": "demo", "delay": "1h" })).await;
    let why = world.get(&format!("/v1/tasks/{id}/why")).await.expect(200).json();
    assert_eq!((&why["id"], &why["state"]), (&json!(id), &json!("scheduled")));
    let reason = why["reasons"].as_array().unwrap().iter().find(|it| it["code"] == "not_due").unwrap();
    assert!(reason["message"].is_string() && reason["remedy"].is_string(), "{reason}");
    assert_eq!(reason["opens_at"], "2023-11-14T23:13:20Z");
    serde_json::from_value::<tasklane_wire::task::Why>(why).unwrap();
}
