//! What shapes are made of.

use serde_json::{Value, json};
use tasklane_core::limit;
use tasklane_core::outcome::FailureKind;
use tasklane_core::state::{Reason, State};

pub(super) fn schemas() -> Value {
    let states: Vec<_> = State::ALL.iter().map(|it| it.as_str()).collect();
    let reasons: Vec<_> = Reason::ALL.iter().map(|it| it.as_str()).collect();
    let kinds: Vec<_> = FailureKind::ALL.iter().map(|it| it.as_str()).collect();
    json!({
        "Duration": {
            "type": "string", "examples": ["90s", "5m", "250ms", "1h30m"],
            "pattern": r"^(?=.)(?:(?:0|[1-9]\d{0,3})d)?(?:(?:0|[1-9]\d{0,6})h)?(?:(?:0|[1-9]\d{0,7})m)?(?:(?:0|[1-9]\d{0,8})s)?(?:(?:0|[1-9]\d{0,11})ms)?$",
            "description": "Whole numbers with the units d, h, m, s, ms, the greater first; at most 3660d.",
        },
        "Moment": { "type": "string", "format": "date-time", "pattern": "Z$", "examples": ["2026-01-31T18:30:00Z"] },
        "MomentOrDuration": {
            "anyOf": [super::of("Moment"), super::of("Duration")],
            "description": "A moment, or a distance from acceptance.",
        },
        "TaskId": {
            "type": "string", "examples": ["0192f0c1-2345-7abc-8def-0123456789ab"], "description": "A UUIDv7.",
            "pattern": "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$",
        },
        "Name": {
            "type": "string", "minLength": 1, "maxLength": limit::NAME_BYTES, "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$",
            "description": "1 to 200 bytes without control characters.",
        },
        "TypeName": { "type": "string", "pattern": "^[A-Za-z0-9._:/-]{1,200}$", "examples": ["report.generate"] },
        "QueueName": { "allOf": [super::of("Name")], "pattern": "^[^~]", "default": "default" },
        "State": { "type": "string", "enum": states },
        "Reason": { "type": "string", "enum": reasons, "description": "Why the task stands where it stands." },
        "FailureKind": { "type": "string", "enum": kinds },
        "Labels": {
            "type": "object", "maxProperties": limit::LABELS, "additionalProperties": { "type": "string", "maxLength": limit::NAME_BYTES },
            "description": "Free words to find a task by.",
        },
        "Json": { "description": "Any JSON; numbers are finite, at most 128 levels." },
    })
}
