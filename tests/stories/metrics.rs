//! What `/metrics` says is explained on its page.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;
use tasklane_testkit::story::story;
use tasklane_testkit::{ServerOptions, binary};

#[test]
fn every_metric_stands_on_the_page() {
    story("metrics::page", || {
        let server = ServerOptions::default().start();
        let task = json!({ "type": "data_processing", "payload": { "processing_time": 0 } });
        server.post("/v1/tasks?wait=30s", &task).expect(201);
        server.submit(&json!({ "type": "nobody" }));
        server.get("/v1/tasks/nonsense").problem(404, "task_not_found");
        let page = fs::read_to_string(binary::root().join("docs/reference/metrics.md")).unwrap();
        let text = server.get("/metrics").expect(200).text();
        let told: BTreeSet<&str> =
            text.lines().filter_map(|it| it.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        assert!(told.len() > 15, "{told:?}");
        let missing: Vec<_> = told.iter().filter(|it| !page.contains(&format!("| `{it}` |"))).collect();
        assert!(missing.is_empty(), "not on the page: {missing:?}");
    });
}
