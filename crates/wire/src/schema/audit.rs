//! The audit log.

use serde_json::{Value, json};

use super::{about, object, of, page};

pub(super) fn schemas() -> Value {
    let thing = |told: &str| json!({ "type": "object", "description": told });
    json!({
        "AuditEntry": object(&["id", "at", "who", "action", "target"], [
            ("id", json!({ "type": "string", "format": "uuid" })),
            ("at", of("Moment")),
            ("who", json!({
                "type": "string",
                "description": "The name of the caller's key; nobody, setting (an admin's key of the settings), config, or system.",
            })),
            ("key", about(of("KeyId"), "The caller's key.")),
            ("from", json!({ "type": "string", "description": "The address that the call came from." })),
            ("action", json!({ "type": "string", "enum": [
                "key.made", "key.rotated", "key.revoked", "key.removed", "schedule.made", "schedule.changed",
                "schedule.removed", "webhook.made", "webhook.changed", "webhook.rotated", "webhook.disabled",
                "webhook.removed", "queue.controlled", "gate.set", "gate.removed", "tasks.changed", "access.refused",
            ] })),
            ("target", json!({ "type": "string", "description": "What was changed, by name; the route of a refused call." })),
            ("before", thing("What it was, where it was something.")),
            ("after", thing("What it became, where it is something.")),
        ]),
        "AuditPage": page("AuditEntry"),
    })
}
