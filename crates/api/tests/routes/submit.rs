//! One task.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{JSON, World, demo};

fn with(member: &str, value: &Value) -> Value {
    let mut task = demo();
    task[member] = value.clone();
    task
}

#[tokio::test(start_paused = true)]
async fn a_task_is_answered_whole() {
    let world = World::new();
    let task = json!({
        "type": "demo", "queue": "q", "payload": { "x": [1, 2] }, "priority": "urgent", "delay": "1h30m",
        "start_deadline": "2h", "deadline": "2030-01-01T00:00:00Z", "attempt_timeout": "90s", "heartbeat_timeout": "250ms",
        "max_attempts": 5, "retry": { "delays": ["5s", "5m"] }, "tenant": "t", "labels": { "a": "b" },
        "unique": { "key": "k", "policy": "reject", "for": "1h" },
    });
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let reply = world.call("POST", "/v1/tasks", &[JSON, ("traceparent", trace)], task.to_string()).await.expect(201);
    let got = reply.json();
    let id = got["id"].as_str().unwrap();
    assert_eq!(reply.header("location"), format!("/v1/tasks/{id}"));
    let created = got["created_at"].as_str().unwrap();
    assert_eq!(
        got,
        json!({
            "id": id, "type": "demo", "queue": "q", "state": "scheduled", "reason": "accepted", "priority": 100,
            "payload": { "x": [1, 2] }, "attempt": 0, "spent": 0, "max_attempts": 5,
            "retry": { "delays": ["5s", "5m"], "jitter": false }, "tenant": "t", "labels": { "a": "b" },
            "attempt_timeout": "1m30s", "heartbeat_timeout": "250ms", "unique_key": "k", "traceparent": trace,
            "run_at": "2023-11-14T23:43:20Z", "start_deadline": "2023-11-15T00:13:20Z",
            "deadline": "2030-01-01T00:00:00Z", "created_at": created, "cancel_requested": false, "quarantined": false,
        })
    );
    assert_eq!(world.task(id).await, got);
    // What a client reads is what the server wrote.
    let read: tasklane_wire::task::Task = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), got);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_out_has_its_default() {
    let world = World::new();
    let got = world.post("/v1/tasks", &demo()).await.expect(201).json();
    for (member, value) in [
        ("queue", json!("default")),
        ("state", json!("queued")),
        ("payload", json!(null)),
        ("priority", json!(0)),
        ("max_attempts", json!(3)),
        ("retry", json!({ "initial": "1s", "factor": 2.0, "max": "10m", "jitter": true })),
        ("labels", json!({})),
    ] {
        assert_eq!(got[member], value, "{member}");
    }
    for absent in ["result", "failure", "progress", "tenant", "run_at", "worker", "unique_key", "depends_on"] {
        assert!(got.get(absent).is_none(), "{absent}: {got}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_member_is_named_by_its_path() {
    let world = World::new();
    let cases = [
        ("nope", "/nope", vec![json!(1)]),
        ("type", "/type", vec![json!(5), json!(null), json!(""), json!("a b"), json!("a\0"), json!("x".repeat(201))]),
        ("queue", "/queue", vec![json!(5), json!(""), json!("~x"), json!("*"), json!("a\0b"), json!("q".repeat(201))]),
        (
            "priority",
            "/priority",
            vec![json!(1001), json!(-1001), json!(1.5), json!("extreme"), json!(1e300), json!([])],
        ),
        ("max_attempts", "/max_attempts", vec![json!(0), json!(-1), json!(1.5), json!("3"), json!(u64::MAX)]),
        ("delay", "/delay", vec![json!("10"), json!("-5s"), json!("1.5s"), json!("1m1h"), json!(5), json!(null)]),
        ("attempt_timeout", "/attempt_timeout", vec![json!("0s"), json!("soon"), json!(5)]),
        ("heartbeat_timeout", "/heartbeat_timeout", vec![json!("0s"), json!("PT1S")]),
        (
            "run_at",
            "/run_at",
            vec![json!("tomorrow"), json!("2026-13-01T00:00:00Z"), json!("2026-01-01T00:00:00+01:00")],
        ),
        ("deadline", "/deadline", vec![json!("then"), json!(7)]),
        ("labels", "/labels", vec![json!([]), json!("x")]),
        ("labels", "/labels/a", vec![json!({ "a": 1 }), json!({ "a": "x\0" })]),
        ("retry", "/retry/initial", vec![json!({ "initial": "x" }), json!({ "initial": "1h" })]),
        ("retry", "/retry/factor", vec![json!({ "factor": 0.5 }), json!({ "factor": "2" })]),
        ("retry", "/retry/delays", vec![json!({ "delays": [] }), json!({ "delays": "1s" })]),
        ("retry", "/retry/delays/1", vec![json!({ "delays": ["1s", "x"] })]),
        ("retry", "/retry", vec![json!({ "delays": ["1s"], "factor": 2 }), json!([])]),
        ("unique", "/unique/key", vec![json!({}), json!({ "key": "" })]),
        ("unique", "/unique/policy", vec![json!({ "key": "k", "policy": "maybe" })]),
        ("unique", "/unique/for", vec![json!({ "key": "k", "for": "0s" })]),
        ("idempotency_key", "/idempotency_key", vec![json!(5), json!(""), json!("\u{0}")]),
        ("id", "/id", vec![json!("5"), json!(5), json!("0192f0c1-2345-4abc-8def-0123456789ab")]),
        ("tenant", "/tenant", vec![json!(5), json!("a\0b")]),
    ];
    for (member, path, values) in cases {
        for value in values {
            let problem = world.post("/v1/tasks", &with(member, &value)).await.problem(422, "invalid");
            let paths: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|it| it["path"].clone()).collect();
            assert_eq!(paths, [json!(path)], "{member}: {value}: {problem}");
        }
    }
    assert_eq!(world.get("/v1/tasks").await.json()["items"], json!([]), "something was accepted");
}

#[tokio::test(start_paused = true)]
async fn every_mistake_is_named_at_once() {
    let world = World::new();
    let problem = world.post("/v1/tasks", &json!({ "priority": 5000, "colour": 1 })).await.problem(422, "invalid");
    let paths: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/colour", "/priority", "/type"]);
    for body in [json!([]), json!("x"), json!(1), json!(null)] {
        let problem = world.post("/v1/tasks", &body).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["path"], "", "{problem}");
    }
    let twice = r#"{"type":"demo","priority":1,"priority":2}"#;
    world.call("POST", "/v1/tasks", &[JSON], twice).await.problem(422, "invalid");
    let both = json!({ "type": "demo", "delay": "1s", "run_at": "2040-01-01T00:00:00Z" });
    world.post("/v1/tasks", &both).await.problem(422, "invalid");
    let many: Value = (0..65).map(|it| (it.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    world.post("/v1/tasks", &with("labels", &many)).await.problem(413, "payload_too_large");
    world.post("/v1/tasks?nope=1", &demo()).await.problem(422, "invalid");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_built_is_not_supported() {
    let world = World::new();
    for member in ["depends_on", "group"] {
        let problem = world.post("/v1/tasks", &with(member, &json!([]))).await.problem(422, "not_supported");
        assert_eq!(problem["errors"][0]["path"], format!("/{member}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_makes_a_repeated_submit_harmless() {
    let world = World::new();
    let keyed = async |key: &str, task: &Value| {
        world.call("POST", "/v1/tasks", &[JSON, ("idempotency-key", key)], task.to_string()).await
    };
    let first = keyed("k", &demo()).await.expect(201).json();
    let again = keyed("k", &demo()).await.expect(200).json();
    assert_eq!(first["id"], again["id"]);
    keyed("k", &with("payload", &json!(1))).await.problem(422, "idempotency_mismatch");
    assert_eq!(
        world.post("/v1/tasks", &with("idempotency_key", &json!("k"))).await.expect(200).json()["id"],
        first["id"]
    );
    keyed("k", &with("idempotency_key", &json!("k"))).await.expect(200);
    keyed("k", &with("idempotency_key", &json!("other"))).await.problem(422, "invalid");
    let id = first["id"].as_str().unwrap();
    world.act(&format!("/v1/tasks/{id}:cancel")).await.expect(200);
    world.call("DELETE", &format!("/v1/tasks/{id}"), &[], "").await.expect(200);
    let gone = keyed("k", &demo()).await.expect(200).json();
    assert_eq!(gone, json!({ "id": id, "state": "cancelled" }), "a key outlives its task");
    for unfit in ["", &"x".repeat(201)] {
        keyed(unfit, &demo()).await.problem(422, "invalid");
    }
}

#[tokio::test(start_paused = true)]
async fn ids_and_unique_keys_are_taken_once() {
    let world = World::new();
    let named = with("id", &json!("0192f0c1-2345-7abc-8def-0123456789ab"));
    assert_eq!(world.post("/v1/tasks", &named).await.expect(201).json()["id"], named["id"]);
    world.post("/v1/tasks", &named).await.expect(200);
    let mut other = named.clone();
    other["payload"] = json!(1);
    world.post("/v1/tasks", &other).await.problem(409, "id_taken");

    let unique = |policy: &str| with("unique", &json!({ "key": "k", "policy": policy }));
    let holder = world.post("/v1/tasks", &unique("reject")).await.expect(201).json();
    world.post("/v1/tasks", &unique("reject")).await.problem(409, "unique_held");
    assert_eq!(world.post("/v1/tasks", &unique("return")).await.expect(200).json()["id"], holder["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_submit_waits_for_the_end_or_its_time() {
    let world = World::new();
    let before = tokio::time::Instant::now();
    let waited = world.post("/v1/tasks?wait=2s", &demo()).await.expect(201).json();
    assert_eq!((&waited["state"], before.elapsed()), (&json!("queued"), Duration::from_secs(2)));
    world.call("POST", "/v1/tasks", &[JSON, ("prefer", "wait=3")], demo().to_string()).await.expect(201);
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    for wait in ["61s", "x", "-1s", ""] {
        let problem = world.post(&format!("/v1/tasks?wait={wait}"), &demo()).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["path"], "?wait");
    }
    world.post("/v1/tasks?wait=1s&wait=2s", &demo()).await.problem(422, "invalid");
    world.lease(10).await;
    let typed = json!({ "type": "waited" });
    let submit = world.post("/v1/tasks?wait=60s", &typed);
    let work = async {
        let wish = json!({ "worker": "w", "lanes": [{ "types": ["waited"] }], "limit": 1, "wait": "20s" });
        let leased = world.post("/v1/leases", &wish).await.expect(200).json()["tasks"][0].clone();
        world.report("succeed", &leased, &json!({ "result": [1] })).await;
    };
    let (done, ()) = tokio::join!(submit, work);
    let done = done.expect(201).json();
    assert_eq!((&done["state"], &done["result"]), (&json!("succeeded"), &json!([1])));
}
