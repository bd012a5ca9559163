//! SIGTERM drains: nothing new is handed out, what runs is finished or handed back unspent, and the process exits 0.

use std::thread;
use std::time::Duration;

use serde_json::json;
use tasklane_testkit::process::until;
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions, Signal};

fn until_running(server: &Server, id: &str) {
    until("the task to run", Duration::from_secs(20), || (server.task(id)["state"] == "running").then_some(()));
}

#[test]
fn what_runs_is_finished_or_handed_back_unspent() {
    story("stop::drain", || {
        let mut server = ServerOptions::default().with_env("TASKLANE_DRAIN_SECONDS", "3").start();
        let time = |seconds: u32| json!({ "type": "data_processing", "payload": { "processing_time": seconds } });
        let short = server.submit(&time(1));
        let long = server.submit(&time(600));
        until_running(&server, &short);
        until_running(&server, &long);
        let status = server.stop();
        assert_eq!(status.code(), Some(0), "{}", server.log());
        server.start();
        let done = server.task(&short);
        assert_eq!((&done["state"], &done["attempt"]), (&json!("succeeded"), &json!(1)), "{done}");
        let back = server.task(&long);
        assert_eq!(back["spent"], 0, "a drained task was charged: {back}");
        assert!(back["state"] == "queued" || back["state"] == "running", "{back}");
    });
}

#[test]
fn parked_workers_are_sent_home_at_once() {
    story("stop::parked", || {
        let mut server = ServerOptions::without_executors().start();
        let mut connection = server.connect();
        let wish = json!({ "worker": "w", "lanes": [{ "types": ["demo"] }], "limit": 1, "wait": "30s" });
        let (answer, waited) = thread::scope(|scope| {
            let parked = scope.spawn(move || {
                let start = std::time::Instant::now();
                (connection.json("POST", "/v1/leases", &wish), start.elapsed())
            });
            thread::sleep(Duration::from_millis(200));
            let status = server.stop();
            assert_eq!(status.code(), Some(0), "{}", server.log());
            parked.join().unwrap()
        });
        assert!(waited < Duration::from_secs(10), "waited {waited:?}");
        let status = answer.expect("a parked worker gets an answer, not a broken connection").status;
        assert!(matches!(status, 200 | 204 | 503), "{status}");
    });
}

#[test]
fn a_second_signal_means_at_once_and_loses_nothing() {
    story("stop::twice", || {
        let mut server = ServerOptions::default().with_env("TASKLANE_DRAIN_SECONDS", "600").start();
        let id = server.submit(&json!({ "type": "data_processing", "payload": { "processing_time": 600 } }));
        until_running(&server, &id);
        server.signal(Signal::Term);
        until("the drain to begin", Duration::from_secs(10), || {
            let reply = server.connect_if_it_listens()?.call("GET", "/ready", &[], b"").ok();
            reply.is_none_or(|it| it.status != 200).then_some(())
        });
        server.signal(Signal::Term);
        assert_ne!(server.wait_end().code(), Some(0));
        server.start();
        // What ran in the server ended with it: it starts anew at once, charged, and no crash of its own.
        let again = until("the task to run again", Duration::from_secs(10), || {
            Some(server.task(&id)).filter(|it| it["state"] == "running" && it["attempt"] == 2)
        });
        assert_eq!((&again["spent"], &again["quarantined"]), (&json!(1), &json!(false)), "{again}");
    });
}
