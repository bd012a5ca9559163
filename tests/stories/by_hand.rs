//! What a hand may do to a task: retry, rerun, reschedule, delete, ask why.

use serde_json::{Value, json};
use tasklane_testkit::story::story;
use tasklane_testkit::{Reply, Server, ServerOptions};

fn act(server: &Server, id: &str, action: &str) -> Reply {
    server.act(&format!("/v1/tasks/{id}:{action}"))
}

fn delete(server: &Server, id: &str) -> Reply {
    server.connect().call("DELETE", &format!("/v1/tasks/{id}"), &[], b"").unwrap()
}

/// A task that failed for good after its first attempt.
fn failed(server: &Server, task_type: &str) -> String {
    let id = server.submit(&json!({ "type": task_type, "max_attempts": 1, "payload": { "n": 1 } }));
    let leased = server.lease("w", task_type, 1, "30s");
    server.report(&json!({ "worker": "w", "fail": [{ "id": id, "lease": leased[0]["lease"], "message": "no" }] }));
    assert_eq!(server.task(&id)["state"], "failed");
    id
}

#[test]
fn retry_is_the_same_task_again_with_its_history() {
    story("by_hand::retry", || {
        let server = ServerOptions::without_executors().start();
        let id = failed(&server, "demo");
        let task = act(&server, &id, "retry").expect(200).json();
        assert_eq!(
            (&task["id"], &task["state"], &task["spent"], &task["attempt"]),
            (&json!(id), &json!("queued"), &json!(0), &json!(1))
        );
        act(&server, &id, "retry").problem(409, "invalid_transition");
        let leased = server.lease("w", "demo", 1, "30s");
        assert_eq!(leased[0]["attempt"], 2, "numbers never go down, also over a hand's retry");
        server.report(&json!({ "worker": "w", "succeed": [{ "id": id, "lease": leased[0]["lease"], "result": 1 }] }));
        let task = server.task(&id);
        assert_eq!((&task["state"], &task["spent"], &task["attempt"]), (&json!("succeeded"), &json!(1), &json!(2)));
        let attempts = server.get(&format!("/v1/tasks/{id}/attempts")).expect(200).json();
        let numbers: Vec<_> = attempts["items"].as_array().unwrap().iter().map(|it| it["attempt"].clone()).collect();
        assert_eq!(numbers, [json!(1), json!(2)], "{attempts}");
    });
}

#[test]
fn rerun_is_a_new_task_with_the_same_input() {
    story("by_hand::rerun", || {
        let server = ServerOptions::without_executors().start();
        let id = failed(&server, "demo");
        let task = act(&server, &id, "rerun").expect(200).json();
        assert_ne!(task["id"], id.as_str());
        assert_eq!(
            (&task["rerun_of"], &task["payload"], &task["attempt"]),
            (&json!(id), &json!({ "n": 1 }), &json!(0))
        );
        assert_eq!(server.task(&id)["state"], "failed");
    });
}

#[test]
fn reschedule_moves_its_time() {
    story("by_hand::reschedule", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo" }));
        let path = format!("/v1/tasks/{id}:reschedule");
        let task = server.post(&path, &json!({ "delay": "1h" })).expect(200).json();
        assert_eq!((&task["state"], &task["reason"]), (&json!("scheduled"), &json!("rescheduled")));
        let task = server.post(&path, &json!({ "run_at": "2020-01-01T00:00:00Z" })).expect(200).json();
        assert_eq!(task["state"], "queued", "a time that has passed is now");
        for wrong in [
            json!({ "delay": "soon" }),
            json!({ "nope": 1 }),
            json!({ "delay": "1s", "run_at": "2040-01-01T00:00:00Z" }),
        ] {
            assert_eq!(server.post(&path, &wrong).status, 422, "{wrong}");
        }
        server.lease("w", "demo", 1, "30s");
        let problem = server.post(&path, &json!({ "delay": "1h" })).problem(409, "invalid_transition").json();
        assert!(problem["detail"].as_str().unwrap().contains("running"), "the state is not named: {problem}");
    });
}

#[test]
fn only_a_final_task_is_deleted() {
    story("by_hand::delete", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo" }));
        delete(&server, &id).problem(409, "invalid_transition");
        act(&server, &id, "retry").problem(409, "invalid_transition");
        act(&server, &id, "cancel").expect(200);
        act(&server, &id, "cancel").problem(409, "invalid_transition");
        assert_eq!(delete(&server, &id).status, 200);
        server.get(&format!("/v1/tasks/{id}")).problem(404, "task_not_found");
        delete(&server, &id).problem(404, "task_not_found");
        assert_eq!(server.get("/v1/tasks").json()["items"], json!([]));
    });
}

#[test]
fn why_names_every_reason_and_what_opens_it() {
    story("by_hand::why", || {
        let server = ServerOptions::without_executors().start();
        let why = |id: &str| -> Vec<String> {
            let answer: Value = server.get(&format!("/v1/tasks/{id}/why")).expect(200).json();
            let reasons = answer["reasons"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
            for reason in &reasons {
                assert!(reason["message"].is_string() && reason["remedy"].is_string(), "{reason}");
            }
            reasons.iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect()
        };
        let queued = server.submit(&json!({ "type": "demo", "queue": "q" }));
        assert!(why(&queued).contains(&"no_worker".to_owned()), "{:?}", why(&queued));
        server.act("/v1/queues/q:pause").expect(200);
        assert!(why(&queued).contains(&"queue_paused".to_owned()), "{:?}", why(&queued));
        assert!(why(&queued).contains(&"no_worker".to_owned()), "every reason: {:?}", why(&queued));
        let scheduled = server.submit(&json!({ "type": "demo", "delay": "1h" }));
        assert!(why(&scheduled).contains(&"not_due".to_owned()), "{:?}", why(&scheduled));
        let done = failed(&server, "other");
        assert_eq!(why(&done), Vec::<String>::new(), "nothing stands in the way of a final task");
    });
}

#[test]
fn lists_are_filtered_and_paged_to_the_end() {
    story("by_hand::list", || {
        let server = ServerOptions::without_executors().start();
        let tasks: Vec<_> = (0..450).map(|nth| json!({ "type": if nth % 3 == 0 { "a" } else { "b" }, "labels": { "nth": (nth % 10).to_string() } })).collect();
        let accepted = server.post("/v1/tasks:batch", &json!(tasks)).expect(201).json();
        let mut ids: Vec<_> =
            accepted["tasks"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids.reverse();
        let walk = |query: &str| {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = server.get(&format!("/v1/tasks?limit=100{query}{cursor}")).expect(200).json();
                found.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => return found,
                }
            }
        };
        assert_eq!(walk(""), ids, "newest first, each once");
        assert_eq!(walk("&type=a").len(), 150);
        assert_eq!(walk("&label.nth=3").len(), 45);
        assert_eq!(walk("&type=a&label.nth=3&state=queued&queue=default").len(), 15);
        assert_eq!(walk("&state=failed").len(), 0);
    });
}
