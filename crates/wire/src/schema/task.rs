//! Tasks.

use serde_json::{Value, json};
use tasklane_core::limit;

use super::{about, list, object, of, page, request};

pub(super) fn schemas() -> Value {
    json!({
        "Task": task(),
        "NewTask": new_task(),
        "NewTasks": { "type": "array", "items": of("NewTask"), "maxItems": limit::SUBMISSION_TASKS },
        "Retry": retry(),
        "Unique": request(&["key"], [
            ("key", of("Name")),
            ("policy", json!({ "type": "string", "enum": ["return", "reject", "replace"], "default": "return" })),
            ("for", about(of("Duration"), "Held at least this long after acceptance.")),
        ]),
        "Start": request(&[], [("delay", of("Duration")), ("run_at", of("Moment"))]),
        "Failure": object(&["kind", "message", "retryable"], [
            ("kind", of("FailureKind")),
            ("message", json!({ "type": "string" })),
            ("details", of("Json")),
            ("stack", json!({ "type": "string" })),
            ("retryable", json!({ "type": "boolean" })),
        ]),
        "Progress": object(&[], [
            ("percent", json!({ "type": "number", "minimum": 0, "maximum": 100 })),
            ("message", json!({ "type": "string" })),
            ("data", of("Json")),
        ]),
        "AcceptedTask": object(&["id", "state"], [("id", of("TaskId")), ("state", of("State"))]),
        "RefusedTask": object(&["error"], [("error", of("Problem"))]),
        "Batch": object(&["tasks"], [("tasks", json!({
            "type": "array", "items": { "anyOf": [of("AcceptedTask"), of("RefusedTask"), of("Task")] },
        }))]),
        "TaskPage": page("Task"),
        "Attempt": attempt(),
        "AttemptPage": page("Attempt"),
        "Why": object(&["id", "state", "reasons"], [
            ("id", of("TaskId")),
            ("state", of("State")),
            ("reasons", about(list("WhyReason"), "Empty where nothing stands in its way.")),
        ]),
        "WhyReason": object(&["code", "message", "remedy"], [
            ("code", json!({ "type": "string" })),
            ("message", json!({ "type": "string" })),
            ("remedy", about(json!({ "type": "string" }), "What opens it.")),
            ("opens_at", of("Moment")),
        ]),
    })
}

fn task() -> Value {
    let required = [
        "id",
        "type",
        "queue",
        "state",
        "reason",
        "priority",
        "payload",
        "attempt",
        "spent",
        "max_attempts",
        "retry",
        "labels",
        "created_at",
        "cancel_requested",
        "quarantined",
    ];
    object(
        &required,
        [
            ("id", of("TaskId")),
            ("type", of("TypeName")),
            ("queue", of("Name")),
            ("state", of("State")),
            ("reason", of("Reason")),
            ("priority", json!({ "type": "integer" })),
            ("payload", of("Json")),
            ("result", about(of("Json"), "Only of a succeeded task.")),
            ("failure", of("Failure")),
            ("progress", of("Progress")),
            ("worker", of("Name")),
            ("attempt", about(json!({ "type": "integer" }), "The number of its last attempt; 0 before the first.")),
            ("spent", json!({ "type": "integer", "description": "How many attempts were charged." })),
            ("max_attempts", json!({ "type": "integer" })),
            ("retry", of("Retry")),
            ("tenant", of("Name")),
            ("labels", of("Labels")),
            ("attempt_timeout", of("Duration")),
            ("heartbeat_timeout", of("Duration")),
            ("limits", about(list("NamedGate"), "The gates it passes by their keys.")),
            ("unique_key", of("Name")),
            ("schedule", about(of("ScheduleId"), "The schedule that made it.")),
            ("slot", about(of("Moment"), "The moment of that schedule, or when somebody had it run.")),
            ("rerun_of", of("TaskId")),
            ("traceparent", json!({ "type": "string" })),
            ("run_at", of("Moment")),
            ("start_deadline", of("Moment")),
            ("deadline", of("Moment")),
            ("created_at", of("Moment")),
            ("queued_at", of("Moment")),
            ("started_at", of("Moment")),
            ("finished_at", of("Moment")),
            ("cancel_requested", json!({ "type": "boolean" })),
            ("quarantined", json!({ "type": "boolean" })),
        ],
    )
}

fn new_task() -> Value {
    let (least, most) = limit::PRIORITY.into_inner();
    let (one, attempts) = limit::MAX_ATTEMPTS.into_inner();
    request(
        &["type"],
        [
            ("type", of("TypeName")),
            ("payload", about(of("Json"), "Any JSON up to 1 MiB; null unless given.")),
            (
                "id",
                about(of("TaskId"), "An id of the caller's own: the same request again answers with the same task."),
            ),
            ("queue", of("QueueName")),
            (
                "priority",
                json!({
                    "anyOf": [
                        { "type": "integer", "minimum": least, "maximum": most },
                        { "type": "string", "enum": ["low", "normal", "high", "urgent"] },
                    ],
                    "default": 0, "description": "Higher runs first.",
                }),
            ),
            ("delay", of("Duration")),
            ("run_at", of("Moment")),
            ("start_deadline", about(of("MomentOrDuration"), "Not started by then: expired.")),
            ("deadline", about(of("MomentOrDuration"), "Not finished by then: failed.")),
            ("attempt_timeout", about(of("Duration"), "Longest time of one attempt.")),
            ("heartbeat_timeout", about(of("Duration"), "Longest silence of the handler.")),
            ("max_attempts", json!({ "type": "integer", "minimum": one, "maximum": attempts, "default": 3 })),
            ("retry", of("Retry")),
            ("tenant", of("Name")),
            ("labels", of("Labels")),
            ("unique", of("Unique")),
            (
                "limits",
                json!({
                    "type": "array", "items": of("Limit"), "maxItems": limit::LIMITS,
                    "description": "Gates of its tenant that it passes; a key is named once.",
                }),
            ),
            ("callback", about(of("Callback"), "Whom this task tells of its end, or of what else is named.")),
            ("idempotency_key", about(of("Name"), "Makes a repeated submit harmless for 24 hours.")),
        ],
    )
}

fn retry() -> Value {
    let jitter = json!({ "type": "boolean" });
    json!({ "anyOf": [
        request(&[], [
            ("initial", of("Duration")),
            ("factor", json!({ "type": "number", "minimum": 1, "maximum": 1_000_000 })),
            ("max", of("Duration")),
            ("jitter", jitter.clone()),
        ]),
        request(&["delays"], [
            ("delays", json!({ "type": "array", "items": of("Duration"), "minItems": 1, "maxItems": limit::RETRY_DELAYS })),
            ("jitter", jitter),
        ]),
    ] })
}

fn attempt() -> Value {
    object(
        &["attempt", "charged"],
        [
            ("attempt", json!({ "type": "integer", "minimum": 1 })),
            ("worker", of("Name")),
            ("started_at", of("Moment")),
            ("ended_at", about(of("Moment"), "Absent while it runs.")),
            ("reason", of("Reason")),
            ("charged", json!({ "type": "boolean" })),
            ("failure", of("Failure")),
            ("result", about(of("Json"), "A result that did not become the task's.")),
        ],
    )
}
