//! What a server says about itself: health, readiness, metrics, request ids.

use serde_json::json;
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions};

/// The value of one line of the metrics; `None` where it does not stand there.
fn metric(server: &Server, line: &str) -> Option<f64> {
    let text = server.get("/metrics").expect(200).text();
    let found = text.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(' '))?;
    Some(found.parse().unwrap())
}

#[test]
fn what_happens_is_counted() {
    story("service::metrics", || {
        let server = ServerOptions::without_executors().start();
        for _ in 0..3 {
            server.submit(&json!({ "type": "demo", "queue": "q" }));
        }
        let depth = r#"tasklane_queue_tasks{queue="q",state="queued"}"#;
        assert_eq!(metric(&server, depth), Some(3.0));
        assert_eq!(metric(&server, "tasklane_tasks_accepted_total"), Some(3.0));
        assert!(metric(&server, r#"tasklane_queue_oldest_age_seconds{queue="q"}"#).is_some());
        let leased = server.lease("w", "demo", 1, "30s");
        server.report(
            &json!({ "worker": "w", "succeed": [{ "id": leased[0]["id"], "lease": leased[0]["lease"], "result": 1 }] }),
        );
        assert_eq!(metric(&server, depth), Some(2.0));
        assert_eq!(metric(&server, r#"tasklane_attempts_ended_total{reason="succeeded"}"#), Some(1.0));
        for histogram in ["wait_seconds", "run_seconds", "commit_seconds", "commit_transitions"] {
            assert!(metric(&server, &format!("tasklane_{histogram}_count")).is_some_and(|it| it > 0.0), "{histogram}");
        }
        assert_eq!(metric(&server, "tasklane_leases_lost_total"), Some(0.0));
        server.lease("dies", "demo", 1, "1s");
        // Waits until the lease of the one that died is over.
        server.lease("w", "demo", 2, "30s");
        server.lease("w", "demo", 2, "30s");
        assert_eq!(metric(&server, "tasklane_leases_lost_total"), Some(1.0));
        let text = server.get("/metrics").text();
        assert!(text.trim_end().ends_with("# EOF"), "OpenMetrics ends with # EOF");
    });
}

#[test]
fn it_says_who_it_is_and_names_requests() {
    story("service::health", || {
        let server = ServerOptions::without_executors().start();
        for path in ["/", "/health", "/ready"] {
            let body = server.get(path).expect(200).json();
            for member in ["message", "service", "status", "version", "timestamp", "database"] {
                assert!(body[member].is_string(), "{path}: {member} is missing in {body}");
            }
            assert!(body.get("clock").is_none(), "nothing is wrong with the clock: {body}");
        }
        let named = |id: &str| server.connect().call("GET", "/nope", &[("X-Request-Id", id)], b"").unwrap();
        assert_eq!(named("my-request-7").header("x-request-id"), Some("my-request-7"));
        assert_eq!(named("my-request-7").json()["instance"], "my-request-7");
        for odd in ["", "with blank", &"x".repeat(500)] {
            let drawn = named(odd).json()["instance"].as_str().unwrap().to_owned();
            assert!(!drawn.is_empty() && drawn != odd, "{odd:?} was taken over");
        }
        let ids: std::collections::BTreeSet<_> =
            (0..20).map(|_| server.get("/health").header("x-request-id").unwrap().to_owned()).collect();
        assert_eq!(ids.len(), 20);
    });
}

#[test]
fn payloads_and_leases_are_never_logged() {
    story("service::log", || {
        let mut server = ServerOptions::without_executors().with_env("TASKLANE_LOG", "debug").start();
        server.submit(&json!({ "type": "demo", "payload": "canary-payload" }));
        let leased = server.lease("w", "demo", 1, "30s");
        let lease = leased[0]["lease"].as_str().unwrap().to_owned();
        let report =
            json!({ "worker": "w", "fail": [{ "id": leased[0]["id"], "lease": lease, "message": "canary-message" }] });
        server.report(&report);
        server.post("/v1/tasks", &json!({ "type": "demo", "payload": "canary-refused", "nope": "canary-member" }));
        assert_eq!(server.stop().code(), Some(0));
        let log = server.log();
        assert!(log.len() > 100, "nothing was logged at all");
        for secret in ["canary", &lease] {
            assert!(!log.contains(secret), "{secret} stands in the log");
        }
    });
}
