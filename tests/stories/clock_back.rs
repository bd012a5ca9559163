//! Somebody sets the machine's clock back by a day: what is due stays due, leases neither end early nor last a day longer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_testkit::ServerOptions;
use tasklane_testkit::story::story;

const DAY: i64 = 24 * 3600;
const SOON: Duration = Duration::from_secs(12);

/// The library that moves a process's wall clock, built with the C compiler that SQLite needs anyway.
fn wall_clock(dir: &Path) -> PathBuf {
    let (source, library) = (dir.join("wall_clock.c"), dir.join("wall_clock.so"));
    fs::write(&source, include_str!("wall_clock.c")).unwrap();
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status().unwrap();
    assert!(compiled.success());
    library
}

#[test]
fn nothing_waits_a_day_and_nothing_ends_early() {
    story("clock_back", || {
        let dir = tempfile::tempdir().unwrap();
        let clock = dir.path().join("seconds");
        let set = |seconds: i64| fs::write(&clock, seconds.to_string()).unwrap();
        set(0);
        let options = ServerOptions::without_executors();
        let mut server = options.with_env("LD_PRELOAD", wall_clock(dir.path())).with_env("STORY_CLOCK", &clock).start();
        let created =
            |id: &str, server: &tasklane_testkit::Server| server.task(id)["created_at"].as_str().unwrap().to_owned();

        let first = server.submit(&json!({ "type": "first" }));
        server.submit(&json!({ "type": "running" }));
        server.lease("w", "running", 1, "2s");
        let delayed = server.submit(&json!({ "type": "delayed", "delay": "1s" }));
        set(-DAY);
        let start = Instant::now();
        assert_eq!(server.lease("w", "delayed", 1, "30s")[0]["id"], delayed.as_str());
        assert_eq!(server.lease("w", "running", 1, "30s")[0]["attempt"], 2, "a lease of 2 s outlived the jump");
        assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
        let second = server.submit(&json!({ "type": "second" }));
        assert!(created(&second, &server) >= created(&first, &server), "time went back");

        // Started while the clock is wrong: it goes on from the last moment it wrote, and says so.
        server.kill();
        server.start();
        let ready = server.get("/ready").expect(200).text();
        assert!(ready.contains("clock"), "/ready does not show the difference: {ready}");
        assert!(server.log().to_lowercase().contains("clock"), "nothing was said about the clock");
        let third = server.submit(&json!({ "type": "third", "delay": "1s" }));
        assert!(created(&third, &server) >= created(&second, &server), "time went back over a restart");
        let start = Instant::now();
        assert_eq!(server.lease("w", "third", 1, "30s")[0]["id"], third.as_str());
        assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());

        // And forward again, while leases are held: none ends early.
        let held = server.submit(&json!({ "type": "held", "start_deadline": "1h" }));
        let lease = server.lease("w", "held", 1, "30s")[0]["lease"].clone();
        let waits = server.submit(&json!({ "type": "waits", "delay": "1h" }));
        set(DAY);
        assert!(server.lease_now("w", "waits").is_empty());
        let settled =
            server.report(&json!({ "worker": "w", "succeed": [{ "id": held, "lease": lease, "result": 1 }] }));
        assert_eq!(settled["lost"], json!([]));
        assert_eq!(server.task(&waits)["state"], "scheduled");
    });
}
