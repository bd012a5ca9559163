//! Workers, types, numbers, and what the server says of itself.

use serde_json::{Value, json};

use super::{list, object, of, page};

pub(super) fn schemas() -> Value {
    let number = || json!({ "type": "integer", "minimum": 0 });
    let text = || json!({ "type": "string" });
    json!({
        "Worker": object(&["name", "lanes", "running", "heard_at"], [
            ("name", of("Name")), ("lanes", list("Lane")), ("running", number()), ("heard_at", of("Moment")),
        ]),
        "WorkerPage": page("Worker"),
        "Type": object(&["name", "queues", "queue_count", "counts", "workers", "crashing"], [
            ("name", of("TypeName")), ("queues", list("Name")), ("queue_count", number()), ("counts", of("Totals")), ("workers", number()),
            ("crashing", json!({ "type": "boolean" })),
        ]),
        "TypePage": page("Type"),
        "Stats": object(&["tasks", "queues", "lanes", "workers", "store", "uptime", "version"], [
            ("tasks", of("Totals")),
            ("queues", number()),
            ("lanes", number()),
            ("workers", number()),
            ("store", object(&["kind", "bytes", "wal_bytes", "commits"], [
                ("kind", text()), ("bytes", number()), ("wal_bytes", number()), ("commits", number()),
            ])),
            ("uptime", of("Duration")),
            ("version", text()),
        ]),
        "About": object(&["message", "service", "status", "version", "timestamp", "database"], [
            ("message", text()),
            ("service", text()),
            ("status", text()),
            ("version", text()),
            ("timestamp", of("Moment")),
            ("database", text()),
            ("clock", object(&["behind"], [("behind", of("Duration"))])),
            ("wal", object(&["bytes"], [("bytes", number())])),
        ]),
    })
}
