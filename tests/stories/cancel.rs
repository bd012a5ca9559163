//! A cancellation reaches running work at once, wherever it runs.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_testkit::process::until;
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions};

/// Far below the grace of 10 s, after which a lease is void anyway.
const AT_ONCE: Duration = Duration::from_secs(5);

fn cancel(server: &Server, id: &str) -> serde_json::Value {
    server.act(&format!("/v1/tasks/{id}:cancel")).expect(200).json()
}

fn until_running(server: &Server, id: &str) {
    until("the task to run", Duration::from_secs(20), || (server.task(id)["state"] == "running").then_some(()));
}

#[test]
fn what_does_not_run_is_cancelled_on_the_spot() {
    story("cancel::not_running", || {
        let server = ServerOptions::without_executors().start();
        for task in [json!({ "type": "demo" }), json!({ "type": "demo", "delay": "1h" })] {
            let id = server.submit(&task);
            assert_eq!(cancel(&server, &id)["state"], "cancelled");
        }
        let lanes = json!({ "worker": "w", "lanes": [{ "types": ["demo"] }], "limit": 5 });
        assert_eq!(server.post("/v1/leases", &lanes).status, 204, "a cancelled task was leased");
    });
}

#[test]
fn an_executor_of_the_server_stops_at_once() {
    story("cancel::in_server", || {
        let server = ServerOptions::default().start();
        let id = server.submit(&json!({ "type": "data_processing", "payload": { "processing_time": 600 } }));
        until_running(&server, &id);
        let start = Instant::now();
        assert_eq!(cancel(&server, &id)["cancel_requested"], true);
        let task = server.finished(&id);
        assert_eq!(task["state"], "cancelled");
        assert!(start.elapsed() < AT_ONCE, "cancelled after {:?}", start.elapsed());
    });
}

#[test]
fn a_parked_worker_is_told_at_once_and_may_still_say_what_it_had() {
    story("cancel::parked", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo" }));
        let leased = server.lease("w", "demo", 1, "60s");
        let lease = leased[0]["lease"].clone();
        let told = thread::scope(|scope| {
            let parked = scope.spawn(|| {
                let wish = json!({ "worker": "w", "lanes": [{ "types": ["demo"] }], "limit": 1, "wait": "30s" });
                let start = Instant::now();
                (server.post("/v1/leases", &wish).expect(200).json(), start.elapsed())
            });
            // Parked or about to be: both must be answered. The pause only makes the first the likelier.
            thread::sleep(Duration::from_millis(200));
            cancel(&server, &id);
            parked.join().unwrap()
        });
        assert_eq!(told.0["cancel"], json!([id]), "{}", told.0);
        assert!(told.1 < AT_ONCE, "told after {:?}", told.1);
        // Any report with a valid lease settles it as cancelled; a success keeps its result in the attempt.
        server.report(&json!({ "worker": "w", "succeed": [{ "id": id, "lease": lease, "result": "done anyway" }] }));
        let task = server.task(&id);
        assert_eq!((&task["state"], &task["result"]), (&json!("cancelled"), &json!(null)), "{task}");
        let attempts = server.get(&format!("/v1/tasks/{id}/attempts")).expect(200).json();
        assert_eq!(attempts["items"][0]["result"], "done anyway", "{attempts}");
    });
}

#[test]
fn a_renewing_worker_is_told_and_a_deaf_one_loses_its_lease() {
    story("cancel::grace", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo" }));
        let leased = server.lease("w", "demo", 1, "60s");
        cancel(&server, &id);
        assert_eq!(server.task(&id)["state"], "running", "a running task is asked first");
        let renewal = json!({ "worker": "w", "renew": [{ "id": id, "lease": leased[0]["lease"] }] });
        assert_eq!(server.report(&renewal)["cancel"], json!([id]));
        // It never listens: ten seconds after it was told, its lease is void, though it lasts a minute.
        let task = until("the grace to end", Duration::from_secs(20), || {
            let task = server.task(&id);
            (task["state"] == "cancelled").then_some(task)
        });
        assert_eq!(task["cancel_requested"], true);
        let late = json!({ "worker": "w", "succeed": [{ "id": id, "lease": leased[0]["lease"], "result": 1 }] });
        assert_eq!(server.report(&late)["lost"], json!([id]));
    });
}
