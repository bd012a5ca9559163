//! Gates of the configuration and of tasks, with real workers: an outside ledger counts what runs, while servers and workers
//! are killed.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_client::Task;
use tasklane_stories::harness::PATIENCE;
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::Store;
use tasklane_testkit::process::until;
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{ServerOptions, binary};
use tempfile::TempDir;

const PRINTER: &str = "[gates.key.printer]\nmax_running = 2\n";
const PACED: &str = "[gates.queue.round-0]\nrate_count = 3\nrate_per = \"1s\"\n";

/// A server with limits in its file, which lies in that directory.
fn limited(limits: &str) -> (Scene, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tasklane.toml");
    fs::write(&file, limits).unwrap();
    let scene = Scene::on(Store::Sqlite, |mut server: ServerOptions| {
        server.arguments.extend(["--config".into(), file.into()]);
        server
    });
    (scene, dir)
}

fn submit(scene: &Scene, tasks: usize, mut task: Value) -> Vec<String> {
    task["queue"] = json!(scene.queue());
    (0..tasks).map(|_| scene.server.submit(&task)).collect()
}

/// What a command prints.
fn say(scene: &Scene, arguments: &[&str]) -> String {
    let mut command = Command::new(binary::tasklane());
    let output = clean(command.args(arguments)).env("TASKLANE_URL", scene.server.url()).output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    assert!(output.status.success(), "{arguments:?}: {err}");
    out
}

fn gate_of(scene: &Scene, name: &str) -> Value {
    serde_json::from_str(&say(scene, &["gate", "show", name, "-o", "json"])).unwrap()
}

/// How many of these tasks began.
fn begun(scene: &Scene, ids: &[String]) -> usize {
    let begun = scene.ledger.of("started");
    ids.iter().filter(|id| begun.iter().any(|line| line.starts_with(id.as_str()))).count()
}

/// The most of these tasks that these lines show at work at once.
fn most_at_once(lines: &[String], ids: &[String]) -> usize {
    let (mut running, mut most) = (BTreeSet::new(), 0);
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        let [what, id, attempt, ..] = words[..] else { panic!("{line}") };
        match what {
            _ if !ids.iter().any(|it| it == id) => {}
            "started" => drop(running.insert((id, attempt))),
            _ => drop(running.remove(&(id, attempt))),
        }
        most = most.max(running.len());
    }
    most
}

#[test]
fn never_more_run_than_a_key_lets_through() {
    story("gates::key", || {
        let (scene, _file) = limited(PRINTER);
        let task = json!({ "type": "story", "payload": { "seconds": 0.03 }, "limits": [{ "key": "printer" }] });
        let ids = submit(&scene, 30, task);
        let free = submit(&scene, 6, json!({ "type": "story", "payload": { "hold": true } }));
        let _workers = ["first", "second"].map(|name| scene.worker(Sdk::Rust, name));
        // What names no key is not held up.
        until("all of them to run", PATIENCE, || (begun(&scene, &free) == free.len()).then_some(()));
        scene.open_gate();
        ids.iter().chain(&free).for_each(|id| assert_eq!(scene.server.finished(id)["state"], "succeeded"));
        let lines = scene.ledger.lines();
        assert_eq!(most_at_once(&lines, &ids), 2, "{lines:?}");
    });
}

#[test]
fn slots_outlive_the_server_and_come_back_when_a_worker_dies() {
    story("gates::struck", || {
        let (mut scene, _file) = limited(PRINTER);
        let task = json!({ "type": "story", "payload": { "hold": true }, "limits": [{ "key": "printer" }] });
        let mut first = scene.worker(Sdk::Rust, "first");
        let ids = submit(&scene, 5, task);
        until("two to begin", PATIENCE, || (begun(&scene, &ids) == 2).then_some(()));
        say(&scene, &["gate", "set", "type:other", "--max-running", "7"]);

        let shown = say(&scene, &["gate", "show", "key:printer"]);
        assert!(shown.contains("2/2") && shown.contains("config") && shown.contains("first"), "{shown}");
        let held = ids.iter().filter(|id| shown.contains(id.as_str())).count();
        assert_eq!(held, 2, "it names who holds it: {shown}");
        let blocked = ids.iter().find(|id| scene.server.task(id)["state"] == "blocked").unwrap();
        assert!(say(&scene, &["why", blocked]).contains("tasklane gate ls"));

        scene.server.kill();
        scene.server.start();
        let gate = gate_of(&scene, "key:printer");
        let told = ["running", "waiting", "full", "max_running"].map(|it| gate[it].clone());
        assert_eq!(told, [json!(2), json!(3), json!(true), json!(2)], "{gate}");
        assert_eq!(gate_of(&scene, "type:other")["set_by"], "operator");
        let _second = scene.worker(Sdk::Rust, "second");
        let free = submit(&scene, 8, json!({ "type": "story", "payload": { "seconds": 0.02 } }));
        free.iter().for_each(|id| drop(scene.server.finished(id)));
        assert_eq!(begun(&scene, &ids), 2, "both workers ask, and nothing more begins");

        first.kill();
        let before = scene.ledger.lines();
        scene.open_gate();
        let tasks: Vec<_> = ids.iter().map(|id| scene.server.finished(id)).collect();
        assert!(tasks.iter().all(|it| it["state"] == "succeeded" && it["worker"] == "second"), "{tasks:?}");
        let again = tasks.iter().filter(|it| it["attempt"] == 2).count();
        assert_eq!(again, 2, "those of the worker that died");
        let lines = scene.ledger.lines();
        assert_eq!(most_at_once(&before, &ids), 2);
        assert!(most_at_once(&lines[before.len()..], &ids) <= 2, "{lines:?}");
        let gate = gate_of(&scene, "key:printer");
        assert_eq!((&gate["running"], &gate["waiting"]), (&json!(0), &json!(0)), "{gate}");
    });
}

#[test]
fn a_purge_takes_who_waits_and_nobodys_slot() {
    story("gates::purged", || {
        let (scene, _file) = limited(PRINTER);
        let task = || json!({ "type": "story", "payload": { "hold": true }, "limits": [{ "key": "printer" }] });
        let _worker = scene.worker(Sdk::Rust, "first");
        let ids = submit(&scene, 5, task());
        until("two to begin", PATIENCE, || (begun(&scene, &ids) == 2).then_some(()));
        say(&scene, &["queue", "purge", &scene.queue()]);
        let held = || ["running", "waiting"].map(|it| gate_of(&scene, "key:printer")[it].clone());
        until("nobody to wait", PATIENCE, || (held() == [2, 0]).then_some(()));
        let later = submit(&scene, 1, task());
        assert_eq!(scene.server.task(&later[0])["state"], "blocked");
        scene.open_gate();
        assert_eq!(scene.server.finished(&later[0])["state"], "succeeded");
        let cancelled = ids.iter().filter(|id| scene.server.finished(id)["state"] == "cancelled").count();
        assert_eq!((cancelled, held()), (3, [json!(0), json!(0)]));
    });
}

#[test]
fn a_queue_starts_no_more_in_a_time_than_its_rate() {
    story("gates::rate", || {
        let (scene, _file) = limited(PACED);
        let _worker = scene.worker(Sdk::Rust, "first");
        let ids = submit(&scene, 9, json!({ "type": "story", "payload": {} }));
        let started = |id: &String| {
            let text = scene.server.get(&format!("/v1/tasks/{id}?wait=60s")).expect(200).text();
            serde_json::from_str::<Task>(&text).unwrap().started_at.unwrap()
        };
        let mut starts: Vec<_> = ids.iter().map(started).collect();
        starts.sort_unstable();
        for (before, after) in starts.iter().zip(&starts[3..]) {
            assert!(after.since(*before) >= Duration::from_secs(1), "four within a second: {starts:?}");
        }
        let text = scene.server.get("/metrics").expect(200).text();
        assert!(text.contains("tasklane_gate_waiting{gate=\"queue:round-0\"} 0.0"), "{text}");
    });
}
