//! The road of a task as a caller and a worker see it, and what every kind of outcome makes of it.

use serde_json::{Value, json};
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions};

/// Submits a task, leases it and reports one outcome; answers with the task after that.
fn outcome(server: &Server, task: &Value, verb: &str, mut item: Value) -> Value {
    let id = server.submit(task);
    let leased = server.lease("w", task["type"].as_str().unwrap(), 1, "30s");
    assert_eq!(leased[0]["id"], id.as_str());
    item["id"] = json!(id);
    item["lease"] = leased[0]["lease"].clone();
    let reply = server.report(&json!({ "worker": "w", verb: [item] }));
    assert_eq!(reply, json!({ "lost": [], "cancel": [], "tasks": [] }));
    server.task(&id)
}

#[test]
fn accept_lease_settle_read() {
    story("one_road::straight", || {
        let server = ServerOptions::without_executors().start();
        let task = json!({ "type": "straight", "payload": { "x": [1, 2] }, "labels": { "a": "b" }, "tenant": "t", "priority": "high" });
        let reply = server.post("/v1/tasks", &task).expect(201);
        let accepted = reply.json();
        let id = accepted["id"].as_str().unwrap();
        assert!(reply.header("location").is_some_and(|it| it.ends_with(&format!("/v1/tasks/{id}"))));
        assert_eq!(accepted["state"], "queued");
        server.get(&format!("/v1/tasks/{id}/result")).problem(409, "task_not_finished");

        let leased = server.lease("worker-7", "straight", 10, "30s");
        assert_eq!(leased.len(), 1);
        let task = &leased[0];
        for (member, value) in [
            ("type", json!("straight")),
            ("queue", json!("default")),
            ("attempt", json!(1)),
            ("payload", json!({ "x": [1, 2] })),
            ("labels", json!({ "a": "b" })),
            ("tenant", json!("t")),
        ] {
            assert_eq!(task[member], value, "{member}");
        }
        assert_eq!(server.task(id)["state"], "running");
        assert_eq!(server.task(id)["worker"], "worker-7");
        let progress = json!({ "worker": "worker-7", "progress": [{ "id": id, "lease": task["lease"], "percent": 50, "message": "half" }] });
        server.report(&progress);
        let lease = task["lease"].clone();
        server.report(
            &json!({ "worker": "worker-7", "succeed": [{ "id": id, "lease": lease, "result": { "y": "ü" } }] }),
        );
        let done = server.finished(id);
        assert_eq!((&done["state"], &done["attempt"], &done["spent"]), (&json!("succeeded"), &json!(1), &json!(1)));
        assert_eq!(server.get(&format!("/v1/tasks/{id}/result")).expect(200).json(), json!({ "y": "ü" }));
        let attempts = server.get(&format!("/v1/tasks/{id}/attempts")).expect(200).json();
        assert_eq!(attempts["items"].as_array().unwrap().len(), 1, "{attempts}");
    });
}

#[test]
fn every_outcome_leads_where_it_should() {
    story("one_road::outcomes", || {
        let server = ServerOptions::without_executors().start();
        let twice = json!({ "type": "a", "max_attempts": 2, "retry": { "initial": "1h", "factor": 1, "max": "1h", "jitter": false } });
        let retrying = outcome(&server, &twice, "fail", json!({ "message": "no" }));
        assert_eq!((&retrying["state"], &retrying["spent"]), (&json!("retrying"), &json!(1)));
        assert_eq!(retrying["failure"]["kind"], "error");
        assert_eq!(retrying["failure"]["message"], "no");

        let once = json!({ "type": "b", "max_attempts": 1 });
        let spent = outcome(&server, &once, "fail", json!({ "message": "no" }));
        assert_eq!((&spent["state"], &spent["reason"]), (&json!("failed"), &json!("attempts_spent")));
        server.get(&format!("/v1/tasks/{}/result", spent["id"].as_str().unwrap())).problem(422, "task_failed");

        let permanent =
            outcome(&server, &json!({ "type": "c" }), "fail", json!({ "message": "no", "kind": "permanent" }));
        assert_eq!((&permanent["state"], &permanent["reason"]), (&json!("failed"), &json!("permanent")));
        let useless = outcome(&server, &json!({ "type": "d" }), "fail", json!({ "message": "no", "retryable": false }));
        assert_eq!(useless["state"], "failed");

        let later =
            outcome(&server, &json!({ "type": "e" }), "fail", json!({ "message": "no", "retry_after": "250ms" }));
        assert_eq!(later["state"], "retrying");
        assert_eq!(server.lease("w", "e", 1, "30s")[0]["attempt"], 2, "the worker's own retry_after");

        let snoozed = outcome(&server, &json!({ "type": "f" }), "snooze", json!({ "for": "1h" }));
        assert_eq!((&snoozed["state"], &snoozed["spent"]), (&json!("scheduled"), &json!(0)));

        let released = outcome(&server, &json!({ "type": "g" }), "release", json!({}));
        assert_eq!((&released["state"], &released["spent"]), (&json!("queued"), &json!(0)));
        assert_eq!(server.lease("w", "g", 1, "30s")[0]["attempt"], 2, "numbers never repeat");

        let cancelled = outcome(&server, &json!({ "type": "h" }), "cancelled", json!({}));
        assert_eq!(cancelled["state"], "cancelled");
    });
}

#[test]
fn more_urgent_first_then_first_come() {
    story("one_road::order", || {
        let server = ServerOptions::without_executors().start();
        for (payload, priority) in [(1, 0), (2, 0), (3, 100), (4, -5), (5, 100)] {
            server.submit(&json!({ "type": "demo", "payload": payload, "priority": priority }));
        }
        let order: Vec<_> =
            server.lease("w", "demo", 10, "30s").iter().map(|it| it["payload"].as_u64().unwrap()).collect();
        assert_eq!(order, [3, 5, 1, 2, 4]);
    });
}

#[test]
fn a_submit_can_wait_for_its_result() {
    story("one_road::wait", || {
        let server = ServerOptions::default().start();
        let reply = server.post(
            "/v1/tasks?wait=30s",
            &json!({ "type": "data_processing", "payload": { "processing_time": 1, "record_count": 7 } }),
        );
        let task = reply.expect(201).json();
        assert_eq!(task["state"], "succeeded", "{task}");
        assert_eq!(task["result"]["processed_records"], 7, "{task}");
        let wrong = json!({ "type": "data_processing", "payload": { "processing_time": "soon" } });
        let failed = server.post("/v1/tasks?wait=30s", &wrong).expect(201).json();
        assert_eq!((&failed["state"], &failed["failure"]["kind"]), (&json!("failed"), &json!("permanent")), "{failed}");
    });
}
