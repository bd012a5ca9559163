//! Keys.

use serde_json::{Value, json};
use tasklane_core::key::Scope;
use tasklane_core::limit;

use super::{about, list, object, of, page, request};

pub(super) fn schemas() -> Value {
    json!({
        "Key": key(),
        "KeyPage": page("Key"),
        "KeyId": { "type": "string", "format": "uuid" },
        "KeyScope": { "type": "string", "enum": Scope::ALL.map(Scope::as_str) },
        "NewKey": request(&["name", "scopes"], [
            ("name", about(of("Name"), "No other key of its tenant has it.")),
            ("scopes", scopes()),
            ("tenant", tenant()),
            ("user", about(of("Name"), "A person it is given to, for whoever reads the list.")),
            ("app", about(of("Name"), "A program it is given to, for whoever reads the list.")),
            ("lanes", json!({
                "type": "array", "items": of("KeyLane"), "minItems": 1, "maxItems": limit::KEY_LANES,
                "description": "Work is leased of these alone; of all where it is left out.",
            })),
            ("rate", about(of("Rate"), "How often it may call.")),
            ("expires_at", about(of("Moment"), "It opens nothing from then on.")),
        ]),
        "KeyLane": request(&["types"], [
            ("queue", json!({ "type": "string", "default": "*" })),
            ("types", json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 })),
        ]),
        "Rotation": request(&[], [
            ("overlap", about(of("Duration"), "For how long the secret before opens, too; a day unless said.")),
        ]),
    })
}

fn scopes() -> Value {
    json!({
        "type": "array", "items": of("KeyScope"), "minItems": 1, "maxItems": Scope::ALL.len(),
        "description": "What its holder may do; admin is everything.",
    })
}

fn tenant() -> Value {
    about(of("Name"), "For whom: its holder sees and touches nothing else. Everybody where it is left out.")
}

fn key() -> Value {
    object(
        &["id", "name", "scopes", "created_at"],
        [
            ("id", of("KeyId")),
            ("name", of("Name")),
            ("key", json!({ "type": "string", "description": "The secret: shown once, when it is made or rotated." })),
            ("scopes", scopes()),
            ("tenant", tenant()),
            ("user", of("Name")),
            ("app", of("Name")),
            ("lanes", list("KeyLane")),
            ("rate", of("Rate")),
            ("expires_at", of("Moment")),
            ("created_at", of("Moment")),
            ("used_at", about(of("Moment"), "When it was last used, to ten minutes.")),
            ("old_until", about(of("Moment"), "When the secret before the last one opens nothing any more.")),
            ("revoked_at", of("Moment")),
        ],
    )
}
