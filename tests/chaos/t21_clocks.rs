//! T21: somebody sets a clock: what is due stays due, leases neither end early nor last longer.
//!
//! Seen red: with a server whose time is the wall clock's, what is due waits for a day; with a worker that holds a task's age by
//! its own clock against the lease, the one that is ahead never ends anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_stories::harness::PATIENCE;
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::{Store, on};
use tasklane_stories::harness::run::chaos;
use tasklane_testkit::process::until;
use tasklane_testkit::{ServerOptions, postgres as database};

const DAY: i64 = 24 * 3600;
const SOON: Duration = Duration::from_secs(12);

/// The library that moves a process's wall clock, built with the C compiler that SQLite needs anyway.
pub fn wall_clock(dir: &Path) -> PathBuf {
    let (source, library) = (dir.join("wall_clock.c"), dir.join("wall_clock.so"));
    fs::write(&source, include_str!("wall_clock.c")).unwrap();
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).status().unwrap();
    assert!(compiled.success());
    library
}

#[test]
fn sqlite() {
    chaos("t21_clocks::sqlite", Store::Sqlite, |run| {
        run.line.faults = 2;
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

/// The clocks of workers are ten minutes off, and the server's runs twice as fast as time: what takes longer than its lease
/// is done once, and what is to start later starts when it should.
#[test]
fn workers() {
    chaos("t21_clocks::workers", Store::Sqlite, |run| {
        let dir = tempfile::tempdir().unwrap();
        let library = wall_clock(dir.path());
        let clock = |name: &str, seconds: i64| {
            let file = dir.path().join(name);
            fs::write(&file, seconds.to_string()).unwrap();
            file
        };
        let here = clock("here", 0);
        let scene = Scene::with(Store::Sqlite, &[("LD_PRELOAD", &library), ("STORY_CLOCK", &here)]);
        let off = [(Sdk::Rust, -600), (Sdk::Rust, 600), (Sdk::Python, -600), (Sdk::PythonProcesses, 600)];
        let _workers = off.map(|(sdk, seconds)| {
            let name = format!("{sdk:?}{seconds}");
            let file = clock(&name, seconds);
            let environment = [("LD_PRELOAD", library.as_path()), ("STORY_CLOCK", file.as_path())];
            scene.worker_of(&scene.server.url(), sdk, &name, &environment)
        });
        // Three of their leases.
        let long = scene.submit(&json!({ "seconds": 6 }), off.len());
        let delay = Duration::from_secs(4);
        let task = json!({ "type": "story", "queue": scene.queue(), "payload": {}, "delay": "4s" });
        let (later, submitted) = (scene.server.submit(&task), Instant::now());
        let length = run.form.of(Duration::from_secs(6), Duration::from_secs(120));
        let mut started = None;
        for nth in 1.. {
            clock("here", nth / 20);
            std::thread::sleep(Duration::from_millis(50));
            let has = || scene.ledger.of("started").iter().any(|it| it.starts_with(&later));
            started = started.or_else(|| has().then(|| submitted.elapsed()));
            if submitted.elapsed() > length {
                break;
            }
        }
        run.line.faults = off.len() as u64 + 1;
        let error = started.unwrap().checked_sub(delay).expect("not before it is due");
        run.within("start_error_ms", error, Duration::from_secs(1));
        for id in &long {
            let task = scene.server.finished(id);
            run.line.acked += 1;
            run.line.succeeded += usize::from(task["state"] == "succeeded");
            assert_eq!((&task["state"], &task["attempt"]), (&json!("succeeded"), &json!(1)), "{task}");
        }
    });
}

/// A server whose machine is an hour ahead: what counts is the database's time.
#[test]
fn postgres() {
    chaos("t21_clocks::postgres", Store::Postgres, |run| {
        run.line.faults = 1;
        let dir = tempfile::tempdir().unwrap();
        let clock = dir.path().join("seconds");
        fs::write(&clock, "3600").unwrap();
        let scratch = database::shared().scratch("clocks");
        let right = on(scratch.url()).start();
        let ahead =
            on(scratch.url()).with_env("LD_PRELOAD", wall_clock(dir.path())).with_env("STORY_CLOCK", &clock).start();

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
