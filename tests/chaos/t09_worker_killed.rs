//! T09: workers are killed in the middle of tasks, again and again: each task runs again elsewhere, soon after its lease, and
//! its unique key is free once it is done, and its slot of a gate once its lease is over.
//!
//! Seen red: with leases that nobody rescues, no second attempt begins.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::process::until;

/// The lease of its workers, and what may pass after it.
const AGAIN: Duration = Duration::from_secs(4);
/// As many as a worker has slots.
const EACH: usize = 4;
const SDKS: [Sdk; 3] = [Sdk::Rust, Sdk::Python, Sdk::PythonProcesses];

#[test]
fn sqlite() {
    chaos("t09_worker_killed::sqlite", Store::Sqlite, tell);
}

#[test]
fn postgres() {
    chaos("t09_worker_killed::postgres", Store::Postgres, tell);
}

fn tell(run: &mut Run) {
    let scene = Scene::new(run.store);
    let mut slowest = Duration::ZERO;
    for round in 0..run.form.of(2, 167) {
        slowest = slowest.max(strike(&scene, run, round));
    }
    run.within("runs_again_ms", slowest, AGAIN);
}

/// Kills a worker of each SDK while all its slots are taken; how long it took until the last of their tasks began again.
fn strike(scene: &Scene, run: &mut Run, round: usize) -> Duration {
    scene.next_round();
    let name = |it: usize| format!("victim-{round}-{it}");
    let mut victims: Vec<_> = SDKS.iter().enumerate().map(|(nth, sdk)| scene.worker(*sdk, &name(nth))).collect();
    let mut ids = scene.submit(&json!({ "hold": true }), EACH * SDKS.len() - 2);
    let key = format!("key-{round}");
    let keyed = json!({
        "type": "story", "queue": scene.queue(), "payload": { "hold": true }, "max_attempts": 100, "unique": { "key": key },
    });
    ids.push(scene.server.submit(&keyed));
    // A gate that lets one through: the next has its slot soon after the lease of who held it.
    let gated = |payload: serde_json::Value| {
        let limits = json!([{ "key": format!("gate-{round}"), "max_running": 1 }]);
        json!({ "type": "story", "queue": scene.queue(), "payload": payload, "max_attempts": 100, "limits": limits })
    };
    ids.push(scene.server.submit(&gated(json!({ "hold": true }))));
    run.line.acked += ids.len();
    let busy: BTreeSet<_> = ids.iter().map(|id| scene.until_started(id, 1)).collect();
    assert_eq!(busy.len(), victims.len(), "each has some: {busy:?}");
    let behind = scene.server.submit(&gated(json!({})));
    assert_eq!(scene.server.task(&behind)["state"], "blocked");
    std::thread::sleep(run.choices.moment(300));
    victims.iter_mut().for_each(tasklane_stories::harness::crew::Member::kill);
    let killed = Instant::now();
    run.line.faults += victims.len() as u64;
    let heir = SDKS[round % SDKS.len()];
    let _heirs = [0, 1, 2].map(|nth| scene.worker(heir, &format!("heir-{round}-{nth}")));
    ids.iter().for_each(|id| drop(scene.until_started(id, 2)));
    scene.until_started(&behind, 1);
    let took = killed.elapsed();
    for id in &ids {
        let task = scene.server.finished(id);
        assert_eq!((&task["state"], &task["attempt"], &task["spent"]), (&json!("succeeded"), &json!(2), &json!(2)));
        run.line.succeeded += 1;
        let attempts = scene.attempts(id);
        assert_eq!(
            (&attempts[0]["reason"], &attempts[0]["failure"]["kind"]),
            (&json!("lease_lost"), &json!("lease_lost"))
        );
        assert!(attempts[0]["worker"].as_str().unwrap().starts_with("victim-"), "{attempts:?}");
    }
    let again = scene.server.post("/v1/tasks", &keyed);
    assert_eq!(again.status, 201, "the unique key is still held: {}", again.text());
    let id = again.json()["id"].as_str().unwrap().to_owned();
    scene.open_gate();
    until("the task with the same key", AGAIN * 5, || (scene.server.task(&id)["state"] == "succeeded").then_some(()));
    scene.close_gate();
    took
}
