//! Logs, checkpoints and events.

use serde_json::{Value, json};
use tasklane_core::limit;
use tasklane_core::log::Level;

use super::{about, object, of, page, request};

pub(super) fn schemas() -> Value {
    let levels: Vec<_> = Level::ALL.iter().map(|it| it.as_str()).collect();
    json!({
        "Level": { "type": "string", "enum": levels },
        "LogItem": request(&["id", "lease", "n", "level", "message"], [
            ("id", of("TaskId")),
            ("lease", text()),
            ("n", about(number(), "Counts the attempt's lines from 0; repetitions are dropped.")),
            ("level", about(of("Level"), "Words such as WARNING and critical are understood, too.")),
            ("message", text()),
            ("fields", about(json!({ "type": "object" }), "For programs.")),
            ("after", about(of("Duration"), "How long before the report it was said; 0s unless given.")),
        ]),
        "CheckpointItem": request(&["id", "lease", "name", "data"], [
            ("id", of("TaskId")),
            ("lease", text()),
            ("name", about(of("Name"), "A later one of the name takes its place.")),
            ("data", of("Json")),
        ]),
        "Checkpoints": {
            "type": "object", "additionalProperties": of("Json"), "maxProperties": limit::CHECKPOINTS,
            "description": "What earlier attempts put aside, by name.",
        },
        "RefusedItem": object(&["id", "list", "name", "code", "detail"], [
            ("id", of("TaskId")),
            ("list", about(text(), "The list of the report it stood in.")),
            ("name", text()),
            ("code", text()),
            ("detail", text()),
        ]),
        "LogLine": object(&["attempt", "n", "at", "level", "message"], [
            ("attempt", json!({ "type": "integer", "minimum": 1 })),
            ("n", number()),
            ("at", of("Moment")),
            ("level", of("Level")),
            ("message", text()),
            ("fields", json!({ "type": "object", "additionalProperties": true })),
        ]),
        "LogPage": page("LogLine"),
        "Event": object(&["task", "type", "queue", "to", "reason", "attempt", "at"], [
            ("task", of("TaskId")),
            ("type", of("TypeName")),
            ("queue", of("Name")),
            ("tenant", of("Name")),
            ("from", of("State")),
            ("to", of("State")),
            ("reason", of("Reason")),
            ("attempt", number()),
            ("at", of("Moment")),
        ]),
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}
