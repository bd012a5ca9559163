//! Gates.

use serde_json::{Value, json};
use tasklane_core::limit;

use super::{about, list, object, of, page, request};

pub(super) fn schemas() -> Value {
    let rate = || ("rate", about(of("Rate"), "Most starts in any span of time of this length."));
    json!({
        "Gate": object(&["name", "set_by", "running", "waiting", "full"], [
            ("name", of("GateName")),
            ("tenant", about(of("Name"), "Of a key; * stands in for every tenant's.")),
            ("max_running", slots(0)),
            rate(),
            ("set_by", about(json!({ "type": "string", "enum": ["task", "config", "operator"] }), "Whose word it is.")),
            ("running", about(count(), "Running tasks that pass it.")),
            ("waiting", about(count(), "Queued tasks that pass it.")),
            ("full", about(json!({ "type": "boolean" }), "Whether nothing can start that passes it.")),
            ("opens_at", about(of("Moment"), "When its rate lets the next task start, if that is not now.")),
            ("holders", about(list("Holder"), "The first hundred that hold its slots, where one gate is asked for.")),
        ]),
        "GatePage": page("Gate"),
        "GateName": {
            "type": "string", "pattern": "^(queue|type|key):.+$", "maxLength": limit::NAME_BYTES + 6,
            "examples": ["queue:reports", "type:email.send", "key:customer-7"],
        },
        "Holder": object(&["id"], [("id", of("TaskId")), ("worker", of("Name"))]),
        "Limits": request(&[], [("max_running", slots(0)), rate()]),
        "Limit": request(&["key"], [("key", of("Name")), ("max_running", slots(1)), rate()]),
        "NamedGate": object(&["key"], [("key", of("Name"))]),
        "QueueSettings": request(&[], [
            ("limits", json!({
                "anyOf": [of("Limits"), { "type": "null" }],
                "description": "What its gate is to let through; null takes the gate away.",
            })),
        ]),
        "Rate": request(&["count", "per"], [
            ("count", json!({ "type": "integer", "minimum": limit::RATE_COUNT.start(), "maximum": limit::RATE_COUNT.end() })),
            ("per", of("Duration")),
        ]),
    })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn slots(least: u32) -> Value {
    about(json!({ "type": "integer", "minimum": least, "maximum": limit::SLOTS }), "Most tasks that run at a time.")
}
