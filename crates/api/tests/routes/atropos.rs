//! The Atropos interface: its words, shapes and statuses.

use std::time::Duration;

use serde_json::{Value, json};
use tasklane_api::{Dialect, Options};
use tasklane_core::error::StoreError;

use crate::world::{JSON, Mood, Reply, World};

const MEMBERS: [&str; 9] =
    ["completed_at", "created_at", "deleted_at", "error", "id", "parameters", "result", "status", "task_type"];
const UNKNOWN: &str = "0190b6a0-0000-7000-8000-000000000000";

fn alone() -> World {
    World::with_options(Options { alone: Some(Dialect::Atropos), ..Options::default() })
}

#[track_caller]
fn whole(task: Value) -> Value {
    let mut members: Vec<_> = task.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, MEMBERS, "{task}");
    task
}

async fn create(world: &World, body: Value) -> Value {
    let reply = world.post("/tasks", &body).await.expect(200);
    assert_eq!(reply.header("content-type"), "application/json");
    whole(reply.json())
}

async fn demo(world: &World) -> String {
    create(world, json!({ "task_type": "data_processing" })).await["id"].as_str().unwrap().to_owned()
}

async fn status(world: &World, id: &str) -> Value {
    let status = whole(world.get(&format!("/tasks/{id}/status")).await.expect(200).json());
    assert_eq!(world.get(&format!("/tasks/{id}/result")).await.expect(200).json(), status, "both answer the same");
    status
}

async fn finish(world: &World, id: &str, result: Value) {
    let leased = world.lease(100).await;
    for task in &leased {
        world.report("succeed", task, &json!({ "result": result })).await;
    }
    assert!(leased.iter().any(|it| it["id"] == id));
}

async fn delete(world: &World, id: &str) -> Reply {
    world.call("DELETE", &format!("/tasks/{id}"), &[], "").await
}

async fn list(world: &World, query: &str) -> Value {
    world.get(&format!("/tasks{query}")).await.expect(200).json()
}

fn ids(list: &Value) -> Vec<&str> {
    list["tasks"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_task_from_pending_to_completed() {
    let world = World::new();
    let body =
        json!({ "task_type": "data_processing", "parameters": { "processing_time": 5, "x": [1.50] }, "extra": 1 });
    let task = create(&world, body).await;
    let id = task["id"].as_str().unwrap();
    assert_eq!(task["status"], "pending");
    assert_eq!(task["parameters"], json!({ "processing_time": 5, "x": [1.5] }));
    assert_eq!(task["created_at"], "2023-11-14T22:13:20.000000Z");
    for member in ["result", "error", "completed_at", "deleted_at"] {
        assert_eq!(task[member], Value::Null, "{member}");
    }
    assert_eq!(status(&world, id).await, task);
    tokio::time::advance(Duration::from_micros(1_500_001)).await;
    let leased = world.lease(1).await;
    assert_eq!(leased[0]["type"], "data_processing");
    assert_eq!(status(&world, id).await["status"], "processing");
    world.report("succeed", &leased[0], &json!({ "result": { "n": 7 } })).await;
    let done = status(&world, id).await;
    assert_eq!(
        (&done["status"], &done["result"], &done["error"]),
        (&json!("completed"), &json!({ "n": 7 }), &Value::Null)
    );
    assert_eq!(done["completed_at"], "2023-11-14T22:13:21.500001Z");
    assert_eq!(world.task(id).await["labels"], json!({}), "to /v1 it is a task like any other");
}

#[tokio::test(start_paused = true)]
async fn what_went_wrong_stands_in_error() {
    let world = World::new();
    let id = demo(&world).await;
    let leased = world.lease(1).await;
    world
        .report("fail", &leased[0], &json!({ "message": "processing_time must be a number", "kind": "permanent" }))
        .await;
    let failed = status(&world, &id).await;
    assert_eq!((&failed["status"], &failed["result"]), (&json!("failed"), &Value::Null));
    assert_eq!(failed["error"], "processing_time must be a number");
    assert!(failed["completed_at"].is_string());

    let id = demo(&world).await;
    let leased = world.lease(1).await;
    world.report("fail", &leased[0], &json!({ "message": "flaky" })).await;
    let again = status(&world, &id).await;
    assert_eq!((&again["status"], &again["error"]), (&json!("pending"), &Value::Null), "it will be tried again");
    world.act(&format!("/v1/tasks/{id}:cancel")).await.expect(200);
    let cancelled = status(&world, &id).await;
    assert_eq!((&cancelled["status"], &cancelled["error"]), (&json!("failed"), &json!("The task was cancelled")));
}

#[tokio::test(start_paused = true)]
async fn types_that_nobody_serves_run_as_default_and_keep_their_name() {
    let world = World::new();
    let type_here = async |task: &Value| world.task(task["id"].as_str().unwrap()).await["type"].clone();
    for odd in ["send.mail", "", "übersetzung mit Leerzeichen", &"x".repeat(200)] {
        let task = create(&world, json!({ "task_type": odd })).await;
        assert_eq!(task["task_type"], odd);
        assert_eq!(type_here(&task).await, "default", "{odd}");
        let native = world.task(task["id"].as_str().unwrap()).await;
        assert_eq!(native["labels"]["atropos.type"], odd);
    }
    for known in ["data_processing", "report_generation", "video_processing", "default"] {
        let task = create(&world, json!({ "task_type": known })).await;
        assert_eq!((&task["task_type"], type_here(&task).await), (&json!(known), json!(known)), "served or not");
    }
    let wish = json!({ "worker": "w", "lanes": [{ "types": ["send.mail"] }], "limit": 1 });
    world.post("/v1/leases", &wish).await.expect(204);
    let task = create(&world, json!({ "task_type": "send.mail" })).await;
    assert_eq!(type_here(&task).await, "send.mail", "a worker serves it now");
    tokio::time::advance(Duration::from_secs(90)).await;
    let task = create(&world, json!({ "task_type": "send.mail" })).await;
    assert_eq!(type_here(&task).await, "send.mail", "its worker may come back");
}

#[tokio::test(start_paused = true)]
async fn wrong_requests_are_named_as_fastapi_names_them() {
    let world = World::new();
    let cases = [
        ("{}", json!([{ "type": "missing", "loc": ["body", "task_type"], "msg": "Field required", "input": {} }])),
        ("", json!([{ "type": "missing", "loc": ["body"], "msg": "Field required", "input": null }])),
        (
            r#"{"task_type":5}"#,
            json!([{ "type": "string_type", "loc": ["body", "task_type"], "msg": "Input should be a valid string", "input": 5 }]),
        ),
        (
            r#"{"parameters":[1]}"#,
            json!([
                { "type": "missing", "loc": ["body", "task_type"], "msg": "Field required", "input": { "parameters": [1] } },
                { "type": "dict_type", "loc": ["body", "parameters"], "msg": "Input should be a valid dictionary", "input": [1] },
            ]),
        ),
        (
            r#"{"task_type":"a","parameters":null}"#,
            json!([{ "type": "dict_type", "loc": ["body", "parameters"], "msg": "Input should be a valid dictionary", "input": null }]),
        ),
        (
            "[]",
            json!([{ "type": "model_attributes_type", "loc": ["body"], "msg": "Input should be a valid dictionary or object to extract fields from", "input": [] }]),
        ),
        (
            "{\"task_type\": ",
            json!([{ "type": "json_invalid", "loc": ["body", 14], "msg": "JSON decode error", "input": {}, "ctx": { "error": "the JSON ends too early" } }]),
        ),
    ];
    for (body, detail) in cases {
        let reply = world.call("POST", "/tasks", &[JSON], body).await.expect(422);
        assert_eq!(reply.json(), json!({ "detail": detail }), "{body}");
        assert_eq!(reply.header("content-type"), "application/json");
    }
    for (headers, fits) in [
        (&[][..], true),
        (&[("content-type", "application/merge-patch+json")], true),
        (&[("content-type", "Application/JSON; charset=utf-8")], true),
        (&[("content-type", "text/plain")], false),
        (&[("content-type", "application/x-www-form-urlencoded")], false),
    ] {
        let reply = world.call("POST", "/tasks", headers, r#"{"task_type":"default"}"#).await;
        assert_eq!(reply.status == 200, fits, "{headers:?}");
        assert!(fits || reply.json()["detail"][0]["type"] == "model_attributes_type", "{}", reply.text());
    }
    for (text, sort) in [("x".repeat(201), "string_too_long"), ("a\u{1}".to_owned(), "string_pattern_mismatch")] {
        let reply = world.post("/tasks", &json!({ "task_type": text })).await.expect(422);
        assert_eq!(reply.json()["detail"][0]["type"], sort);
    }
    let large = json!({ "task_type": "a", "parameters": { "x": "x".repeat(1 << 20) } });
    assert!(world.post("/tasks", &large).await.expect(413).json()["detail"].is_string());
    assert_eq!(list(&world, "").await["total_tasks"], 3, "nothing wrong was accepted");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_parameter_is_no_wrong_request() {
    let world = World::new();
    let task = create(&world, json!({ "task_type": "default", "parameters": { "processing_time": "soon" } })).await;
    assert_eq!(task["status"], "pending");
}

#[tokio::test(start_paused = true)]
async fn unknown_tasks_and_those_of_others_are_not_found() {
    let world = World::new();
    let native = world.submit(&json!({ "type": "data_processing" })).await;
    for id in [UNKNOWN, "not-an-id", &native, "%20"] {
        for reply in [
            world.get(&format!("/tasks/{id}/status")).await,
            world.get(&format!("/tasks/{id}/result")).await,
            delete(&world, id).await,
        ] {
            assert_eq!(reply.expect(404).json(), json!({ "detail": "Task not found" }), "{id}");
        }
    }
    assert_eq!(list(&world, "").await["total_tasks"], 0);
    assert_eq!(world.task(&native).await["state"], "queued");
}

#[tokio::test(start_paused = true)]
async fn deleted_tasks_are_hidden_and_only_finished_ones_can_be() {
    let world = World::new();
    let id = demo(&world).await;
    let refused = delete(&world, &id).await.expect(400).json();
    let words = "Cannot delete task with status 'pending'. Only completed or failed tasks can be deleted.";
    assert_eq!(refused, json!({ "detail": words }));
    finish(&world, &id, json!(1)).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let said = delete(&world, &id).await.expect(200).json();
    assert_eq!(said, json!({ "message": "Task deleted successfully", "task_id": id }));
    for reply in [world.get(&format!("/tasks/{id}/status")).await, delete(&world, &id).await] {
        assert_eq!(reply.expect(404).json(), json!({ "detail": "Task not found" }));
    }
    for path in ["", "/result", "/attempts", "/why"] {
        world.get(&format!("/v1/tasks/{id}{path}")).await.problem(404, "task_not_found");
    }
    world.act(&format!("/v1/tasks/{id}:rerun")).await.problem(404, "task_not_found");
    assert_eq!(world.get("/v1/tasks").await.json()["items"], json!([]));
    let deleted = list(&world, "?include_deleted=true").await;
    assert_eq!(ids(&deleted), [&id]);
    let task = whole(deleted["tasks"][0].clone());
    assert_eq!((&task["status"], &task["result"]), (&json!("completed"), &json!(1)));
    assert_eq!(task["deleted_at"], "2023-11-14T22:13:21.000000Z");
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_by_status_and_say_by_what() {
    let world = World::new();
    world.submit(&json!({ "type": "data_processing" })).await;
    world.lease(1).await;
    assert_eq!(
        list(&world, "").await,
        json!({ "total_tasks": 0, "filters": { "status": "all", "include_deleted": false }, "tasks": [] })
    );
    let (completed, gone) = (demo(&world).await, demo(&world).await);
    finish(&world, &gone, json!({})).await;
    delete(&world, &gone).await.expect(200);
    let failed = demo(&world).await;
    world.act(&format!("/v1/tasks/{failed}:cancel")).await.expect(200);
    let processing = demo(&world).await;
    world.lease(1).await;
    let pending = demo(&world).await;
    let all = [&*pending, &processing, &failed, &gone, &completed];
    let shown = [&*pending, &processing, &failed, &completed];
    for (query, expected) in [
        ("", &shown[..]),
        ("?status=all", &shown),
        ("?status=", &shown),
        ("?unknown=1", &shown),
        ("?include_deleted=true", &all),
        ("?include_deleted=1&status=all", &all),
        ("?status=pending", &[&pending]),
        ("?status=processing", &[&processing]),
        ("?status=failed", &[&failed]),
        ("?status=completed", &[&completed]),
        ("?status=completed&include_deleted=on", &[&gone, &completed]),
        ("?status=deleted&include_deleted=True", &[&gone]),
        ("?status=deleted", &[]),
        ("?status=explode", &[]),
    ] {
        let list = list(&world, query).await;
        assert_eq!(ids(&list), expected, "{query}");
        assert_eq!(list["total_tasks"], expected.len(), "{query}");
        let status = query.split(['?', '&']).find_map(|it| it.strip_prefix("status=")).filter(|it| !it.is_empty());
        assert_eq!(list["filters"]["status"], status.unwrap_or("all"), "{query}");
        assert_eq!(list["filters"]["include_deleted"], query.contains("include_deleted"), "{query}");
    }
    let wrong = world.get("/tasks?include_deleted=maybe").await.expect(422).json();
    assert_eq!(
        wrong["detail"][0],
        json!({ "type": "bool_parsing", "loc": ["query", "include_deleted"], "msg": "Input should be a valid boolean, unable to interpret input", "input": "maybe" })
    );
    world.get("/tasks?cursor=nonsense").await.expect(422);
}

#[tokio::test(start_paused = true)]
async fn beyond_a_thousand_the_number_is_true_and_a_link_leads_on() {
    let world = World::new();
    let mut created = Vec::new();
    for _ in 0..1000 {
        created.push(demo(&world).await);
    }
    let reply = world.get("/tasks").await.expect(200);
    assert_eq!((ids(&reply.json()).len(), reply.header("link")), (1000, ""), "up to a thousand it is whole");
    for _ in 0..3 {
        created.push(demo(&world).await);
    }
    created.reverse();
    let (mut path, mut seen, mut pages) = ("/tasks?status=pending".to_owned(), Vec::new(), 0);
    loop {
        let reply = world.get(&path).await.expect(200);
        let list = reply.json();
        assert_eq!(list["total_tasks"], 1003);
        seen.extend(ids(&list).iter().map(|it| (*it).to_owned()));
        pages += 1;
        let Some(next) = reply.header("link").strip_suffix(">; rel=\"next\"") else { break };
        path = next.strip_prefix('<').unwrap().to_owned();
    }
    assert_eq!((seen, pages), (created, 2));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_large_tasks_ends_early_with_a_link() {
    let world = World::new();
    let parameters = json!({ "x": "x".repeat((1 << 20) - 10) });
    for _ in 0..40 {
        create(&world, json!({ "task_type": "default", "parameters": parameters })).await;
    }
    let reply = world.get("/tasks").await.expect(200);
    let (first, link) = (reply.json(), reply.header("link").to_owned());
    let (path, _) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
    let rest = world.get(path).await.expect(200);
    let numbers = (ids(&first).len(), ids(&rest.json()).len(), first["total_tasks"].as_u64());
    assert_eq!((numbers.0 + numbers.1, numbers.2, rest.header("link")), (40, Some(40), ""), "{numbers:?}");
}

#[tokio::test(start_paused = true)]
async fn refusals_of_every_kind_have_its_shape() {
    let world = World::new();
    for (method, path, allowed) in [("PUT", "/tasks", "POST, GET, HEAD"), ("GET", "/tasks/x", "DELETE")] {
        let reply = world.call(method, path, &[], "").await.expect(405);
        assert_eq!((reply.header("allow"), reply.json()), (allowed, json!({ "detail": "Method Not Allowed" })));
    }
    let foreign = world.call("GET", "/tasks", &[("host", "evil.example")], "").await.expect(421);
    assert!(foreign.json()["detail"].is_string());
    world.store.be(Mood::Failing(StoreError::Away("gone".into())));
    let away = world.post("/tasks", &json!({ "task_type": "default" })).await.expect(503);
    assert_eq!((away.header("retry-after"), away.json()["detail"].is_string()), ("1", true));
    world.store.be(Mood::Failing(StoreError::DiskFull));
    world.post("/tasks", &json!({ "task_type": "default" })).await.expect(507);
    world.store.be(Mood::Panicking);
    let broken = world.get(&format!("/tasks/{UNKNOWN}/status")).await.expect(500);
    assert_eq!(broken.json(), json!({ "detail": "Internal Server Error" }));
    assert!(!broken.header("x-request-id").is_empty());
    world.store.be(Mood::Well);
    world.get("/tasks/").await.problem(404, "not_found");
}

#[tokio::test(start_paused = true)]
async fn alone_it_has_the_root_routes() {
    let world = alone();
    let about = json!({ "message": "Atropos Task Service is running", "version": "1.0.0", "docs": "/docs" });
    assert_eq!(world.get("/").await.expect(200).json(), about);
    world.get("/?utm=x").await.expect(200);
    let health = |workers: u8| {
        let message = format!("API running with {workers} workers");
        json!({ "status": "healthy", "database": "connected", "celery_workers": workers, "message": message })
    };
    assert_eq!(world.get("/health").await.expect(200).json(), health(0));
    world.lease(1).await;
    assert_eq!(world.get("/health").await.expect(200).json(), health(1));
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(world.get("/health").await.expect(200).json(), health(0));
    world.store.be(Mood::Failing(StoreError::Away("gone".into())));
    assert_eq!(world.get("/health").await.expect(200).json()["database"], "error");
    world.store.be(Mood::Well);
    let page = world.get("/docs").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains("\"docs/assets/swagger-ui-bundle.js\""), "it shows the document beside it");
    assert_eq!(world.get("/nope").await.expect(404).json(), json!({ "detail": "Not Found" }));
    let id = demo(&world).await;
    assert_eq!(world.task(&id).await["type"], "data_processing", "workers and commands reach it by /v1");
    world.get("/ready").await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn its_document_is_served_in_both_places() {
    let document = alone().get("/openapi.json").await.expect(200).json();
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("Atropos Task Service")));
    let world = World::new();
    assert_eq!(world.get("/openapi/atropos.json").await.expect(200).json(), document);
    assert_eq!(world.get("/docs").await.expect(200).text(), alone().get("/docs").await.expect(200).text());
    for path in ["/", "/health"] {
        assert_eq!(world.get(path).await.expect(200).json()["service"], "tasklane", "Tasklane's own there");
    }
}
