//! T14: tasks that end the process of their handler: each is quarantined after three attempts, its neighbours are done and
//! hardly slower, and its type is told of as crashing. Tried again by hand it keeps its history.
//!
//! Seen red: without the count of crashes in a row, the pills go on killing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::run::{Form, chaos};
use tasklane_testkit::process::until;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn sqlite() {
    chaos("t14_pills::sqlite", Store::Sqlite, |run| {
        let scene = Scene::new(Store::Sqlite);
        let _workers = [0, 1].map(|it| scene.worker(Sdk::PythonProcesses, &format!("python-{it}")));
        let many = run.form.of(100, 500);
        // The first tasks of a worker pay for its start.
        done(&scene, &scene.submit(&json!({}), 20));
        let alone = done(&scene, &scene.submit(&json!({ "seconds": 0.02 }), many));

        let retry = json!({ "initial": "10ms", "factor": 1, "max": "10ms", "jitter": false });
        let pills: Vec<_> = ["segfault", "exit", "kill"]
            .map(|how| {
                let task = json!({
                    "type": "pill", "queue": scene.queue(), "payload": { "how": how }, "max_attempts": 20, "retry": retry,
                });
                scene.server.submit(&task)
            })
            .into();
        run.line.faults = pills.len() as u64;
        let neighbours = scene.submit(&json!({ "seconds": 0.02 }), many);
        let beside = done(&scene, &neighbours);
        run.line.acked = 2 * many + pills.len();
        run.line.succeeded = 2 * many;
        for id in &pills {
            let task = until("the pill to be quarantined", PATIENCE, || {
                Some(scene.server.task(id)).filter(|it| it["state"] == "failed")
            });
            assert_eq!(
                (&task["quarantined"], &task["reason"], &task["attempt"]),
                (&json!(true), &json!("crash_loop"), &json!(3)),
                "{task}"
            );
            assert!(task["failure"]["message"].as_str().unwrap().contains("worker python-"), "{task}");
            assert_eq!(scene.attempts(id).len(), 3, "{task}");
        }
        let types = scene.server.get("/v1/types").expect(200).json();
        let pill = types["items"].as_array().unwrap().iter().find(|it| it["name"] == "pill").unwrap().clone();
        assert_eq!(pill["crashing"], true, "{pill}");

        let id = &pills[0];
        let again = scene.server.act(&format!("/v1/tasks/{id}:retry")).expect(200).json();
        assert!(again["quarantined"] != true, "{again}");
        let task = until("it to be quarantined again", PATIENCE, || {
            Some(scene.server.task(id)).filter(|it| it["state"] == "failed")
        });
        assert_eq!((&task["attempt"], scene.attempts(id).len()), (&json!(6), 6), "its history is kept: {task}");

        run.figure("neighbours_p95_ms", beside.as_secs_f64() * 1000.0);
        run.figure("alone_p95_ms", alone.as_secs_f64() * 1000.0);
        if run.form == Form::Long {
            assert!(beside < alone * 2, "{beside:?} beside pills, {alone:?} alone");
        }
    });
}

/// Waits for all of them; how long after the start 95 of 100 had begun and ended.
fn done(scene: &Scene, ids: &[String]) -> Duration {
    let start = Instant::now();
    let mut took: Vec<_> = ids
        .iter()
        .map(|id| {
            let task: Value = scene.server.finished(id);
            assert_eq!(task["state"], "succeeded", "{task}");
            start.elapsed()
        })
        .collect();
    took.sort();
    took[took.len() * 95 / 100]
}
