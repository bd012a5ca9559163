//! Gates: named by tasks, read, set and taken away.

use std::time::Duration;

use serde_json::json;
use tasklane_client::{GateName, Limits, NewTask};

use crate::stub::{Seen, Stub, answer, id};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_task_names_each_key_once_and_the_last_word_holds() {
    let stub = Stub::start(|_| async { answer(200, &json!({"tasks": [{"id": id(1), "state": "queued"}]})) }).await;
    let limited = NewTask::json("t", "1").limit("a", Limits::running(9)).gate("b");
    let limited = limited.limit("a", Limits::running(2).and_starting(3, MINUTE));
    stub.client().submit(limited).await.unwrap();
    let rate = json!({"count": 3, "per": "1m"});
    let limits = json!([{"key": "b"}, {"key": "a", "max_running": 2, "rate": rate}]);
    assert_eq!(stub.seen()[0].json()[0]["limits"], limits);
}

#[tokio::test]
async fn gates_are_named_by_kind_and_tenant() {
    let stub = Stub::start(|seen: Seen| async move {
        let gate = json!({"name": "key:a/b", "tenant": "t&u", "set_by": "task", "running": 1, "waiting": 2, "full": true,
            "max_running": 1, "holders": [{"id": id(1), "worker": "w"}]});
        let counts = json!({"scheduled": 0, "blocked": 0, "queued": 0, "running": 0, "waiting": 0, "retrying": 0});
        match &*seen.line {
            "GET /v1/gates" => answer(200, &json!({"items": [gate], "next_cursor": "n=1"})),
            line if line.contains("/gates?") => answer(200, &json!({"items": [gate]})),
            line if line.contains("/queues/") => {
                answer(200, &json!({"name": "q", "state": "active", "counts": counts, "verdict": "idle"}))
            }
            _ => answer(200, &gate),
        }
    })
    .await;
    let client = stub.client();
    let name = GateName::Key { tenant: "t&u".into(), key: "a/b".into() };
    assert_eq!(client.gates().await.unwrap().len(), 2, "both pages");
    let gate = client.gate(&name).await.unwrap();
    assert_eq!((gate.limits, gate.holders.map(|it| it.len())), (Limits::running(1), Some(1)));
    client.set_gate(&GateName::Queue("q".into()), Limits::starting(5, MINUTE)).await.unwrap();
    client.remove_gate(&GateName::Type("t".into())).await.unwrap();
    client.set_queue_limits("q", Some(Limits::running(3))).await.unwrap();
    client.set_queue_limits("q", None).await.unwrap();
    let seen = stub.seen();
    let lines: Vec<_> = seen.iter().map(|it| &*it.line).collect();
    let expected = [
        "GET /v1/gates",
        "GET /v1/gates?cursor=n%3D1",
        "GET /v1/gates/key%3Aa%2Fb?tenant=t%26u",
        "PUT /v1/gates/queue%3Aq",
        "DELETE /v1/gates/type%3At",
        "PUT /v1/queues/q",
        "PUT /v1/queues/q",
    ];
    assert_eq!(lines, expected);
    assert_eq!(seen[3].json(), json!({"rate": {"count": 5, "per": "1m"}}));
    assert_eq!(seen[5].json(), json!({"limits": {"max_running": 3}}));
    assert_eq!(seen[6].json(), json!({"limits": null}));
}
