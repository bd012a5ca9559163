//! Workers in processes of their own are killed and frozen in the middle of a task.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_testkit::process::{self, Signal, until};
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{Ledger, Server, ServerOptions};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server, and the ledger that its workers write.
struct Scene {
    server: Server,
    ledger: Ledger,
}

/// A worker process; killed when dropped.
struct Worker(Child);

impl Scene {
    fn new() -> Self {
        let server = ServerOptions::without_executors().start();
        let ledger = Ledger::open(&server.dir().join("ledger"));
        Self { server, ledger }
    }

    fn worker(&self, name: &str) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_story-worker"));
        command.args([&self.server.url(), name]).arg(self.ledger.path()).arg(self.server.dir().join("gate"));
        Worker(clean(&mut command).stdin(Stdio::null()).spawn().unwrap())
    }

    fn submit_held(&self) -> String {
        self.server.submit(&json!({ "type": "story", "payload": { "hold": true } }))
    }

    /// Lets attempts go on that were held.
    fn open_gate(&self) {
        std::fs::write(self.server.dir().join("gate"), "").unwrap();
    }

    fn until_wrote(&self, line: &str) {
        until(line, PATIENCE, || self.ledger.lines().iter().any(|it| it == line).then_some(()));
    }

    fn attempts(&self, id: &str) -> Vec<Value> {
        let attempts = self.server.get(&format!("/v1/tasks/{id}/attempts")).expect(200).json();
        attempts["items"].as_array().unwrap().clone()
    }
}

impl Worker {
    fn signal(&self, signal: Signal) {
        process::signal(self.0.id(), signal);
    }

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

#[test]
fn killed_in_the_middle_it_runs_again_elsewhere() {
    story("worker_struck::killed", || {
        let scene = Scene::new();
        let mut first = scene.worker("first");
        let id = scene.submit_held();
        scene.until_wrote(&format!("started {id} 1 first"));
        let _second = scene.worker("second");
        first.kill();
        let task = scene.server.finished(&id);
        assert_eq!(task["result"], "attempt 2 by second", "{task}");
        assert_eq!((&task["attempt"], &task["spent"]), (&json!(2), &json!(2)), "a crash counts: {task}");
        let attempts = scene.attempts(&id);
        assert_eq!((&attempts[0]["reason"], &attempts[0]["worker"]), (&json!("lease_lost"), &json!("first")));
        assert_eq!(attempts[0]["failure"]["kind"], "lease_lost", "{attempts:?}");
    });
}

#[test]
fn frozen_past_its_lease_it_settles_nothing_and_works_on() {
    story("worker_struck::frozen", || {
        let scene = Scene::new();
        let first = scene.worker("first");
        let id = scene.submit_held();
        scene.until_wrote(&format!("started {id} 1 first"));
        first.signal(Signal::Stop);
        let mut second = scene.worker("second");
        let task = scene.server.finished(&id);
        // The first has more connections, and a frozen process keeps them open: none of them may catch the task again.
        assert_eq!(task["result"], "attempt 2 by second", "{task}");
        second.kill();

        // It wakes up, finds its gate open and believes that it is done.
        scene.open_gate();
        first.signal(Signal::Cont);
        let next = scene.server.submit(&json!({ "type": "story", "payload": {} }));
        assert_eq!(scene.server.finished(&next)["worker"], "first", "it works on");
        let after = scene.server.task(&id);
        assert_eq!(after, task, "a late attempt changed a settled task");
        assert_eq!(scene.attempts(&id).len(), 2);
    });
}

#[test]
fn asked_to_end_it_finishes_what_it_has_and_takes_nothing_new() {
    story("worker_struck::drained", || {
        let scene = Scene::new();
        let mut first = scene.worker("first");
        let id = scene.submit_held();
        scene.until_wrote(&format!("started {id} 1 first"));
        first.signal(Signal::Term);
        let later = scene.server.submit(&json!({ "type": "story", "payload": {} }));
        scene.open_gate();
        let status = until("the worker to end", PATIENCE, || first.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
        let task = scene.server.task(&id);
        assert_eq!((&task["state"], &task["attempt"]), (&json!("succeeded"), &json!(1)), "{task}");
        // The later one may have been given to it in the moment it was asked to end; then it came back unspent.
        let _second = scene.worker("second");
        let task = scene.server.finished(&later);
        assert_eq!(task["spent"], 1, "{task}");
    });
}

#[test]
fn killed_again_and_again_everything_is_done_once() {
    story("worker_struck::many", || {
        let scene = Scene::new();
        // Crashes count, so the tasks may have more of them than this story has kills.
        let tasks = vec![json!({ "type": "story", "payload": {}, "max_attempts": 100 }); 1500];
        let reply = scene.server.post("/v1/tasks:batch", &json!(tasks)).expect(201).json();
        let ids: Vec<_> =
            reply["tasks"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        let _steady = scene.worker("steady");
        for kill in 0..2 {
            let mut doomed = scene.worker("doomed");
            until("it to have begun", PATIENCE, || {
                let begun = scene.ledger.of("started").iter().filter(|it| it.ends_with("doomed")).count();
                let over = scene.ledger.of("ended").len() >= ids.len();
                (begun > kill || over).then_some(())
            });
            doomed.kill();
        }
        let mut ended: BTreeMap<String, u32> = BTreeMap::new();
        for id in &ids {
            let task = scene.server.finished(id);
            assert_eq!(task["state"], "succeeded", "{task}");
            ended.insert(id.clone(), 0);
        }
        for line in scene.ledger.of("ended") {
            *ended.get_mut(line.split(' ').next().unwrap()).expect("one of ours") += 1;
        }
        assert!(ended.values().all(|times| *times >= 1), "a task succeeded that no handler ended");
    });
}
