//! A task that is JSON and wrong is refused with the member that is wrong; nothing is accepted and ignored.

use serde_json::{Value, json};
use tasklane_testkit::story::story;
use tasklane_testkit::{Reply, ServerOptions};

/// A task of type `demo` with one more member.
fn with(member: &str, value: Value) -> Value {
    let mut task = json!({ "type": "demo" });
    task[member] = value;
    task
}

#[track_caller]
fn assert_names(reply: Reply, member: &str) {
    assert_eq!(reply.status, 422, "{member}: {}", reply.text());
    let problem = reply.json();
    let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("{member}: no errors in {problem}"));
    let named = errors.iter().any(|it| it["path"].as_str().is_some_and(|path| path.contains(member)));
    assert!(named, "{member} is not named: {problem}");
}

#[test]
fn a_wrong_member_is_named() {
    story("bad_tasks::members", || {
        let server = ServerOptions::without_executors().start();
        let duration =
            ["10", "-5s", "5 m", "s", "", "1.5s", "1h1h", "1m1h", "99999999999999999999h", "5S", "1e3s", "+1s"];
        let cases = [
            ("nope", vec![json!(1)]),
            (
                "type",
                vec![json!(5), json!(null), json!(""), json!("a b"), json!("a\0b"), json!("ä"), json!("x".repeat(201))],
            ),
            ("queue", vec![json!(5), json!(""), json!("~system"), json!("a\0b"), json!("q".repeat(201))]),
            ("priority", vec![json!(1001), json!(-1001), json!(1.5), json!("extreme"), json!(1e300), json!([])]),
            ("max_attempts", vec![json!(0), json!(-1), json!(1.5), json!("3"), json!(u64::MAX)]),
            ("delay", duration.iter().map(|it| json!(it)).chain([json!(5), json!(null), json!({})]).collect()),
            ("attempt_timeout", vec![json!("0s"), json!("soon"), json!(5)]),
            ("heartbeat_timeout", vec![json!("0s"), json!("soon")]),
            ("run_at", vec![json!("tomorrow"), json!("2026-13-01T00:00:00Z"), json!(5), json!("2026-01-01")]),
            ("labels", vec![json!([]), json!({ "a": 1 }), json!({ "a": "x\0" }), json!({ "a\0": "x" })]),
            (
                "retry",
                vec![
                    json!({ "initial": "x" }),
                    json!({ "factor": 0.5 }),
                    json!({ "delays": [] }),
                    json!({ "nope": 1 }),
                ],
            ),
            ("unique", vec![json!("key"), json!({}), json!({ "key": "" }), json!({ "key": "k", "policy": "maybe" })]),
            ("idempotency_key", vec![json!(5), json!("")]),
            ("id", vec![json!("5"), json!(5), json!("00000000-0000-0000-0000")]),
            ("tenant", vec![json!(5), json!("a\0b")]),
        ];
        for (member, values) in cases {
            for value in values {
                assert_names(server.post("/v1/tasks", &with(member, value)), member);
            }
        }
        assert_names(server.post("/v1/tasks", &json!({ "payload": 1 })), "type");
        let both = json!({ "type": "demo", "delay": "1s", "run_at": "2040-01-01T00:00:00Z" });
        assert_eq!(server.post("/v1/tasks", &both).status, 422, "delay and run_at together");
        for body in [json!([]), json!("x"), json!(1), json!(null)] {
            assert!(matches!(server.post("/v1/tasks", &body).status, 400 | 422), "{body} is no task");
        }
        let list = server.get("/v1/tasks").expect(200).json();
        assert_eq!(list["items"], json!([]), "something was accepted");
    });
}

#[test]
fn what_is_not_built_is_not_supported() {
    story("bad_tasks::not_supported", || {
        let server = ServerOptions::without_executors().start();
        let members = [("depends_on", json!(["0190b6a0-0000-7000-8000-000000000000"])), ("group", json!("g"))];
        for (member, value) in members {
            server.post("/v1/tasks", &with(member, value)).problem(422, "not_supported");
        }
    });
}

#[test]
fn numbers_at_their_ends_and_words_for_priorities_are_taken() {
    story("bad_tasks::ends", || {
        let server = ServerOptions::without_executors().start();
        let words = [("low", -10), ("normal", 0), ("high", 10), ("urgent", 100)];
        let numbers = [(json!(-1000), -1000), (json!(1000), 1000), (json!(0), 0)];
        let words = words.iter().map(|(word, number)| (json!(word), *number));
        for (given, number) in words.chain(numbers) {
            let id = server.submit(&with("priority", given));
            assert_eq!(server.task(&id)["priority"], number);
        }
        server.submit(&json!({ "type": "t".repeat(200), "queue": "q".repeat(200) }));
        server.submit(&json!({ "type": "a.B-c_d:e/f0" }));
        for delay in ["250ms", "1h30m", "90s", "5m", "0s"] {
            server.submit(&with("delay", json!(delay)));
        }
    });
}

#[test]
fn unknown_tasks_cursors_and_filters_are_refused() {
    story("bad_tasks::reads", || {
        let server = ServerOptions::without_executors().start();
        let unknown = "0190b6a0-0000-7000-8000-000000000000";
        for tail in ["", "/result", "/attempts", "/why"] {
            server.get(&format!("/v1/tasks/{unknown}{tail}")).problem(404, "task_not_found");
            server.get(&format!("/v1/tasks/not-an-id{tail}")).problem(404, "task_not_found");
        }
        for action in ["cancel", "retry", "rerun"] {
            server.act(&format!("/v1/tasks/{unknown}:{action}")).problem(404, "task_not_found");
            server.act(&format!("/v1/tasks/{unknown}%3A{action}")).problem(404, "task_not_found");
        }
        server
            .connect()
            .call("DELETE", &format!("/v1/tasks/{unknown}"), &[], b"")
            .unwrap()
            .problem(404, "task_not_found");
        for query in [
            "cursor=nonsense",
            "cursor=",
            "limit=0",
            "limit=201",
            "limit=x",
            "state=gone",
            "created_after=soon",
            "nope=1",
        ] {
            let reply = server.get(&format!("/v1/tasks?{query}"));
            assert_eq!(reply.status, 422, "{query}: {}", reply.text());
        }
        for wait in ["61s", "x", "-1s"] {
            let id = server.submit(&json!({ "type": "demo" }));
            assert_eq!(server.get(&format!("/v1/tasks/{id}?wait={wait}")).status, 422, "wait={wait}");
        }
        server.get("/v1/queues/never").problem(404, "queue_not_found");
    });
}
