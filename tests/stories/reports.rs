//! A lease is a fence: only its holder's reports count, each item stands alone, and late ones are named under `lost`.

use serde_json::{Value, json};
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions};

fn succeed(server: &Server, id: &Value, lease: &Value, result: u32) -> Value {
    server.report(&json!({ "worker": "w", "succeed": [{ "id": id, "lease": lease, "result": result }] }))["lost"]
        .clone()
}

#[test]
fn a_foreign_lease_settles_nothing() {
    story("reports::foreign_lease", || {
        let server = ServerOptions::without_executors().start();
        server.submit(&json!({ "type": "demo" }));
        server.submit(&json!({ "type": "demo" }));
        let leased = server.lease("w", "demo", 2, "30s");
        let (one, two) = (&leased[0], &leased[1]);
        let crossed = json!({ "worker": "w",
            "succeed": [{ "id": one["id"], "lease": two["lease"], "result": 1 }],
            "renew": [{ "id": two["id"], "lease": one["lease"] }],
        });
        let reply = server.post("/v1/reports", &crossed);
        // A lease binds its id, so a mixed pair may also be called invalid; it must never settle anything.
        if reply.status == 200 {
            let lost = reply.json()["lost"].clone();
            assert_eq!(lost.as_array().unwrap().len(), 2, "{lost}");
        } else {
            assert_eq!(reply.status, 422);
        }
        assert_eq!(server.task(one["id"].as_str().unwrap())["state"], "running");
        for lease in [json!("nonsense"), json!(""), json!(5)] {
            let report = json!({ "worker": "w", "succeed": [{ "id": one["id"], "lease": lease, "result": 1 }] });
            let reply = server.post("/v1/reports", &report);
            let refused = reply.status == 422 || reply.json()["lost"] == json!([one["id"]]);
            assert!(refused, "lease {lease}: {}", reply.text());
        }
        assert_eq!(server.task(one["id"].as_str().unwrap())["state"], "running");
        assert_eq!(succeed(&server, &one["id"], &one["lease"], 1), json!([]));
    });
}

#[test]
fn the_same_twice_is_silent_and_another_is_lost() {
    story("reports::twice", || {
        let server = ServerOptions::without_executors().start();
        server.submit(&json!({ "type": "demo" }));
        let leased = server.lease("w", "demo", 1, "30s");
        let (id, lease) = (&leased[0]["id"], &leased[0]["lease"]);
        assert_eq!(succeed(&server, id, lease, 1), json!([]));
        assert_eq!(
            succeed(&server, id, lease, 1),
            json!([]),
            "the same outcome with the same lease is accepted silently"
        );
        let other = json!({ "worker": "w", "fail": [{ "id": id, "lease": lease, "message": "no" }] });
        assert_eq!(server.report(&other)["lost"], json!([id]));
        let task = server.task(id.as_str().unwrap());
        assert_eq!((&task["state"], &task["result"], &task["spent"]), (&json!("succeeded"), &json!(1), &json!(1)));
    });
}

#[test]
fn a_late_report_is_lost_and_the_second_worker_counts() {
    story("reports::late", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo" }));
        let first = server.lease("slow", "demo", 1, "1s");
        // This waits until the first lease is over.
        let second = server.lease("quick", "demo", 1, "30s");
        assert_eq!((&second[0]["id"], &second[0]["attempt"]), (&json!(id), &json!(2)));
        let late = json!({ "worker": "slow",
            "succeed": [{ "id": id, "lease": first[0]["lease"], "result": "late" }],
            "renew": [{ "id": id, "lease": first[0]["lease"] }],
            "progress": [{ "id": id, "lease": first[0]["lease"], "percent": 99 }],
        });
        assert_eq!(server.report(&late)["lost"], json!([id]), "named once, whatever the number of items");
        assert_eq!(server.task(&id)["state"], "running");
        assert!(server.task(&id)["progress"]["percent"] != 99, "progress under a lost lease was kept");
        server.report(
            &json!({ "worker": "quick", "succeed": [{ "id": id, "lease": second[0]["lease"], "result": "fresh" }] }),
        );
        assert_eq!(server.report(&late)["lost"], json!([id]));
        let task = server.task(&id);
        assert_eq!((&task["result"], &task["attempt"], &task["spent"]), (&json!("fresh"), &json!(2), &json!(2)));
        let attempts = server.get(&format!("/v1/tasks/{id}/attempts")).expect(200).json();
        assert_eq!(attempts["items"][0]["reason"], "lease_lost", "{attempts}");
        assert_eq!(attempts["items"][0]["worker"], "slow", "{attempts}");
    });
}

#[test]
fn a_renewed_lease_holds() {
    story("reports::renewed", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo" }));
        let leased = server.lease("w", "demo", 1, "2s");
        let lease = &leased[0]["lease"];
        let renewal = json!({ "worker": "w", "renew": [{ "id": id, "lease": lease }] });
        // Another worker waits all the while and must get nothing.
        let start = std::time::Instant::now();
        let other = json!({ "worker": "v", "lanes": [{ "types": ["demo"] }], "limit": 1, "wait": "500ms" });
        while start.elapsed() < std::time::Duration::from_secs(4) {
            assert_eq!(server.report(&renewal)["lost"], json!([]));
            assert_eq!(server.post("/v1/leases", &other).status, 204);
        }
        assert_eq!(succeed(&server, &json!(id), lease, 1), json!([]));
        assert_eq!(server.task(&id)["attempt"], 1);
    });
}

#[test]
fn a_report_can_ask_for_more_and_a_request_is_repeatable() {
    story("reports::want", || {
        let server = ServerOptions::without_executors().start();
        for payload in 0..3 {
            server.submit(&json!({ "type": "demo", "payload": payload }));
        }
        let request = json!({ "worker": "w", "lanes": [{ "types": ["demo"] }], "limit": 1, "request": "r1" });
        let first = server.post("/v1/leases", &request).expect(200).json()["tasks"].clone();
        let again = server.post("/v1/leases", &request).expect(200).json()["tasks"].clone();
        assert_eq!(first, again, "the same request gets the same unreported tasks");
        let both = json!({ "worker": "w",
            "succeed": [{ "id": first[0]["id"], "lease": first[0]["lease"], "result": null }],
            "want": { "worker": "w", "lanes": [{ "types": ["demo"] }], "limit": 10 },
        });
        let reply = server.report(&both);
        assert_eq!(reply["lost"], json!([]));
        let payloads: Vec<_> = reply["tasks"].as_array().unwrap().iter().map(|it| it["payload"].clone()).collect();
        assert_eq!(payloads, [json!(1), json!(2)]);
    });
}

#[test]
fn a_wrong_lease_request_is_refused() {
    story("reports::bad_requests", || {
        let server = ServerOptions::without_executors().start();
        let good = json!({ "worker": "w", "lanes": [{ "types": ["demo"] }], "limit": 1 });
        assert_eq!(server.post("/v1/leases", &good).status, 204);
        let wrong = [
            ("worker", json!("")),
            ("worker", json!(5)),
            ("lanes", json!([])),
            ("lanes", json!([{ "types": [] }])),
            ("lanes", json!("x")),
            ("limit", json!(1001)),
            ("limit", json!(-1)),
            ("lease", json!("500ms")),
            ("lease", json!("2h")),
            ("wait", json!("31s")),
            ("nope", json!(1)),
        ];
        for (member, value) in wrong {
            let mut request = good.clone();
            request[member] = value.clone();
            let reply = server.post("/v1/leases", &request);
            assert_eq!(reply.status, 422, "{member}: {value}: {}", reply.text());
        }
        for report in [json!({}), json!({ "worker": "w", "nope": [] }), json!({ "worker": "w", "succeed": {} })] {
            assert_eq!(server.post("/v1/reports", &report).status, 422, "{report}");
        }
        let unknown = json!({ "worker": "w", "logs": [{ "id": "0190b6a0-0000-7000-8000-000000000000", "lease": "x", "n": 0, "level": "info", "message": "m", "after": "1s" }] });
        let lost = server.post("/v1/reports", &unknown).json();
        assert_eq!(lost["lost"], json!(["0190b6a0-0000-7000-8000-000000000000"]));
    });
}
