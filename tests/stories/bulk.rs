//! One action to many tasks: counted first, then done by a task of a system queue.

use serde_json::{Value, json};
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions};

fn bulk(server: &Server, body: &Value) -> Value {
    let task = server.post("/v1/tasks:bulk?wait=30s", body).expect(201).json();
    assert_eq!(task["state"], "succeeded", "{task}");
    task["result"].clone()
}

fn counts(server: &Server, queue: &str) -> Value {
    server.get(&format!("/v1/queues/{queue}")).expect(200).json()["counts"].clone()
}

#[test]
fn what_the_filter_names_is_counted_and_then_done() {
    story("bulk::filter", || {
        let server = ServerOptions::without_executors().start();
        let many: Vec<_> = (0..450).map(|n| json!({ "type": "a", "labels": { "odd": (n % 2).to_string() } })).collect();
        server.post("/v1/tasks:batch", &json!(many)).expect(201);
        let odd = json!({ "filter": { "type": "a", "labels": { "odd": "1" } }, "action": "cancel", "dry_run": true });
        let told = bulk(&server, &odd);
        assert_eq!((&told["matched"], &told["changed"]), (&json!(225), &json!(0)));
        assert_eq!(told["sample"].as_array().unwrap().len(), 20);
        assert_eq!(counts(&server, "default")["queued"], 450, "a dry run changes nothing");
        let mut really = odd.clone();
        really["dry_run"] = json!(false);
        assert_eq!(bulk(&server, &really)["changed"], 225);
        assert_eq!(counts(&server, "default")["queued"], 225);
        let again = json!({ "filter": { "state": "cancelled" }, "action": "retry" });
        assert_eq!(bulk(&server, &again)["changed"], 225);
        assert_eq!(counts(&server, "default")["queued"], 450);
    });
}

#[test]
fn a_purge_leaves_what_runs() {
    story("bulk::purge", || {
        let server = ServerOptions::without_executors().start();
        for queue in ["q", "q", "q", "other"] {
            server.submit(&json!({ "type": "a", "queue": queue }));
        }
        server.submit(&json!({ "type": "a", "queue": "q", "delay": "1h" }));
        let wish = json!({ "worker": "w", "lanes": [{ "queue": "q", "types": ["*"] }], "limit": 1 });
        server.post("/v1/leases", &wish).expect(200);
        let reply = server.act("/v1/queues/q:purge").expect(200);
        let location = reply.header("location").unwrap().to_owned();
        let done = server.get(&format!("{location}?wait=30s")).expect(200).json();
        assert_eq!((&done["state"], &done["result"]["changed"]), (&json!("succeeded"), &json!(3)), "{done}");
        let left = counts(&server, "q");
        assert_eq!((&left["running"], &left["queued"], &left["scheduled"]), (&json!(1), &json!(0), &json!(0)));
        assert_eq!(counts(&server, "other")["queued"], 1);
    });
}
