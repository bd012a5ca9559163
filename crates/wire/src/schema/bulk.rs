//! One action to many tasks.

use serde_json::{Value, json};

use super::{of, request};
use crate::bulk::SEARCH_BYTES;

pub(super) fn schemas() -> Value {
    let mut filter = request(
        &[],
        [
            ("state", of("State")),
            ("type", of("TypeName")),
            ("queue", of("Name")),
            ("tenant", of("Name")),
            ("labels", of("Labels")),
            ("created_after", of("Moment")),
            ("created_before", of("Moment")),
            ("q", json!({ "type": "string", "minLength": 1, "maxLength": SEARCH_BYTES })),
        ],
    );
    filter["minProperties"] = 1.into();
    json!({
        "Bulk": request(&["filter", "action"], [
            ("filter", of("TaskFilter")),
            ("action", json!({ "type": "string", "enum": ["cancel", "retry", "delete"] })),
            ("dry_run", json!({ "type": "boolean", "default": false, "description": "Only count." })),
        ]),
        "TaskFilter": filter,
    })
}
