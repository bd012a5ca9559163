//! What time does to a task: delays, deadlines, timeouts, back-off, the crash-loop guard.

use std::time::Duration;

use serde_json::{Value, json};
use tasklane_client::{Client, Event};
use tasklane_testkit::process::until;
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions};

const PATIENCE: Duration = Duration::from_secs(20);

fn until_state(server: &Server, id: &str, state: &str) -> Value {
    until(&format!("{id} to be {state}"), PATIENCE, || Some(server.task(id)).filter(|it| it["state"] == state))
}

#[test]
fn a_delayed_task_waits_and_a_parked_worker_gets_it_when_it_is_due() {
    story("times::delay", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo", "delay": "700ms" }));
        assert_eq!(server.task(&id)["state"], "scheduled");
        let leased = server.lease("w", "demo", 1, "30s");
        assert_eq!(leased[0]["id"], id.as_str());
    });
}

#[test]
fn deadlines_end_tasks() {
    story("times::deadlines", || {
        let server = ServerOptions::without_executors().start();
        let never_started = server.submit(&json!({ "type": "a", "start_deadline": "300ms" }));
        let never_finished = server.submit(&json!({ "type": "b", "deadline": "300ms" }));
        let running = server.submit(&json!({ "type": "c", "deadline": "1s", "start_deadline": "900ms" }));
        let leased = server.lease("w", "c", 1, "60s");
        assert_eq!(until_state(&server, &never_started, "expired")["reason"], "start_deadline");
        assert_eq!(until_state(&server, &never_finished, "failed")["failure"]["kind"], "timeout");
        let ended = until_state(&server, &running, "failed");
        assert_eq!((&ended["reason"], &ended["failure"]["kind"]), (&json!("deadline"), &json!("timeout")));
        let late = json!({ "worker": "w", "succeed": [{ "id": running, "lease": leased[0]["lease"], "result": 1 }] });
        assert_eq!(server.report(&late)["lost"], json!([running]));
        // A hand overrules a deadline that has passed.
        let again = server.act(&format!("/v1/tasks/{never_started}:retry")).expect(200).json();
        assert_eq!(again["state"], "queued");
    });
}

#[test]
fn slow_and_silent_attempts_are_ended_by_the_server() {
    story("times::timeouts", || {
        let server = ServerOptions::without_executors().start();
        for (task_type, member) in [("slow", "attempt_timeout"), ("silent", "heartbeat_timeout")] {
            let id = server.submit(&json!({ "type": task_type, member: "1s", "max_attempts": 1 }));
            let lease = server.lease("w", task_type, 1, "60s")[0]["lease"].clone();
            // Renewals keep the lease; they are no sign of life of the handler, and no more time for the attempt.
            let renewal = json!({ "worker": "w", "renew": [{ "id": id, "lease": lease }] });
            let failed = until(task_type, PATIENCE, || {
                server.report(&renewal);
                Some(server.task(&id)).filter(|it| it["state"] == "failed")
            });
            assert_eq!(failed["failure"]["kind"], "timeout", "{failed}");
            assert!(failed["failure"]["message"].as_str().unwrap().contains(member), "{failed}");
        }
        let lively = server.submit(&json!({ "type": "lively", "heartbeat_timeout": "1s" }));
        let lease = server.lease("w", "lively", 1, "60s")[0]["lease"].clone();
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(2500) {
            let sign = json!({ "worker": "w", "progress": [{ "id": lively, "lease": lease, "percent": 1 }] });
            assert_eq!(server.report(&sign)["lost"], json!([]));
        }
        assert_eq!(server.task(&lively)["state"], "running");
    });
}

#[test]
fn a_task_that_kills_its_workers_is_quarantined() {
    story("times::crash_loop", || {
        let server = ServerOptions::without_executors().start();
        let retry = json!({ "initial": "50ms", "factor": 1, "max": "50ms", "jitter": false });
        let id = server.submit(&json!({ "type": "poison", "max_attempts": 10, "retry": retry }));
        for attempt in 1..=3 {
            let leased = server.lease("w", "poison", 1, "1s");
            assert_eq!(leased[0]["attempt"], attempt, "and then it dies");
        }
        let task = server.finished(&id);
        assert_eq!(
            (&task["state"], &task["reason"], &task["quarantined"], &task["spent"]),
            (&json!("failed"), &json!("crash_loop"), &json!(true), &json!(3))
        );
        let why = server.get(&format!("/v1/tasks/{id}/why")).expect(200).json();
        assert_eq!(why["reasons"][0]["code"], "quarantined", "{why}");
        assert!(why["reasons"][0]["message"].as_str().unwrap().contains("the last \"w\""), "{why}");
        let again = server.act(&format!("/v1/tasks/{id}:retry")).expect(200).json();
        assert!(again["quarantined"] != true, "a hand's retry clears the flag: {again}");
    });
}

#[test]
fn a_quarantined_task_names_the_worker_that_reported_its_last_crash() {
    story("times::crash_reported", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "poison", "max_attempts": 1 }));
        let lease = server.lease("mill-7", "poison", 1, "30s")[0]["lease"].clone();
        let failed = json!({ "id": id, "lease": lease, "kind": "killed", "message": "signal 11" });
        server.report(&json!({ "worker": "mill-7", "fail": [failed] }));
        let task = server.finished(&id);
        assert_eq!((&task["quarantined"], &task["worker"]), (&json!(true), &json!("mill-7")));
        let message = task["failure"]["message"].as_str().unwrap();
        assert!(message.starts_with("signal 11 (worker mill-7; quarantined"), "{task}");
        let why = server.get(&format!("/v1/tasks/{id}/why")).expect(200).json();
        assert!(why["reasons"][0]["message"].as_str().unwrap().contains("mill-7"), "{why}");
    });
}

#[test]
fn a_type_whose_tasks_kill_their_workers_raises_an_event() {
    story("times::type_crashing", || {
        let server = ServerOptions::without_executors().start();
        let retry = json!({ "initial": "1ms", "factor": 1, "max": "1ms", "jitter": false });
        for _ in 0..3 {
            server.submit(&json!({ "type": "poison", "max_attempts": 10, "retry": retry }));
        }
        let mut ended = 0;
        while ended < 9 {
            for task in server.lease("w", "poison", 9, "30s") {
                let failed =
                    json!({ "id": task["id"], "lease": task["lease"], "kind": "killed", "message": "signal 11" });
                server.report(&json!({ "worker": "w", "fail": [failed] }));
                ended += 1;
            }
        }
        let types = server.get("/v1/types").expect(200).json();
        assert_eq!(
            (&types["items"][0]["name"], &types["items"][0]["crashing"]),
            (&json!("poison"), &json!(true)),
            "{types}"
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = runtime.block_on(async {
            let client = Client::builder().url(server.url()).build().unwrap();
            client.all_events(&[("event", "type.crashing"), ("after", "e1.0")]).next().await.unwrap()
        });
        let Some(Event::TypeCrashing(told)) = told else { panic!("{told:?}") };
        assert_eq!((&*told.task_type, &*told.queue, told.tasks), ("poison", "default", 3));
        assert!(server.log().contains("tasks of a type kill their workers"), "{}", server.log());
        let metrics = server.get("/metrics").text().to_string();
        assert!(metrics.contains("tasklane_crash_loops_total{type=\"poison\"} 3\n"), "{metrics}");
    });
}

#[test]
fn what_the_server_itself_runs_is_no_crash_when_the_server_is_killed() {
    story("times::cut_off", || {
        let mut server = ServerOptions::default().start();
        let payload = json!({ "processing_time": 3 });
        let id = server.submit(&json!({ "type": "data_processing", "payload": payload, "max_attempts": 9 }));
        for spent in 0..4 {
            // Its lease of 30 s is not waited for.
            let running = until("the next attempt", Duration::from_secs(15), || {
                Some(server.task(&id)).filter(|it| it["state"] == "running" && it["attempt"] == spent + 1)
            });
            assert_eq!(running["spent"], spent, "{running}");
            if spent < 3 {
                server.kill();
                server.start();
            }
        }
        let task = server.finished(&id);
        assert_eq!((&task["state"], &task["spent"]), (&json!("succeeded"), &json!(4)), "{task}");
        let attempts = server.get(&format!("/v1/tasks/{id}/attempts")).expect(200).json();
        let first = &attempts["items"][0];
        assert_eq!(
            (&first["reason"], &first["failure"]["message"]),
            (&json!("lease_lost"), &json!("the server that ran it ended")),
            "{attempts}"
        );
    });
}
