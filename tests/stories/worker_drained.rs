//! A worker is asked to end in the middle of a task.

use serde_json::json;
use tasklane_stories::harness::crew::{Scene, Sdk};
use tasklane_stories::harness::ground::Store;
use tasklane_testkit::Signal;
use tasklane_testkit::story::story;

#[test]
fn asked_to_end_it_finishes_what_it_has_and_takes_nothing_new() {
    story("worker_drained", || {
        let scene = Scene::new(Store::Sqlite);
        let mut first = scene.worker(Sdk::Rust, "first");
        let id = scene.submit(&json!({ "hold": true }), 1).remove(0);
        scene.until_started(&id, 1);
        first.signal(Signal::Term);
        let later = scene.submit(&json!({}), 1).remove(0);
        scene.open_gate();
        assert_eq!(first.wait_end().code(), Some(0));
        let task = scene.server.task(&id);
        assert_eq!((&task["state"], &task["attempt"]), (&json!("succeeded"), &json!(1)), "{task}");
        // The later one may have been given to it in the moment it was asked to end; then it came back unspent.
        let _second = scene.worker(Sdk::Rust, "second");
        let task = scene.server.finished(&later);
        assert_eq!(task["spent"], 1, "{task}");
    });
}
