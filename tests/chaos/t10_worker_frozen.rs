//! T10: a worker is frozen for longer than its lease, or its interpreter is held: what it says afterwards changes nothing.
//!
//! Seen red: with a token that is not compared (`BrokenFence`), a settled task is settled again.

use serde_json::{Value, json};
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::Signal;

/// Tasks that are held at a time; a worker has as many slots.
const EACH: usize = 4;

#[test]
fn sqlite() {
    chaos("t10_worker_frozen::sqlite", Store::Sqlite, |run| {
        let scene = Scene::new(run.store);
        for round in 0..run.form.of(1, 84) {
            for sdk in [Sdk::Rust, Sdk::Python, Sdk::PythonProcesses] {
                frozen(&scene, run, sdk, &format!("{round}-{sdk:?}"));
            }
        }
        held(&scene, run);
        late(&scene, run);
    });
}

#[test]
fn postgres() {
    chaos("t10_worker_frozen::postgres", Store::Postgres, |run| {
        let scene = Scene::new(run.store);
        for round in 0..run.form.of(1, 84) {
            frozen(&scene, run, Sdk::Rust, &round.to_string());
        }
        late(&scene, run);
    });
}

/// A worker with all its slots taken is stopped for longer than its leases, and goes on once others have done its tasks.
fn frozen(scene: &Scene, run: &mut Run, sdk: Sdk, round: &str) {
    scene.next_round();
    let first = scene.worker(sdk, &format!("first-{round}"));
    let ids = scene.submit(&json!({ "hold": true }), EACH);
    ids.iter().for_each(|id| assert_eq!(scene.until_started(id, 1), first.name));
    first.signal(Signal::Stop);
    run.line.faults += 1;
    let mut second = scene.worker(Sdk::Rust, &format!("second-{round}"));
    // The first has more connections, and a frozen process keeps them open: none of them may catch the tasks again.
    let done: Vec<_> = ids.iter().map(|id| scene.server.finished(id)).collect();
    for task in &done {
        assert_eq!(task["result"], format!("attempt 2 by second-{round}"), "{task}");
    }
    second.kill();

    // It wakes up, finds its gate open and believes that it is done.
    scene.open_gate();
    first.signal(Signal::Cont);
    let next = scene.submit(&json!({}), 1);
    assert_eq!(scene.server.finished(&next[0])["worker"], first.name, "it works on");
    scene.close_gate();
    scene.unchanged(run, &done);
    ids.iter().for_each(|id| assert_eq!(scene.attempts(id).len(), 2));
}

/// A handler of Python holds the interpreter for several leases. Its worker renews all the same: the task is done once.
fn held(scene: &Scene, run: &mut Run) {
    for sdk in [Sdk::Python, Sdk::PythonProcesses] {
        scene.next_round();
        let mut holder = scene.worker(sdk, &format!("holder-{sdk:?}"));
        let id = scene.submit(&json!({ "freeze": 6 }), 1).remove(0);
        assert_eq!(scene.until_started(&id, 1), holder.name);
        run.line.faults += 1;
        let _other = scene.worker(Sdk::Rust, &format!("other-{sdk:?}"));
        let task = scene.server.finished(&id);
        run.line.acked += 1;
        run.line.succeeded += 1;
        assert_eq!(task["result"], format!("attempt 1 by {}", holder.name), "{task}");
        holder.kill();
    }
}

/// Whatever is said with a lease that was lost is named under `lost`, and changes nothing.
fn late(scene: &Scene, run: &mut Run) {
    for _ in 0..run.form.of(1, 20) {
        let id = scene.server.submit(&json!({ "type": "late", "max_attempts": 5 }));
        let old = scene.server.lease("zombie", "late", 1, "1s")[0]["lease"].clone();
        let new = scene.server.lease("heir", "late", 1, "60s");
        assert_eq!((&new[0]["id"], &new[0]["attempt"]), (&json!(id), &json!(2)));
        let before = scene.server.task(&id);
        let key = json!({ "id": id, "lease": old });
        let with = |more: Value| {
            let mut all = key.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        for report in [
            json!({ "renew": [key] }),
            json!({ "progress": [with(json!({ "percent": 99 }))] }),
            json!({ "logs": [with(json!({ "n": 0, "level": "info", "message": "late" }))] }),
            json!({ "checkpoints": [with(json!({ "name": "late", "data": 1 }))] }),
            json!({ "succeed": [with(json!({ "result": "late" }))] }),
            json!({ "fail": [with(json!({ "kind": "error", "message": "late" }))] }),
        ] {
            let report = with_worker(report);
            assert_eq!(scene.server.report(&report)["lost"], json!([id]), "{report}");
            run.line.faults += 1;
        }
        assert_eq!(scene.server.task(&id), before, "a late report changed something");
        assert!(!scene.server.get(&format!("/v1/tasks/{id}/logs")).text().contains("late"));
        let done = json!({ "worker": "heir", "succeed": [{ "id": id, "lease": new[0]["lease"], "result": "heir" }] });
        assert_eq!(scene.server.report(&done)["lost"], json!([]));
        assert_eq!(scene.server.task(&id)["result"], "heir");
    }
}

fn with_worker(mut report: Value) -> Value {
    report["worker"] = json!("zombie");
    report
}
