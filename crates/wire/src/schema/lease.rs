//! Leases.

use serde_json::{Value, json};
use tasklane_core::limit;

use super::{about, list, object, of, request};

pub(super) fn schemas() -> Value {
    json!({
        "LeaseRequest": request(&["worker", "lanes", "limit"], [
            ("worker", of("Name")), ("lanes", lanes()), ("limit", count()), ("lease", length()), ("wait", wait()),
            ("request", name()),
        ]),
        "Want": about(request(&["lanes", "limit"], [
            ("worker", of("Name")), ("lanes", lanes()), ("limit", count()), ("lease", length()), ("wait", wait()),
            ("request", name()),
        ]), "A lease request within a report."),
        "Lane": request(&["types"], [
            ("queue", about(of("Name"), "* or nothing is every queue.")),
            ("types", json!({
                "type": "array", "minItems": 1, "items": { "anyOf": [{ "const": "*" }, of("TypeName")] },
                "description": "* is every type.",
            })),
        ]),
        "LeasedTask": object(&["id", "type", "queue", "payload", "attempt", "lease", "labels"], [
            ("id", of("TaskId")),
            ("type", of("TypeName")),
            ("queue", of("Name")),
            ("payload", of("Json")),
            ("attempt", json!({ "type": "integer", "minimum": 1 })),
            ("lease", about(json!({ "type": "string" }), "Opaque; every report about the attempt carries it.")),
            ("labels", of("Labels")),
            ("tenant", of("Name")),
            ("attempt_timeout", of("Duration")),
            ("heartbeat_timeout", of("Duration")),
            ("deadline", of("Moment")),
            ("traceparent", json!({ "type": "string" })),
        ]),
        "LeaseReply": object(&["tasks", "cancel"], [
            ("tasks", list("LeasedTask")),
            ("cancel", about(list("TaskId"), "Tasks of this worker that are to stop.")),
        ]),
    })
}

fn lanes() -> Value {
    json!({ "type": "array", "items": of("Lane"), "minItems": 1 })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": limit::LEASE_TASKS })
}

fn length() -> Value {
    about(of("Duration"), "How long a lease lasts without renewal: 1 s to 1 h, 30 s unless given.")
}

fn wait() -> Value {
    about(of("Duration"), "How long to wait for the first task: at most 30 s.")
}

fn name() -> Value {
    about(of("Name"), "The same name within the lease time gets the same unreported tasks.")
}
