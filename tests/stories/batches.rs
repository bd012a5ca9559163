//! Batches: all or nothing, or each alone; in order; JSON and NDJSON.

use serde_json::{Value, json};
use tasklane_testkit::story::story;
use tasklane_testkit::{Reply, Server, ServerOptions};

fn post(server: &Server, query: &str, kind: &str, body: &str) -> Reply {
    let path = format!("/v1/tasks:batch{query}");
    server.connect().call("POST", &path, &[("Content-Type", kind)], body.as_bytes()).unwrap()
}

fn count(server: &Server) -> u64 {
    let queues = server.get("/v1/queues").expect(200).json();
    let queues = queues["items"].as_array().unwrap().clone();
    queues.iter().map(|it| it["counts"]["queued"].as_u64().unwrap()).sum()
}

#[test]
fn one_bad_item_spoils_all_or_only_itself() {
    story("batches::one_bad_item", || {
        let server = ServerOptions::without_executors().start();
        let items = json!([{ "type": "demo" }, { "type": "demo", "max_attempts": 0 }, { "type": "demo" }]);
        let refused = server.post("/v1/tasks:batch", &items);
        assert_eq!(refused.status, 422);
        let problem = refused.json();
        let path = problem["errors"][0]["path"].as_str().unwrap();
        assert!(path.contains('1') && path.contains("max_attempts"), "the item is not named: {problem}");
        assert_eq!(count(&server), 0, "all or nothing accepted something");

        let alone = server.post("/v1/tasks:batch?atomic=false", &items).expect(200).json();
        let answers = alone["tasks"].as_array().unwrap();
        assert_eq!(answers.len(), 3);
        assert!(answers[0]["id"].is_string() && answers[2]["id"].is_string(), "{alone}");
        assert_eq!(answers[0]["state"], "queued");
        assert!(answers[1]["id"].is_null() && answers[1]["error"]["code"].is_string(), "{alone}");
        assert_eq!(count(&server), 2);
    });
}

#[test]
fn a_refused_key_spoils_all_or_only_itself() {
    story("batches::a_refused_key", || {
        let server = ServerOptions::without_executors().start();
        let held = json!({ "type": "demo", "unique": { "key": "k", "policy": "reject" } });
        server.submit(&held);
        let items = json!([{ "type": "demo" }, held, { "type": "demo" }]);
        server.post("/v1/tasks:batch", &items).problem(409, "unique_held");
        assert_eq!(count(&server), 1);
        let alone = server.post("/v1/tasks:batch?atomic=false", &items).expect(200).json();
        assert_eq!(alone["tasks"][1]["error"]["code"], "unique_held", "{alone}");
        assert_eq!(count(&server), 3);
    });
}

#[test]
fn ten_thousand_are_taken_and_one_more_is_not() {
    story("batches::ten_thousand", || {
        let server = ServerOptions::without_executors().start();
        let items = |number: usize| Value::from(vec![json!({ "type": "demo" }); number]);
        for query in ["", "?atomic=false"] {
            let reply = server.post(&format!("/v1/tasks:batch{query}"), &items(10_001));
            assert_eq!(reply.status, 413, "{}", reply.text());
        }
        let lines = "{\"type\":\"demo\"}\n".repeat(10_001);
        assert_eq!(post(&server, "", "application/x-ndjson", &lines).status, 413);
        assert_eq!(count(&server), 0);
        let reply = server.post("/v1/tasks:batch", &items(10_000)).expect(201).json();
        assert_eq!(reply["tasks"].as_array().unwrap().len(), 10_000);
        assert_eq!(count(&server), 10_000);
    });
}

#[test]
fn lines_are_as_good_as_an_array_and_answers_stand_in_order() {
    story("batches::lines", || {
        let server = ServerOptions::without_executors().start();
        let lines: String = (0..50).map(|nth| format!("{{\"type\":\"demo\",\"payload\":{nth}}}\n")).collect();
        let reply = post(&server, "?echo=full", "application/x-ndjson", &lines).expect(201).json();
        let tasks = reply["tasks"].as_array().unwrap();
        let payloads: Vec<_> = tasks.iter().map(|it| it["payload"].as_u64().unwrap()).collect();
        assert_eq!(payloads, (0..50).collect::<Vec<_>>());
        // Without a newline at the end, with an empty one in between.
        post(&server, "", "application/x-ndjson", "{\"type\":\"demo\"}\n\n{\"type\":\"demo\"}").expect(201);
        let broken = "{\"type\":\"demo\"}\n{\"type\":\n{\"type\":\"demo\"}\n";
        post(&server, "", "application/x-ndjson", broken).problem(400, "malformed_json");
        for body in ["{}", "\"x\"", "5"] {
            let reply = post(&server, "", "application/json", body);
            assert!(matches!(reply.status, 400 | 422), "{body} is no array: {}", reply.text());
        }
        assert_eq!(count(&server), 52);
        for query in ["?atomic=maybe", "?echo=loud", "?nope=1"] {
            assert_eq!(post(&server, query, "application/json", "[]").status, 422, "{query}");
        }
    });
}
