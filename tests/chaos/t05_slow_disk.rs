//! T05: every sync takes 200 ms: callers share them, so submits stay quick, and no lease is lost.
//!
//! Seen red: with a commit for each caller, submits wait for those before them.

use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::need::can;
use tasklane_stories::harness::run::chaos;
use tasklane_stories::harness::trace::Trace;

const NAME: &str = "t05_slow_disk::sqlite";
/// Callers, each with so many calls a second: 100 a second together.
const CALLERS: usize = 50;
const EACH: u32 = 2;
const SUBMITTED: Duration = Duration::from_secs(1);

#[test]
fn sqlite() {
    if !can(NAME, "tracing another process with strace", "strace", &["-e", "trace=none", "true"]) {
        return;
    }
    chaos(NAME, Store::Sqlite, |run| {
        let scene = Scene::new(Store::Sqlite);
        let length = Duration::from_secs(run.form.of(8, 300));
        let trace = Trace::of_syncs(scene.server.pid(), "delay_exit=200000", Path::new("/tmp"));
        let workers = [Sdk::Rust, Sdk::Python].map(|sdk| scene.worker(sdk, &format!("{sdk:?}")));
        let work = scene.submit(&json!({ "seconds": 0.3 }), run.form.of(60, 2000));
        let took = Mutex::new(Vec::new());
        let start = Instant::now();
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                let (scene, took) = (&scene, &took);
                scope.spawn(move || {
                    thread::sleep(Duration::from_millis(10) * caller as u32);
                    let mut connection = scene.server.connect();
                    let task = json!({ "type": "unheard", "queue": "aside" });
                    while start.elapsed() < length {
                        let next = Instant::now() + Duration::from_secs(1) / EACH;
                        let began = Instant::now();
                        connection.json("POST", "/v1/tasks", &task).unwrap().expect(201);
                        took.lock().unwrap().push(began.elapsed());
                        thread::sleep(next.saturating_duration_since(Instant::now()));
                    }
                });
            }
        });
        let mut took = took.into_inner().unwrap();
        took.sort();
        run.line.acked = took.len() + work.len();
        run.line.faults = trace.calls().len() as u64;
        run.figure("submits_per_second", took.len() as f64 / start.elapsed().as_secs_f64());
        run.within("submit_p99_ms", took[took.len() * 99 / 100], SUBMITTED);
        assert!(run.line.faults > length.as_secs() * 2, "syncs were not slow: {}", run.line.faults);
        for id in &work {
            let task = scene.server.finished(id);
            assert_eq!((&task["state"], &task["attempt"]), (&json!("succeeded"), &json!(1)), "{task}");
            run.line.succeeded += 1;
        }
        drop((workers, trace));
    });
}
