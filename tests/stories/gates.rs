//! Gates of the configuration and of tasks, with real workers: an outside ledger counts what runs, while servers and workers
//! are killed.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_client::Task;
use tasklane_testkit::process::until;
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{Ledger, Server, ServerOptions, binary};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
const CONFIG: &str = "[gates.key.printer]\nmax_running = 2\n\n[gates.queue.paced]\nrate_count = 3\nrate_per = \"1s\"\n";

/// A server with limits in its file, and the ledger that workers write.
struct Scene {
    server: Server,
    ledger: Ledger,
    _dir: TempDir,
}

/// A worker process; killed when dropped.
struct Worker(Child);

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tasklane.toml");
        fs::write(&file, CONFIG).unwrap();
        let arguments = vec!["--no-executors".into(), "--config".into(), file.into()];
        let server = ServerOptions { arguments, ..ServerOptions::default() }.start();
        let ledger = Ledger::open(&server.dir().join("ledger"));
        Self { server, ledger, _dir: dir }
    }

    fn worker(&self, name: &str) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_story-worker"));
        command.args([&self.server.url(), name]).arg(self.ledger.path()).arg(self.server.dir().join("gate"));
        Worker(clean(&mut command).stdin(Stdio::null()).spawn().unwrap())
    }

    fn submit(&self, tasks: usize, task: &Value) -> Vec<String> {
        (0..tasks).map(|_| self.server.submit(task)).collect()
    }

    /// What a command prints.
    fn say(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binary::tasklane());
        let output = clean(command.args(arguments)).env("TASKLANE_URL", self.server.url()).output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(output.status.success(), "{arguments:?}: {err}");
        out
    }

    fn gate(&self, name: &str) -> Value {
        serde_json::from_str(&self.say(&["gate", "show", name, "-o", "json"])).unwrap()
    }

    /// How many tasks began, of these.
    fn begun(&self, ids: &[String]) -> usize {
        let begun = self.ledger.of("started");
        ids.iter().filter(|id| begun.iter().any(|line| line.starts_with(id.as_str()))).count()
    }

    fn until_begun(&self, ids: &[String], tasks: usize) {
        until("tasks to begin", PATIENCE, || (self.begun(ids) == tasks).then_some(()));
    }
}

impl Worker {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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
        let scene = Scene::new();
        let task = json!({ "type": "story", "payload": { "seconds": 0.03 }, "limits": [{ "key": "printer" }] });
        let ids = scene.submit(30, &task);
        let free = scene.submit(30, &json!({ "type": "story", "payload": { "seconds": 0.03 } }));
        let _workers = [scene.worker("first"), scene.worker("second")];
        ids.iter().chain(&free).for_each(|id| assert_eq!(scene.server.finished(id)["state"], "succeeded"));
        let lines = scene.ledger.lines();
        assert_eq!(most_at_once(&lines, &ids), 2, "{lines:?}");
        assert!(most_at_once(&lines, &free) > 2, "what names no key is not held up: {lines:?}");
    });
}

#[test]
fn slots_outlive_the_server_and_come_back_when_a_worker_dies() {
    story("gates::struck", || {
        let mut scene = Scene::new();
        let task = json!({ "type": "story", "payload": { "hold": true }, "limits": [{ "key": "printer" }] });
        let mut first = scene.worker("first");
        let ids = scene.submit(5, &task);
        scene.until_begun(&ids, 2);
        scene.say(&["gate", "set", "type:other", "--max-running", "7"]);

        let shown = scene.say(&["gate", "show", "key:printer"]);
        assert!(shown.contains("2/2") && shown.contains("config") && shown.contains("first"), "{shown}");
        let held = ids.iter().filter(|id| shown.contains(id.as_str())).count();
        assert_eq!(held, 2, "it names who holds it: {shown}");
        let blocked = ids.iter().find(|id| scene.server.task(id)["state"] == "blocked").unwrap();
        assert!(scene.say(&["why", blocked]).contains("tasklane gate ls"));

        scene.server.kill();
        scene.server.start();
        let gate = scene.gate("key:printer");
        let told = ["running", "waiting", "full", "max_running"].map(|it| gate[it].clone());
        assert_eq!(told, [json!(2), json!(3), json!(true), json!(2)], "{gate}");
        assert_eq!(scene.gate("type:other")["set_by"], "operator");
        let _second = scene.worker("second");
        let free = scene.submit(8, &json!({ "type": "story", "payload": { "seconds": 0.02 } }));
        free.iter().for_each(|id| drop(scene.server.finished(id)));
        assert_eq!(scene.begun(&ids), 2, "both workers ask, and nothing more begins");

        first.kill();
        let before = scene.ledger.lines();
        fs::write(scene.server.dir().join("gate"), "").unwrap();
        let tasks: Vec<_> = ids.iter().map(|id| scene.server.finished(id)).collect();
        assert!(tasks.iter().all(|it| it["state"] == "succeeded" && it["worker"] == "second"), "{tasks:?}");
        let again = tasks.iter().filter(|it| it["attempt"] == 2).count();
        assert_eq!(again, 2, "those of the worker that died");
        let lines = scene.ledger.lines();
        assert_eq!(most_at_once(&before, &ids), 2);
        assert!(most_at_once(&lines[before.len()..], &ids) <= 2, "{lines:?}");
        let gate = scene.gate("key:printer");
        assert_eq!((&gate["running"], &gate["waiting"]), (&json!(0), &json!(0)), "{gate}");
    });
}

#[test]
fn a_queue_starts_no_more_in_a_time_than_its_rate() {
    story("gates::rate", || {
        let scene = Scene::new();
        let _worker = scene.worker("first");
        let ids = scene.submit(9, &json!({ "type": "story", "queue": "paced", "payload": {} }));
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
        assert!(text.contains("tasklane_gate_waiting{gate=\"queue:paced\"} 0.0"), "{text}");
    });
}
