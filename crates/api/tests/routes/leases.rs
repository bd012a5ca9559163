//! Leases and reports.

use std::time::Duration;

use serde_json::{Value, json};
use tower::ServiceExt;

use crate::world::{JSON, World, demo, request};

fn wish() -> Value {
    json!({ "worker": "w", "lanes": [{ "types": ["demo"] }], "limit": 10 })
}

#[tokio::test(start_paused = true)]
async fn a_lease_carries_what_a_worker_needs() {
    let world = World::new();
    let task = json!({ "type": "demo", "queue": "q", "payload": { "x": 1 }, "tenant": "t", "labels": { "a": "b" },
        "attempt_timeout": "5m", "heartbeat_timeout": "30s", "deadline": "2030-01-01T00:00:00Z" });
    let id = world.submit(&task).await;
    let reply = world.post("/v1/leases", &wish()).await.expect(200).json();
    let lease = reply["tasks"][0]["lease"].as_str().unwrap();
    assert!(lease.len() == 38 && !lease.contains(&id), "opaque: {lease}");
    assert_eq!(
        reply,
        json!({ "cancel": [], "tasks": [{ "id": id, "type": "demo", "queue": "q", "payload": { "x": 1 }, "attempt": 1,
            "lease": lease, "labels": { "a": "b" }, "tenant": "t", "attempt_timeout": "5m", "heartbeat_timeout": "30s",
            "deadline": "2030-01-01T00:00:00Z" }] })
    );
    assert_eq!(world.task(&id).await["state"], "running");
}

#[tokio::test(start_paused = true)]
async fn an_empty_wait_is_answered_without_a_body() {
    let world = World::new();
    let before = tokio::time::Instant::now();
    let mut patient = wish();
    patient["wait"] = json!("3s");
    let reply = world.post("/v1/leases", &patient).await.expect(204);
    assert!(reply.body.is_empty());
    assert_eq!(before.elapsed(), Duration::from_secs(3));
    world.submit(&demo()).await;
    let mut none = wish();
    none["limit"] = json!(0);
    world.post("/v1/leases", &none).await.expect(204);
    let mut elsewhere = wish();
    elsewhere["lanes"] = json!([{ "queue": "elsewhere", "types": ["*", "demo"] }]);
    world.post("/v1/leases", &elsewhere).await.expect(204);
    elsewhere["lanes"] = json!([{ "queue": "*", "types": ["*", "nope"] }]);
    world.post("/v1/leases", &elsewhere).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_lease_request_is_refused() {
    let world = World::new();
    for (member, path, value) in [
        ("worker", "/worker", json!("")),
        ("worker", "/worker", json!(5)),
        ("lanes", "/lanes", json!([])),
        ("lanes", "/lanes", json!("x")),
        ("lanes", "/lanes/0/types", json!([{ "types": [] }])),
        ("lanes", "/lanes/0/types", json!([{}])),
        ("lanes", "/lanes/0/types/0", json!([{ "types": ["a b"] }])),
        ("lanes", "/lanes/0/queue", json!([{ "types": ["a"], "queue": "~x" }])),
        ("limit", "/limit", json!(1001)),
        ("limit", "/limit", json!(-1)),
        ("lease", "/lease", json!("999ms")),
        ("lease", "/lease", json!("1h1s")),
        ("wait", "/wait", json!("31s")),
        ("request", "/request", json!("")),
        ("nope", "/nope", json!(1)),
    ] {
        let mut request = wish();
        request[member] = value.clone();
        let problem = world.post("/v1/leases", &request).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["path"], path, "{member}: {value}: {problem}");
    }
    for member in ["worker", "lanes", "limit"] {
        let mut request = wish();
        request.as_object_mut().unwrap().remove(member);
        let problem = world.post("/v1/leases", &request).await.problem(422, "invalid");
        assert_eq!(problem["errors"], json!([{ "path": format!("/{member}"), "message": "this field is required" }]));
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_request_gets_the_same_tasks() {
    let world = World::new();
    world.submit(&demo()).await;
    world.submit(&demo()).await;
    let mut named = wish();
    named["request"] = json!("r1");
    named["limit"] = json!(1);
    let first = world.post("/v1/leases", &named).await.expect(200).json();
    assert_eq!(world.post("/v1/leases", &named).await.expect(200).json()["tasks"], first["tasks"]);
    named["request"] = json!("r2");
    assert_ne!(world.post("/v1/leases", &named).await.expect(200).json()["tasks"], first["tasks"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_took_releases_its_leases() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let report = json!({ "worker": "w", "want": wish() });
    for (path, body) in [("/v1/leases", wish()), ("/v1/reports", report)] {
        let response = world.router.clone().oneshot(request("POST", path, &[JSON], body.to_string())).await.unwrap();
        assert_eq!(world.task(&id).await["state"], "running");
        drop(response);
        tokio::time::sleep(Duration::from_millis(1)).await;
        let task = world.task(&id).await;
        assert_eq!(
            (&task["state"], &task["reason"], &task["spent"]),
            (&json!("queued"), &json!("released"), &json!(0))
        );
    }
    world.post("/v1/leases", &wish()).await.expect(200);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.task(&id).await["state"], "running", "an answer that was taken keeps its leases");
}

#[tokio::test(start_paused = true)]
async fn a_named_request_whose_answer_nobody_took_gets_work_again() {
    let world = World::new();
    world.submit(&demo()).await;
    let mut named = wish();
    named["request"] = json!("r1");
    drop(world.router.clone().oneshot(request("POST", "/v1/leases", &[JSON], named.to_string())).await.unwrap());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let again = world.post("/v1/leases", &named).await.expect(200).json();
    let leased = &again["tasks"][0];
    assert_eq!(leased["attempt"], 2, "the first attempt was released");
    assert_eq!(world.report("succeed", leased, &json!({})).await["lost"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_while_it_waits_takes_nothing_with_it() {
    let world = World::new();
    let mut patient = wish();
    patient["wait"] = json!("30s");
    let parked = world.post("/v1/leases", &patient);
    assert!(tokio::time::timeout(Duration::from_secs(1), parked).await.is_err());
    let id = world.submit(&demo()).await;
    assert_eq!(world.task(&id).await["state"], "queued");
    assert_eq!(world.lease(1).await[0]["attempt"], 1);
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_carried_to_the_task() {
    let world = World::new();
    let retry = json!({ "initial": "1h", "max": "1h", "jitter": false });
    for (verb, members, state) in [
        ("succeed", json!({ "result": 1 }), "succeeded"),
        ("fail", json!({}), "retrying"),
        ("fail", json!({ "kind": "permanent" }), "failed"),
        ("fail", json!({ "retryable": false }), "failed"),
        ("fail", json!({ "kind": "permanent", "retryable": true, "retry_after": "5s" }), "failed"),
        ("release", json!({}), "queued"),
        ("snooze", json!({ "for": "1h" }), "scheduled"),
        ("cancelled", json!({}), "cancelled"),
    ] {
        let id = world.submit(&json!({ "type": "demo", "retry": retry })).await;
        let leased = world.lease(1).await;
        assert_eq!(leased[0]["id"], id.as_str());
        let reply = world.report(verb, &leased[0], &members).await;
        assert_eq!(reply, json!({ "lost": [], "cancel": [], "tasks": [] }));
        let task = world.task(&id).await;
        // A contradiction (permanent, yet retryable) is for the rules to judge; here only what is not one.
        if members.get("retry_after").is_none() {
            assert_eq!(task["state"], state, "{verb} {members}: {task}");
        }
        world.act(&format!("/v1/tasks/{id}:cancel")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_foreign_late_or_made_up_lease_is_lost() {
    let world = World::new();
    world.submit(&demo()).await;
    world.submit(&demo()).await;
    let leased = world.lease(2).await;
    let (one, two) = (&leased[0], &leased[1]);
    let crossed = json!({ "worker": "w",
        "succeed": [{ "id": one["id"], "lease": two["lease"], "result": 1 }],
        "renew": [{ "id": two["id"], "lease": one["lease"] }, { "id": two["id"], "lease": "made-up" }],
    });
    let reply = world.post("/v1/reports", &crossed).await.expect(200).json();
    let mut both = vec![one["id"].clone(), two["id"].clone()];
    both.sort_by_key(Value::to_string);
    assert_eq!(reply["lost"], json!(both));
    assert_eq!(world.task(one["id"].as_str().unwrap()).await["state"], "running");

    assert_eq!(world.report("succeed", one, &json!({ "result": 1 })).await["lost"], json!([]));
    assert_eq!(
        world.report("succeed", one, &json!({ "result": 1 })).await["lost"],
        json!([]),
        "the same twice is silent"
    );
    assert_eq!(world.report("fail", one, &json!({})).await["lost"], json!([one["id"]]));

    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(world.report("succeed", two, &json!({ "result": 1 })).await["lost"], json!([two["id"]]));
    assert_eq!(world.task(two["id"].as_str().unwrap()).await["reason"], "lease_lost");
}

#[tokio::test(start_paused = true)]
async fn a_report_renews_tells_progress_and_asks_for_more() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let leased = world.lease(1).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(world.report("renew", &leased[0], &json!({})).await["lost"], json!([]));
    }
    let progress = json!({ "percent": 50, "message": "half", "data": { "n": 1 } });
    world.report("progress", &leased[0], &progress).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.report("renew", &leased[0], &json!({})).await;
    let got = world.task(&id).await["progress"].clone();
    assert_eq!((&got["percent"], &got["message"], &got["data"]), (&json!(50.0), &json!("half"), &json!({ "n": 1 })));
    let next = world.submit(&demo()).await;
    let done = json!({ "worker": "w", "want": wish(),
        "succeed": [{ "id": id, "lease": leased[0]["lease"], "result": null }] });
    let reply = world.post("/v1/reports", &done).await.expect(200).json();
    assert_eq!((&reply["tasks"][0]["id"], &reply["lost"]), (&json!(next), &json!([])));
    world.act(&format!("/v1/tasks/{next}:cancel")).await.expect(200);
    let told = world.report("renew", &reply["tasks"][0], &json!({})).await;
    assert_eq!(told["cancel"], json!([next]));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_report_is_refused() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let lease = world.lease(1).await[0]["lease"].clone();
    let item = |members: Value| {
        let mut item = json!({ "id": id, "lease": lease });
        item.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!([item])
    };
    for (list, path, value) in [
        ("nope", "/nope", json!([])),
        ("succeed", "/succeed", json!({})),
        ("succeed", "/succeed/0", json!([5])),
        ("succeed", "/succeed/0/id", json!([{ "lease": "x" }])),
        ("succeed", "/succeed/0/id", json!([{ "id": "x", "lease": "x" }])),
        ("succeed", "/succeed/0/lease", json!([{ "id": id }])),
        ("succeed", "/succeed/0/lease", json!([{ "id": id, "lease": 5 }])),
        ("succeed", "/succeed/0/nope", item(json!({ "nope": 1 }))),
        ("renew", "/renew/0/result", item(json!({ "result": 1 }))),
        ("fail", "/fail/0/kind", item(json!({ "kind": "bad" }))),
        ("fail", "/fail/0/retry_after", item(json!({ "retry_after": "5" }))),
        ("fail", "/fail/0/retryable", item(json!({ "retryable": 1 }))),
        ("snooze", "/snooze/0/for", item(json!({}))),
        ("progress", "/progress/0/percent", item(json!({ "percent": 101 }))),
        ("want", "/want/limit", json!({ "lanes": [{ "types": ["a"] }] })),
        ("want", "/want/worker", json!({ "worker": "other", "lanes": [{ "types": ["a"] }], "limit": 1 })),
    ] {
        let problem = world.post("/v1/reports", &json!({ "worker": "w", list: value })).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["path"], path, "{list}: {problem}");
    }
    world.post("/v1/reports", &json!({})).await.problem(422, "invalid");
    let large = item(json!({ "result": "x".repeat(1 << 20) }));
    let problem = world.post("/v1/reports", &json!({ "worker": "w", "succeed": large })).await;
    assert_eq!(problem.problem(413, "payload_too_large")["errors"][0]["path"], "/succeed/0/result");
    assert_eq!(world.task(&id).await["state"], "running");
}

#[tokio::test(start_paused = true)]
async fn long_words_about_a_failure_are_cut() {
    let world = World::new();
    let id = world.submit(&json!({ "type": "demo", "max_attempts": 1 })).await;
    let leased = world.lease(1).await;
    let long = "x".repeat(100_000);
    world.report("fail", &leased[0], &json!({ "message": long, "stack": long, "details": { "a": long } })).await;
    let failure = world.task(&id).await["failure"].clone();
    assert!(
        failure["message"].as_str().unwrap().len() < 9_000 && failure["message"].as_str().unwrap().ends_with("[cut]")
    );
    assert!(failure["stack"].as_str().unwrap().len() < 66_000);
    assert_eq!(failure["details"], "… [cut]");
}
