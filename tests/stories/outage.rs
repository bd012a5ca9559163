//! The server is away for longer than leases last.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tasklane_testkit::ServerOptions;
use tasklane_testkit::story::story;

#[test]
fn an_outage_expires_no_lease() {
    story("outage", || {
        let mut server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo" }));
        let leased = server.lease("w", "demo", 1, "2s");
        server.kill();
        // Longer than the lease: its worker could not renew it, and must not be punished for that.
        thread::sleep(Duration::from_millis(2500));
        server.start();
        let other = json!({ "worker": "v", "lanes": [{ "types": ["demo"] }], "limit": 1, "wait": "500ms" });
        assert!(server.tasks_of(&other).is_empty(), "the lease ended with the outage");
        let done = json!({ "worker": "w", "succeed": [{ "id": id, "lease": leased[0]["lease"], "result": 1 }] });
        assert_eq!(server.report(&done)["lost"], json!([]));
        let task = server.task(&id);
        assert_eq!((&task["state"], &task["attempt"]), (&json!("succeeded"), &json!(1)), "{task}");

        // A worker that died with the server is found out all the same: its lease counts anew, and then it is over.
        let id = server.submit(&json!({ "type": "demo" }));
        server.lease("w", "demo", 1, "1s");
        server.kill();
        server.start();
        let again = server.lease("v", "demo", 1, "30s");
        assert_eq!((&again[0]["id"], &again[0]["attempt"]), (&json!(id), &json!(2)));
    });
}
