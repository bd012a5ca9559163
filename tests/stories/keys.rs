//! Sameness: idempotency keys, ids of the caller, unique keys.

use serde_json::{Value, json};
use tasklane_testkit::story::story;
use tasklane_testkit::{Reply, Server, ServerOptions};

fn with_key(server: &Server, key: &str, task: &Value) -> Reply {
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
    server.connect().call("POST", "/v1/tasks", &headers, task.to_string().as_bytes()).unwrap()
}

#[test]
fn a_repeated_submit_is_one_task() {
    story("keys::idempotency", || {
        let mut server = ServerOptions::without_executors().start();
        let task = json!({ "type": "demo", "payload": { "a": 1 } });
        let first = with_key(&server, "k1", &task).expect(201).json();
        let again = with_key(&server, "k1", &task).expect(200).json();
        assert_eq!(first["id"], again["id"]);
        with_key(&server, "k1", &json!({ "type": "demo", "payload": 2 })).problem(422, "idempotency_mismatch");
        let other_tenant = json!({ "type": "demo", "payload": { "a": 1 }, "tenant": "t" });
        assert_ne!(with_key(&server, "k1", &other_tenant).expect(201).json()["id"], first["id"]);
        server.kill();
        server.start();
        assert_eq!(with_key(&server, "k1", &task).expect(200).json()["id"], first["id"], "the key was forgotten");
    });
}

#[test]
fn an_id_of_the_caller_is_taken_once() {
    story("keys::id", || {
        let server = ServerOptions::without_executors().start();
        let id = uuid::Uuid::now_v7().to_string();
        let task = json!({ "type": "demo", "id": id });
        assert_eq!(server.post("/v1/tasks", &task).expect(201).json()["id"], id.as_str());
        server.post("/v1/tasks", &task).expect(200);
        server.post("/v1/tasks", &json!({ "type": "other", "id": id })).problem(409, "id_taken");
    });
}

#[test]
fn a_unique_key_is_held_while_unfinished() {
    story("keys::unique", || {
        let server = ServerOptions::without_executors().start();
        let task = |payload: u32, policy: &str| json!({ "type": "demo", "payload": payload, "unique": { "key": "k", "policy": policy } });
        let holder = server.submit(&task(1, "return"));
        assert_eq!(server.post("/v1/tasks", &task(2, "return")).expect(200).json()["id"], holder.as_str());
        server.post("/v1/tasks", &task(3, "reject")).problem(409, "unique_held");
        server.post("/v1/tasks", &task(4, "replace")).expect(200);
        assert_eq!(server.task(&holder)["payload"], 4);
        let leased = server.lease("w", "demo", 1, "30s");
        assert_eq!(leased[0]["payload"], 4);
        server.post("/v1/tasks", &task(5, "replace")).expect(200);
        assert_eq!(server.task(&holder)["payload"], 4, "a started task was rewritten");
        let done = json!({ "worker": "w", "succeed": [{ "id": holder, "lease": leased[0]["lease"], "result": 1 }] });
        server.report(&done);
        let second = server.submit(&task(6, "reject"));
        assert_ne!(second, holder);
        server.act(&format!("/v1/tasks/{second}:cancel")).expect(200);
        let third = server.submit(&task(7, "reject"));
        server.act(&format!("/v1/tasks/{second}:retry")).problem(409, "unique_held");
        server.act(&format!("/v1/tasks/{third}:cancel")).expect(200);
        server.act(&format!("/v1/tasks/{second}:retry")).expect(200);
    });
}
