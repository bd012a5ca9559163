//! Queues: paused, resumed, drained, counted.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions};

fn wish(server: &Server, queue: &str, wait: &str) -> Vec<serde_json::Value> {
    let wish = json!({ "worker": "w", "lanes": [{ "queue": queue, "types": ["*"] }], "limit": 10, "wait": wait });
    let reply = server.post("/v1/leases", &wish);
    if reply.status == 204 { Vec::new() } else { reply.expect(200).json()["tasks"].as_array().unwrap().clone() }
}

#[test]
fn a_paused_queue_accepts_and_gives_nothing_until_resumed() {
    story("queues::pause", || {
        let mut server = ServerOptions::without_executors().start();
        server.submit(&json!({ "type": "demo", "queue": "q" }));
        assert_eq!(server.act("/v1/queues/q:pause").expect(200).json()["state"], "paused");
        server.submit(&json!({ "type": "demo", "queue": "q" }));
        assert!(wish(&server, "q", "0s").is_empty(), "a paused queue gave a task");
        assert!(wish(&server, "*", "0s").is_empty(), "a paused queue gave a task");
        server.kill();
        server.start();
        assert_eq!(server.get("/v1/queues/q").expect(200).json()["state"], "paused", "a pause was forgotten");
        let got = thread::scope(|scope| {
            let parked = scope.spawn(|| wish(&server, "q", "30s"));
            thread::sleep(Duration::from_millis(100));
            assert_eq!(server.act("/v1/queues/q:resume").expect(200).json()["state"], "active");
            parked.join().unwrap()
        });
        assert_eq!(got.len(), 2, "resuming woke nobody");
    });
}

#[test]
fn a_draining_queue_finishes_and_takes_nothing_new() {
    story("queues::drain", || {
        let server = ServerOptions::without_executors().start();
        let task = json!({ "type": "demo", "queue": "q" });
        server.submit(&task);
        assert_eq!(server.act("/v1/queues/q:drain").expect(200).json()["state"], "draining");
        server.post("/v1/tasks", &task).problem(409, "queue_draining");
        server.submit(&json!({ "type": "demo", "queue": "other" }));
        assert_eq!(wish(&server, "q", "0s").len(), 1, "a draining queue finishes what it has");
        server.act("/v1/queues/q:resume").expect(200);
        server.submit(&task);
    });
}

#[test]
fn queues_are_counted_by_state() {
    story("queues::counts", || {
        let server = ServerOptions::without_executors().start();
        for _ in 0..3 {
            server.submit(&json!({ "type": "demo", "queue": "q" }));
        }
        server.submit(&json!({ "type": "demo", "queue": "q", "delay": "1h" }));
        server.lease("w", "demo", 1, "30s");
        let queue = server.get("/v1/queues/q").expect(200).json();
        let counts = json!({ "scheduled": 1, "blocked": 0, "queued": 2, "running": 1, "waiting": 0, "retrying": 0 });
        assert_eq!(queue["counts"], counts, "{queue}");
        assert!(queue["verdict"].is_string() && queue["oldest_queued_age"].is_string(), "{queue}");
        let names = server.get("/v1/queues").expect(200).json();
        assert_eq!(names["items"].as_array().unwrap().len(), 1, "{names}");
    });
}
