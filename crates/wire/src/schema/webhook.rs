//! Webhooks.

use serde_json::{Value, json};
use tasklane_core::limit;
use tasklane_core::webhook::endpoint::MAX_RUNNING;
use tasklane_core::webhook::event::EventName;

use super::{about, list, object, of, page, request};

pub(super) fn schemas() -> Value {
    json!({
        "Webhook": webhook(),
        "WebhookPage": page("Webhook"),
        "WebhookId": { "type": "string", "format": "uuid" },
        "NewWebhook": request(&["url"], [
            url(), description(), events(), filter(), headers(), format(), max_running(),
            ("tenant", about(of("Name"), "Whose tasks it is told of; everybody's where it is left out.")),
            ("secret", about(of("WebhookSecret"), "What signs; drawn unless given.")),
        ]),
        "WebhookChange": request(&[], [
            url(), description(), events(), filter(), headers(), format(), max_running(),
        ]),
        "WebhookFilter": request(&[], [
            ("queue", of("QueueName")),
            ("type", of("TypeName")),
            ("tenant", of("Name")),
            ("labels", json!({ "type": "object", "additionalProperties": { "type": "string" } })),
        ]),
        "WebhookSecret": {
            "type": "string", "pattern": "^whsec_[A-Za-z0-9+/]{32,86}={0,2}$",
            "description": "whsec_ and the base64 of 24 to 64 bytes, by Standard Webhooks 1.0.",
        },
        "EventName": { "type": "string", "enum": EventName::all().map(EventName::as_str).collect::<Vec<_>>() },
        "Callback": request(&["url"], [
            url(), events(),
            ("secret", about(of("WebhookSecret"), "What signs; nothing does where it is left out.")),
        ]),
        "Disabled": object(&["at", "why"], [
            ("at", of("Moment")),
            ("why", json!({ "type": "string", "enum": ["by_hand", "gone", "failing"] })),
        ]),
        "Delivery": delivery(),
        "DeliveryPage": page("Delivery"),
        "Redelivery": request(&[], [
            ("since", about(of("Moment"), "Those made then or later.")),
            ("until", about(of("Moment"), "Those made before.")),
        ]),
    })
}

fn url() -> (&'static str, Value) {
    let told = "Where events are posted. It must lead to a public address, unless the operator allows more.";
    ("url", json!({ "type": "string", "format": "uri", "maxLength": limit::URL_BYTES, "description": told }))
}

fn description() -> (&'static str, Value) {
    ("description", json!({ "type": "string", "maxLength": 1000 }))
}

fn events() -> (&'static str, Value) {
    let asked = EventName::all().map(EventName::as_str).chain(["task.*", "*"]).collect::<Vec<_>>();
    let told = "Of what it is told; of the ends of tasks unless said.";
    (
        "events",
        json!({ "type": "array", "items": { "type": "string", "enum": asked }, "minItems": 1, "description": told }),
    )
}

fn filter() -> (&'static str, Value) {
    ("filter", about(of("WebhookFilter"), "Of which tasks."))
}

fn headers() -> (&'static str, Value) {
    let told = "Headers of every call, such as Authorization. Their values are never shown.";
    (
        "headers",
        json!({
            "type": "object", "additionalProperties": { "type": "string" }, "maxProperties": limit::ENDPOINT_HEADERS,
            "description": told,
        }),
    )
}

fn format() -> (&'static str, Value) {
    let told = "Whether bodies are those of Standard Webhooks or CloudEvents 1.0 in its structured form.";
    (
        "format",
        json!({ "type": "string", "enum": ["standard", "cloudevents"], "default": "standard", "description": told }),
    )
}

fn max_running() -> (&'static str, Value) {
    let told = "How many deliveries may be on their way at once; one while it fails.";
    (
        "max_running",
        json!({ "type": "integer", "minimum": 1, "maximum": limit::ENDPOINT_RUNNING, "default": MAX_RUNNING, "description": told }),
    )
}

fn webhook() -> Value {
    object(
        &["id", "url", "events", "filter", "headers", "format", "max_running", "created_at"],
        [
            ("id", of("WebhookId")),
            url(),
            description(),
            ("events", list("EventName")),
            filter(),
            headers(),
            format(),
            max_running(),
            ("tenant", of("Name")),
            ("disabled", about(of("Disabled"), "Nothing is sent; what waits is kept for seven days.")),
            ("failing_since", about(of("Moment"), "Nothing has reached it since.")),
            ("created_at", of("Moment")),
            ("secret", about(of("WebhookSecret"), "Shown once, when it is made or rotated.")),
        ],
    )
}

fn delivery() -> Value {
    object(
        &["id", "message", "event", "state", "attempt", "created_at"],
        [
            ("id", of("TaskId")),
            (
                "message",
                json!({ "type": "string", "description": "The header webhook-id: the same over all attempts, and where it is sent once more." }),
            ),
            ("event", json!({ "type": "string" })),
            ("task", of("TaskId")),
            ("state", of("State")),
            ("attempt", json!({ "type": "integer" })),
            ("status", json!({ "type": "integer", "description": "Of the last answer." })),
            ("answer", json!({ "type": "string", "description": "The beginning of its body." })),
            ("error", json!({ "type": "string", "description": "Why the last attempt failed." })),
            ("next_at", about(of("Moment"), "When it is tried again.")),
            ("created_at", of("Moment")),
            ("finished_at", of("Moment")),
        ],
    )
}
