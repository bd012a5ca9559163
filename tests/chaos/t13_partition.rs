//! T13: the way between a worker and its server loses what is sent on it, in both directions, in one, or now and then: the
//! worker ends what it cannot renew before somebody else begins it, and works on when the way is good again.
//!
//! Seen red: with a worker that does not end what it cannot renew, it works on beside the next one.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklane_stories::harness::PATIENCE;
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::net::{Lost, Net};
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::process::until;

/// As many as a worker has slots.
const EACH: usize = 4;
/// The lease of its workers.
const LEASE: Duration = Duration::from_secs(2);
/// After the way is good again.
const ALL_DONE: Duration = Duration::from_secs(60);
/// Of what is sent on a bad way, in a hundred.
const LOST: u64 = 30;

#[test]
fn sqlite() {
    tell("t13_partition::sqlite", Store::Sqlite);
}

#[test]
#[ignore = "told by make chaos"]
fn postgres() {
    tell("t13_partition::postgres", Store::Postgres);
}

fn tell(name: &str, store: Store) {
    if !Net::can(name) {
        return;
    }
    chaos(name, store, |run| {
        let (scene, mut net) = (Scene::on(store, tasklane_testkit::ServerOptions::for_anybody), Net::new());
        let mut slowest = Duration::ZERO;
        for round in 0..run.form.of(1, 10) {
            for (nth, lost) in [Lost::Both, Lost::FromFar, Lost::ToFar].into_iter().enumerate() {
                let sdk = [Sdk::Rust, Sdk::Python, Sdk::PythonProcesses][(round + nth) % 3];
                slowest = slowest.max(cut_off(&scene, run, &mut net, lost, sdk));
            }
        }
        slowest = slowest.max(on_a_bad_way(&scene, run, &mut net));
        run.within("all_done_after_ms", slowest, ALL_DONE);
    });
}

/// A worker with all its slots taken is cut off for several leases; how long it took afterwards until it worked on.
fn cut_off(scene: &Scene, run: &mut Run, net: &mut Net, lost: Lost, sdk: Sdk) -> Duration {
    scene.next_round();
    let (far_name, near_name) = (format!("far-{}", scene.queue()), format!("near-{}", scene.queue()));
    let _far = scene.worker_at(net, sdk, &far_name);
    let ids = scene.submit(&json!({ "hold": true, "effects": true }), EACH);
    ids.iter().for_each(|id| assert_eq!(scene.until_started(id, 1), far_name));
    let mut near = scene.worker(Sdk::Rust, &near_name);
    net.lose(lost);
    let cut = Instant::now();
    run.line.faults += 1;
    let done: Vec<_> = ids.iter().map(|id| scene.server.finished(id)).collect();
    for task in &done {
        assert_eq!((&task["state"], &task["worker"]), (&json!("succeeded"), &json!(near_name)), "{task}");
    }
    thread::sleep((LEASE * run.form.of(3, 6)).saturating_sub(cut.elapsed()));
    near.kill();
    net.heal();
    let healed = Instant::now();
    let next = scene.submit(&json!({}), 1);
    assert_eq!(scene.server.finished(&next[0])["worker"], far_name, "it works on");
    let took = healed.elapsed();
    scene.unchanged(run, &done);
    let lines = scene.ledger.lines();
    for id in &ids {
        let again = lines.iter().position(|it| it.starts_with(&format!("started {id} ")) && it.ends_with(&near_name));
        let beside = lines[again.unwrap()..].iter().find(|it| it.starts_with(&format!("effect {id} 1 ")));
        assert_eq!(beside, None, "an attempt whose lease was over worked on: {lost:?} {sdk:?}");
    }
    took
}

/// A worker whose way loses some of all that is sent does what there is all the same, each task accepted once; how long it
/// took afterwards until the last was done.
fn on_a_bad_way(scene: &Scene, run: &mut Run, net: &mut Net) -> Duration {
    scene.next_round();
    let _workers = [Sdk::Rust, Sdk::PythonProcesses].map(|sdk| scene.worker_at(net, sdk, &format!("far-{sdk:?}")));
    let ids = scene.submit(&json!({ "seconds": 0.2 }), run.form.of(100, 2_000));
    until("a task to begin", PATIENCE, || (!scene.ledger.of("started").is_empty()).then_some(()));
    net.lose_some(LOST, run.form.of(Duration::from_secs(6), Duration::from_secs(120)), &mut run.choices);
    run.line.faults += 1;
    let healed = Instant::now();
    for id in &ids {
        let task = scene.server.finished(id);
        run.line.acked += 1;
        run.line.lost += usize::from(task["state"] != "succeeded");
        let accepted = scene.attempts(id).iter().filter(|it| it["reason"] == "succeeded").count();
        run.line.doubled += usize::from(accepted > 1);
        run.line.succeeded += accepted.min(1);
        assert_eq!((&task["state"], accepted), (&Value::from("succeeded"), 1), "{task}");
    }
    healed.elapsed()
}
