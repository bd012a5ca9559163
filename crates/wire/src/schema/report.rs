//! Reports.

use serde_json::{Value, json};

use super::{list, object, of, request};

pub(super) fn schemas() -> Value {
    let leased = || [("id", of("TaskId")), ("lease", json!({ "type": "string" }))];
    let text = || json!({ "type": "string" });
    json!({
        "Report": request(&["worker"], [
            ("worker", of("Name")),
            ("renew", list("Leased")),
            ("progress", list("ProgressReport")),
            ("succeed", list("SuccessReport")),
            ("fail", list("FailureReport")),
            ("release", list("Leased")),
            ("snooze", list("SnoozeReport")),
            ("cancelled", list("Leased")),
            ("want", of("Want")),
        ]),
        "Leased": request(&["id", "lease"], leased()),
        "ProgressReport": request(&["id", "lease"], [
            ("id", of("TaskId")),
            ("lease", text()),
            ("percent", json!({ "type": "number", "minimum": 0, "maximum": 100 })),
            ("message", text()),
            ("data", of("Json")),
        ]),
        "SuccessReport": request(&["id", "lease"], [("id", of("TaskId")), ("lease", text()), ("result", of("Json"))]),
        "FailureReport": request(&["id", "lease"], [
            ("id", of("TaskId")),
            ("lease", text()),
            ("kind", of("FailureKind")),
            ("message", text()),
            ("details", of("Json")),
            ("stack", text()),
            ("retryable", json!({ "type": "boolean" })),
            ("retry_after", of("Duration")),
        ]),
        "SnoozeReport": request(&["id", "lease", "for"], [("id", of("TaskId")), ("lease", text()), ("for", of("Duration"))]),
        "ReportReply": object(&["lost", "cancel", "tasks"], [
            ("lost", list("TaskId")),
            ("cancel", list("TaskId")),
            ("tasks", list("LeasedTask")),
        ]),
    })
}
