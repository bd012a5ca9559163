//! T11: a report, a cancellation and the rescue of the same lease meet: one of them decides, and all agree on which. Leases
//! that last do not hold up the rescue of those that do not.
//!
//! Seen red: with a token that is not compared (`BrokenFence`), a late report settles the attempt of somebody else.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_stories::harness::PATIENCE;
use tasklane_stories::harness::crew::Scene;
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::process::until;

/// Leases that last, before those that do not.
const LASTING: usize = 10_000;
const RESCUED: Duration = Duration::from_secs(1);
const LENGTH: Duration = Duration::from_secs(1);

#[test]
fn sqlite() {
    chaos("t11_races::sqlite", Store::Sqlite, tell);
}

#[test]
fn postgres() {
    chaos("t11_races::postgres", Store::Postgres, tell);
}

fn tell(run: &mut Run) {
    let scene = Scene::new(run.store);
    behind(&scene, run);
    for _ in 0..run.form.of(2, 200) {
        race(&scene, run);
    }
}

/// A hundred leases of a second, behind ten thousand of an hour.
fn behind(scene: &Scene, run: &mut Run) {
    let server = &scene.server;
    let mut lease = |task_type: &str, many: usize, length: &str| {
        let task = json!({ "type": task_type, "max_attempts": 9 });
        for _ in 0..many.div_ceil(1000) {
            server.post("/v1/tasks:batch", &json!(vec![task.clone(); many.min(1000)])).expect(201);
        }
        let mut leased = 0;
        while leased < many {
            leased += server.lease("w", task_type, 500.min(many - leased), length).len();
        }
        run.line.acked += many;
    };
    lease("lasting", LASTING, "1h");
    lease("short", 100, "1s");
    let over = Instant::now() + LENGTH;
    let left = |state: &str| {
        let queue = server.get("/v1/tasks?type=short&limit=200").expect(200).json();
        queue["items"].as_array().unwrap().iter().filter(|it| it["state"] == state).count()
    };
    until("the short ones to be rescued", PATIENCE, || (left("running") == 0).then_some(()));
    run.within("rescued_after_ms", over.elapsed(), RESCUED);
    assert_eq!(left("queued"), 100);
}

/// Eight workers report at the end of their leases, a few milliseconds early or late, and somebody cancels beside.
fn race(scene: &Scene, run: &mut Run) {
    scene.next_round();
    let (server, kind) = (&scene.server, scene.queue());
    let task = json!({ "type": kind, "max_attempts": 9 });
    server.post("/v1/tasks:batch", &json!(vec![task; 80])).expect(201);
    let mut groups = Vec::new();
    for worker in 0..8 {
        let leased = server.lease(&format!("w{worker}"), &kind, 10, "1s");
        let at = Instant::now() + LENGTH + run.choices.moment(60);
        groups.push((worker, leased, at.checked_sub(Duration::from_millis(40)).unwrap()));
    }
    let (accepted, inherited) = thread::scope(|scope| {
        let reporting: Vec<_> = groups
            .into_iter()
            .map(|(worker, leased, at)| scope.spawn(move || report(scene, worker, leased, at)))
            .collect();
        // Whatever is rescued meanwhile has somebody who works on it.
        let mut inherited = Vec::new();
        while !reporting.iter().all(thread::ScopedJoinHandle::is_finished) {
            let wish =
                json!({ "worker": "heir", "lanes": [{ "types": [kind] }], "limit": 80, "lease": "1m", "wait": "20ms" });
            inherited.extend(server.tasks_of(&wish));
        }
        let accepted: Vec<_> = reporting.into_iter().flat_map(|it| it.join().unwrap()).collect();
        (accepted, inherited)
    });
    run.line.faults += 80;
    for (id, is_accepted) in accepted {
        let task = server.task(&id);
        run.line.succeeded += usize::from(task["state"] == "succeeded");
        let kept = task["attempt"] == 1 && (task["state"] == "succeeded" || task["state"] == "cancelled");
        assert!(!is_accepted || kept, "accepted, and then not kept, or of another's attempt: {task}");
        assert!(is_accepted || task["state"] != "succeeded", "told that it was lost, and kept: {task}");
        assert!(task["spent"].as_u64() <= task["max_attempts"].as_u64(), "{task}");
    }
    let done: Vec<_> =
        inherited.iter().map(|it| json!({ "id": it["id"], "lease": it["lease"], "result": "heir" })).collect();
    assert_eq!(server.report(&json!({ "worker": "heir", "succeed": done }))["lost"], json!([]));
    run.figure("inherited", inherited.len() as f64);
}

/// Reports at that moment, and cancels every other task beside; which reports were accepted.
fn report(scene: &Scene, worker: usize, leased: Vec<serde_json::Value>, at: Instant) -> Vec<(String, bool)> {
    let ids: Vec<_> = leased.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    let done: Vec<_> =
        leased.iter().map(|it| json!({ "id": it["id"], "lease": it["lease"], "result": worker })).collect();
    thread::sleep(at.saturating_duration_since(Instant::now()));
    thread::scope(|scope| {
        let cancelling = scope.spawn(|| {
            for id in ids.iter().step_by(2) {
                // Whether it comes before the end or after it is what this is about.
                scene.server.act(&format!("/v1/tasks/{id}:cancel"));
            }
        });
        let lost = scene.server.report(&json!({ "worker": format!("w{worker}"), "succeed": done }))["lost"].clone();
        cancelling.join().unwrap();
        let is_lost = |id: &String| lost.as_array().unwrap().contains(&json!(id));
        ids.iter().map(|id| (id.clone(), !is_lost(id))).collect()
    })
}
