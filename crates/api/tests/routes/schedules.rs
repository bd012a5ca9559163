//! Schedules: set up, changed, looked at, and what comes of them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Reply, World};

const JSON: (&str, &str) = ("content-type", "application/json");

fn every(name: &str, every: &str) -> Value {
    json!({ "name": name, "every": every, "task": { "type": "demo", "payload": { "at": "{slot}" } } })
}

impl World {
    async fn schedule(&self, new: &Value) -> Value {
        self.post("/v1/schedules", new).await.expect(201).json()
    }

    async fn patch(&self, id: &Value, change: &Value) -> Reply {
        self.call("PATCH", &of(id, ""), &[JSON], change.to_string()).await
    }
}

fn of(id: &Value, rest: &str) -> String {
    format!("/v1/schedules/{}{rest}", id.as_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn slots_make_tasks_that_name_them() {
    let world = World::new();
    let made = world.post("/v1/schedules", &every("s", "10s")).await.expect(201);
    let location = made.headers["location"].to_str().unwrap().to_owned();
    let schedule = made.json();
    assert_eq!(location, of(&schedule["id"], ""));
    let expected = json!({
        "id": schedule["id"], "name": "s", "every": "10s", "overlap": "allow", "jitter": "0s", "paused": false,
        "missed": { "policy": "one", "cap": 100, "window": "1d" }, "set_by": "caller",
        "task": { "type": "demo", "payload": { "at": "{slot}" }, "queue": "default", "priority": 0, "max_attempts": 3,
            "retry": { "initial": "1s", "factor": 2.0, "max": "10m", "jitter": true } },
        "next_at": "2023-11-14T22:13:30Z", "created_at": "2023-11-14T22:13:20Z",
    });
    assert_eq!(schedule, expected);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let tasks = world.get("/v1/tasks").await.expect(200).json();
    let task = &tasks["items"][0];
    assert_eq!(task["payload"], json!({ "at": "2023-11-14T22:13:30Z" }));
    assert_eq!((&task["schedule"], &task["slot"]), (&schedule["id"], &json!("2023-11-14T22:13:30Z")));
    let runs = world.get(&of(&schedule["id"], "/runs")).await.expect(200).json();
    let run = json!({ "at": "2023-11-14T22:13:30Z", "local": "2023-11-14T22:13:30+00:00", "outcome": "made",
        "task": task["id"], "state": "queued" });
    assert_eq!(runs, json!({ "items": [run] }));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_is_listed_changed_paused_run_and_removed() {
    let world = World::new();
    let first = world.schedule(&every("a", "1h")).await;
    let cron = json!({ "name": "b", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "overlap": "skip", "task":
        { "type": "demo", "tenant": "acme", "labels": { "k": "v" } } });
    let second = world.schedule(&cron).await;
    world.post("/v1/schedules", &every("a", "2h")).await.problem(409, "name_taken");
    let names =
        |page: &Value| page["items"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect::<Vec<_>>();
    let page = world.get("/v1/schedules?limit=1").await.expect(200).json();
    assert_eq!(names(&page), ["a"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let last = world.get(&format!("/v1/schedules?limit=1&cursor={cursor}")).await.expect(200).json();
    assert_eq!((names(&last), &last["next_cursor"]), (vec![json!("b")], &Value::Null));
    for (query, found) in [("name=a", vec!["a"]), ("tenant=acme", vec!["b"]), ("name=a&tenant=acme", vec![])] {
        assert_eq!(names(&world.get(&format!("/v1/schedules?{query}")).await.expect(200).json()), found, "{query}");
    }
    world.get("/v1/schedules?cursor=x").await.problem(422, "bad_cursor");

    let changed = world.patch(&second["id"], &json!({ "timezone": "Asia/Tokyo", "missed": { "cap": 7 } })).await;
    let changed = changed.expect(200).json();
    let told = (&changed["cron"], &changed["timezone"], &changed["missed"]["cap"], &changed["overlap"]);
    assert_eq!(told, (&json!("30 2 * * *"), &json!("Asia/Tokyo"), &json!(7), &json!("skip")));
    assert_eq!(changed["task"]["labels"], json!({ "k": "v" }), "what was not said stays");
    assert_eq!(changed["next_at"], "2023-11-15T17:30:00Z");
    let refused = world.patch(&first["id"], &json!({ "timezone": "UTC" })).await.problem(422, "invalid");
    assert_eq!(refused["errors"][0]["path"], "/timezone");
    world.patch(&first["id"], &json!({ "cron": "0 0 30 2 *" })).await.problem(422, "invalid");
    let third = world.schedule(&every("c", "1h")).await;
    world.patch(&third["id"], &json!({ "name": "a" })).await.problem(409, "name_taken");
    // A task that names no tenant stays that tenant's.
    let kept = world.patch(&second["id"], &json!({ "task": { "type": "other" } })).await.expect(200).json();
    assert_eq!(kept["task"]["tenant"], "acme");

    let paused = world.act(&of(&first["id"], ":pause")).await.expect(200).json();
    assert_eq!((&paused["paused"], &paused["next_at"]), (&json!(true), &Value::Null));
    tokio::time::sleep(Duration::from_secs(7_300)).await;
    assert_eq!(world.get(&of(&first["id"], "/runs")).await.expect(200).json()["items"], json!([]));
    let ran = world.act(&of(&first["id"], ":run")).await.expect(200).json();
    assert_eq!((&ran["type"], &ran["schedule"], &ran["state"]), (&json!("demo"), &first["id"], &json!("queued")));
    let resumed = world.act(&of(&first["id"], ":resume")).await.expect(200).json();
    assert_eq!(resumed["next_at"], "2023-11-15T01:13:20Z", "what came meanwhile was not missed");

    world.call("DELETE", &of(&first["id"], ""), &[], "").await.expect(200);
    for path in ["", "/preview", "/runs"] {
        world.get(&of(&first["id"], path)).await.problem(404, "schedule_not_found");
    }
    for action in [":run", ":pause", ":resume"] {
        world.act(&of(&first["id"], action)).await.problem(404, "schedule_not_found");
    }
    world.patch(&first["id"], &json!({})).await.problem(404, "schedule_not_found");
    world.get("/v1/schedules/x").await.problem(404, "schedule_not_found");
}

#[tokio::test(start_paused = true)]
async fn slots_that_are_to_come_are_told_in_both_clocks() {
    let world = World::new();
    let berlin = json!({ "cron": "30 2 * * *", "timezone": "Europe/Berlin", "starts_at": "2026-03-27T12:00:00Z" });
    let told = world.post("/v1/schedules:preview?count=3", &berlin).await.expect(200).json();
    let slot = |at: &str, local: &str| json!({ "at": at, "local": local });
    // The clocks are put forward in that night: there is no half past two.
    let expected = [
        slot("2026-03-28T01:30:00Z", "2026-03-28T02:30:00+01:00"),
        slot("2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00"),
        slot("2026-03-30T00:30:00Z", "2026-03-30T02:30:00+02:00"),
    ];
    assert_eq!(told["items"], json!(expected));
    let mut new = berlin;
    new["name"] = json!("n");
    new["task"] = json!({ "type": "demo" });
    let schedule = world.schedule(&new).await;
    let same = world.get(&of(&schedule["id"], "/preview?count=3")).await.expect(200).json();
    assert_eq!(same, told);
    assert_eq!(world.get(&of(&schedule["id"], "/preview")).await.json()["items"].as_array().unwrap().len(), 10);
    world.get(&of(&schedule["id"], "/preview?count=1001")).await.problem(422, "invalid");
    for wrong in [json!({}), json!({ "cron": "0 0 31 2 *" }), json!({ "every": "1h", "task": { "type": "t" } })] {
        world.post("/v1/schedules:preview", &wrong).await.problem(422, "invalid");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_wrongly_is_refused_with_its_place() {
    let world = World::new();
    let refused = |new: Value| {
        let world = &world;
        async move { world.post("/v1/schedules", &new).await.problem(422, "invalid") }
    };
    let problem = refused(json!({ "every": "1h", "cron": "x", "task": { "type": "t", "delay": "1s" } })).await;
    let paths: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|it| it["path"].clone()).collect();
    assert_eq!(paths, ["/every", "/task/delay", "/cron", "/name"]);
    let never = refused(json!({ "name": "n", "at": "2020-01-01T00:00:00Z", "task": { "type": "t" } })).await;
    assert!(never["detail"].as_str().unwrap().contains("never comes"), "{never}");
    refused(json!({ "name": "n", "every": "1h", "ends_at": "2020-01-01T00:00:00Z", "task": { "type": "t" } })).await;
    let grouped = json!({ "name": "n", "every": "1h", "task": { "type": "t", "group": "g" } });
    world.post("/v1/schedules", &grouped).await.problem(422, "not_supported");
}

#[tokio::test(start_paused = true)]
async fn a_slot_whose_task_is_refused_says_so() {
    let world = World::new();
    let schedule = world.schedule(&every("s", "10s")).await;
    world.submit(&json!({ "type": "demo" })).await;
    world.act("/v1/queues/default:drain").await.expect(200);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let runs = world.get(&of(&schedule["id"], "/runs")).await.expect(200).json();
    assert_eq!((&runs["items"][0]["outcome"], &runs["items"][0]["task"]), (&json!("refused"), &Value::Null));
    world.act(&of(&schedule["id"], ":run")).await.problem(409, "queue_draining");
}
