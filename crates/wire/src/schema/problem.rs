//! Problems (RFC 9457).

use serde_json::{Value, json};

use super::{list, object, of};

pub(super) fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    json!({
        "Problem": object(&["type", "title", "status", "detail", "code"], [
            ("type", text()),
            ("title", text()),
            ("status", json!({ "type": "integer" })),
            ("detail", json!({ "type": "string", "description": "What was wrong, and what to do." })),
            ("code", json!({ "type": "string", "description": "Stable; what programs go by." })),
            ("instance", json!({ "type": "string", "description": "The request's id." })),
            ("errors", list("FieldError")),
            ("failure", of("Failure")),
        ]),
        "FieldError": object(&["path", "message"], [
            ("path", json!({ "type": "string", "description": "A JSON pointer, ?name of the query, or header:name." })),
            ("message", text()),
        ]),
    })
}
