//! T12: tasks that take many times as long as their lease run once, also where they keep the machine or the interpreter busy.
//!
//! Seen red: with a server that does not heed renewals, each runs again.

use serde_json::json;
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::run::chaos;

#[test]
fn sqlite() {
    chaos("t12_long_tasks::sqlite", Store::Sqlite, |run| {
        let scene = Scene::new(Store::Sqlite);
        // Leases of two seconds: four times as long, and sixty times.
        let seconds = run.form.of(8.0, 120.0);
        let rust: Vec<_> = (0..12).map(|it| scene.worker(Sdk::Rust, &format!("rust-{it}"))).collect();
        let mut ids = scene.submit(&json!({ "seconds": seconds }), 48);
        ids.iter().for_each(|id| drop(scene.until_started(id, 1)));
        let python = [Sdk::Python, Sdk::PythonProcesses].map(|sdk| scene.worker(sdk, &format!("{sdk:?}")));
        ids.extend(scene.submit(&json!({ "freeze": seconds as u64 }), 2));
        run.line.faults = ids.len() as u64;
        for id in &ids {
            let task = until_final(&scene, id);
            run.line.acked += 1;
            assert_eq!((&task["state"], &task["attempt"]), (&json!("succeeded"), &json!(1)), "{task}");
            run.line.succeeded += 1;
        }
        assert_eq!(scene.ledger.of("started").len(), ids.len(), "each ran once");
        drop((rust, python));
    });
}

fn until_final(scene: &Scene, id: &str) -> serde_json::Value {
    loop {
        let task = scene.server.get(&format!("/v1/tasks/{id}?wait=30s")).expect(200).json();
        if task["state"] != "running" {
            return task;
        }
    }
}
