//! A worker of the story's own, which writes down every completion that was accepted.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::fleet::REPORTED;
use super::producer::Caller;

/// Works until it is over; it leases by one server and reports by another. A report whose answer was lost is repeated.
/// Accepted completions go into the ledger: `completed ID ATTEMPT`.
pub fn report(mut leasing: Caller<'_>, mut reporting: Caller<'_>) {
    let wish = json!({
        "worker": "reporter", "lanes": [{ "types": [REPORTED] }], "limit": 20, "lease": "4s", "wait": "500ms",
    });
    let ledger = &leasing.fleet.ledger;
    while !leasing.over.load(Ordering::Relaxed) {
        let Some(reply) = leasing.insist("/v1/leases", &wish) else { return };
        if reply.status == 204 {
            continue;
        }
        let tasks = reply.expect(200).json()["tasks"].as_array().unwrap().clone();
        for task in &tasks {
            ledger.write(&format!("effect {} {}", task["id"].as_str().unwrap(), task["attempt"]));
        }
        let done =
            |task: &serde_json::Value| json!({ "id": task["id"], "lease": task["lease"], "result": task["attempt"] });
        let done: Vec<_> = tasks.iter().map(done).collect();
        let Some(reply) = reporting.insist("/v1/reports", &json!({ "worker": "reporter", "succeed": done })) else {
            return;
        };
        let lost: BTreeSet<_> =
            reply.expect(200).json()["lost"].as_array().unwrap().iter().map(ToString::to_string).collect();
        for task in tasks.iter().filter(|it| !lost.contains(&it["id"].to_string())) {
            ledger.write(&format!("completed {} {}", task["id"].as_str().unwrap(), task["attempt"]));
        }
    }
}
