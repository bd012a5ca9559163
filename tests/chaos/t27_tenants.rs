//! T27: a tenant has a hundred thousand tasks in line, in one heap or spread over a thousand keys. Another, who now and then
//! submits one, hardly waits, and workers are as busy as before.
//!
//! Seen red: with lanes in order of age alone, the other tenant waits for the whole heap.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklane_client::Task;
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::process::until;

/// 95 of 100 tasks of the other tenant start sooner.
const SOON: Duration = Duration::from_secs(2);
/// What the heap's tasks are spread over, where they are spread.
const KEYS: usize = 1_000;
const BATCH: usize = 1_000;
/// How long one of them works, in seconds.
const WORK: f64 = 0.02;
const SLOTS: &str = "16";
/// In which workers are looked at.
const SPAN: Duration = Duration::from_millis(500);
/// In no span less is done than this part of what is done on average.
const LEAST: f64 = 0.5;

#[test]
fn sqlite() {
    chaos("t27_tenants::sqlite", Store::Sqlite, tell);
}

#[test]
#[ignore = "told by make chaos"]
fn postgres() {
    chaos("t27_tenants::postgres", Store::Postgres, tell);
}

fn tell(run: &mut Run) {
    let (mut slowest, mut least) = (Duration::ZERO, 1.0_f64);
    for keys in [None, Some(KEYS)] {
        let (waited, busy) = beside_a_heap(run, keys);
        slowest = slowest.max(waited);
        least = least.min(busy);
    }
    run.figure("least_done_of_average", least);
    run.within("waits_p95_ms", slowest, SOON);
    assert!(least > LEAST, "workers were idle beside a heap: {least}");
}

/// What the other tenant's tasks wait beside a heap, and the least that is done in a span, as a part of the average.
fn beside_a_heap(run: &mut Run, keys: Option<usize>) -> (Duration, f64) {
    let scene = Scene::new(run.store);
    let heap = run.form.of(20_000, 100_000);
    let mut connection = scene.server.connect();
    for batch in 0..heap / BATCH {
        let tasks: Vec<_> = (0..BATCH).map(|nth| task(&scene, keys, batch * BATCH + nth)).collect();
        connection.json("POST", "/v1/tasks:batch", &json!(tasks)).unwrap().expect(201);
    }
    run.line.acked += heap;
    let environment = [("STORY_SLOTS", std::path::Path::new(SLOTS))];
    let url = scene.server.url();
    let _workers = [0, 1].map(|it| scene.worker_of(&url, Sdk::Rust, &format!("worker-{it}"), &environment));
    let done = || scene.ledger.of("ended").len();
    until("workers to be busy", Duration::from_secs(20), || (done() > 100).then_some(()));

    let (pause, length) = (run.form.of(SPAN / 2, Duration::from_secs(1)), Duration::from_secs(run.form.of(4, 40)));
    let (start, mut others) = (Instant::now(), Vec::new());
    let (mut spans, mut before, mut since) = (Vec::new(), done(), Instant::now());
    while start.elapsed() < length {
        others.push(scene.server.submit(&json!({
            "type": "story", "queue": scene.queue(), "tenant": "other", "payload": {},
        })));
        thread::sleep(pause);
        if since.elapsed() >= SPAN {
            let now = done();
            spans.push((now - before) as f64 / since.elapsed().as_secs_f64());
            (before, since) = (now, Instant::now());
        }
    }
    assert!(done() + others.len() < heap, "the heap is gone: nobody was waited for");
    let mut waits: Vec<_> = others.iter().map(|id| waited(&scene, id)).collect();
    waits.sort();
    run.line.acked += others.len();
    run.line.succeeded += others.len();
    run.line.faults += 1;
    let average = spans.iter().sum::<f64>() / spans.len() as f64;
    (waits[waits.len() * 95 / 100], spans.iter().copied().fold(f64::INFINITY, f64::min) / average)
}

fn task(scene: &Scene, keys: Option<usize>, nth: usize) -> Value {
    let mut task =
        json!({ "type": "story", "queue": scene.queue(), "tenant": "heavy", "payload": { "seconds": WORK } });
    if let Some(keys) = keys {
        task["limits"] = json!([{ "key": format!("key-{}", nth % keys), "max_running": 4 }]);
    }
    task
}

/// From its submission to its start.
fn waited(scene: &Scene, id: &str) -> Duration {
    let text = scene.server.get(&format!("/v1/tasks/{id}?wait=60s")).expect(200).text();
    let task: Task = serde_json::from_str(&text).unwrap();
    task.started_at.unwrap_or_else(|| panic!("not begun yet: {text}")).since(task.created_at)
}
