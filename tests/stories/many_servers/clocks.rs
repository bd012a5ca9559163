//! A server whose machine has the wrong time: what counts is the database's.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tasklane_testkit::postgres;
use tasklane_testkit::process::until;
use tasklane_testkit::story::story;

use super::PATIENCE;
use super::fleet::server;

#[test]
fn a_server_an_hour_ahead_keeps_the_databases_time() {
    story("many_servers::clocks", || {
        let dir = tempfile::tempdir().unwrap();
        let (source, library) = (dir.path().join("wall_clock.c"), dir.path().join("wall_clock.so"));
        std::fs::write(&source, include_str!("../wall_clock.c")).unwrap();
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status();
        assert!(compiled.unwrap().success());
        let clock = dir.path().join("seconds");
        std::fs::write(&clock, "3600").unwrap();
        let database = postgres::shared().scratch("clocks");
        let right = server(database.url()).start();
        let ahead = server(database.url()).with_env("LD_PRELOAD", &library).with_env("STORY_CLOCK", &clock).start();

        // What one delays is not due at the other, and a lease by one is not over at the other.
        let later = right.submit(&json!({ "type": "later", "delay": "10m" }));
        let held = right.submit(&json!({ "type": "held" }));
        let lease = right.lease("w", "held", 1, "5m")[0]["lease"].clone();
        let soon = ahead.submit(&json!({ "type": "soon", "delay": "1s" }));
        until("what one made to be due at the other", PATIENCE, || {
            let leased = right.lease_now("w", "soon");
            leased.first().map(|it| assert_eq!(it["id"], soon.as_str()))
        });
        // The one that is ahead has looked for what is due at least once since.
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(ahead.task(&later)["state"], "scheduled");
        let made = [&right, &ahead].map(|it| it.submit(&json!({ "type": "stamped" })));
        let stamps = made.map(|id| right.task(&id)["created_at"].as_str().unwrap().to_owned());
        assert_eq!(stamps[0][..11], stamps[1][..11], "{stamps:?}");
        let minute = |stamp: &str| stamp[11..13].parse::<i64>().unwrap() * 60 + stamp[14..16].parse::<i64>().unwrap();
        assert!((minute(&stamps[0]) - minute(&stamps[1])).abs() <= 1, "{stamps:?}");
        let report = json!({ "worker": "w", "succeed": [{ "id": held, "lease": lease, "result": 1 }] });
        assert_eq!(ahead.report(&report)["lost"], json!([]));
        assert_eq!(right.task(&held)["state"], "succeeded");
    });
}
