//! Schedules.

use serde_json::{Value, json};
use tasklane_core::limit;

use super::{about, list, object, of, page, request};

pub(super) fn schemas() -> Value {
    json!({
        "Schedule": schedule(),
        "SchedulePage": page("Schedule"),
        "ScheduleId": { "type": "string", "format": "uuid" },
        "NewSchedule": request(&["name", "task"], said()),
        "ScheduleChange": request(&[], said()),
        "ScheduleTimes": request(&[], [
            cron(), every(), at(), timezone(), ("starts_at", bound()), ("ends_at", bound()),
        ]),
        "Missed": request(&[], [
            ("policy", json!({ "type": "string", "enum": ["none", "one", "all"], "default": "one" })),
            ("cap", json!({ "type": "integer", "minimum": 1, "maximum": limit::MISSED, "default": 100 })),
            ("window", about(of("Duration"), "Those of longer ago make nothing; a day unless said.")),
        ]),
        "SlotList": object(&["items"], [("items", list("Slot"))]),
        "Slot": object(&["at", "local"], [("at", of("Moment")), local()]),
        "Run": object(&["at", "local", "outcome"], [
            ("at", of("Moment")),
            local(),
            ("outcome", json!({ "type": "string", "enum": ["made", "missed", "overlapped", "refused"] })),
            ("task", of("TaskId")),
            ("state", about(of("State"), "Absent where the task is no longer kept.")),
        ]),
        "RunPage": page("Run"),
    })
}

fn schedule() -> Value {
    let required = ["id", "name", "task", "overlap", "missed", "jitter", "paused", "set_by", "created_at"];
    object(
        &required,
        [
            ("id", of("ScheduleId")),
            ("name", of("Name")),
            cron(),
            every(),
            at(),
            timezone(),
            task(),
            overlap(),
            missed(),
            jitter(),
            ("starts_at", of("Moment")),
            ("ends_at", of("Moment")),
            paused(),
            ("next_at", about(of("Moment"), "Absent where no more come, and while it is paused.")),
            ("set_by", about(json!({ "type": "string", "enum": ["caller", "config"] }), "Who set it up.")),
            ("created_at", of("Moment")),
        ],
    )
}

/// What is said of a schedule: all that is needed where it is made, some of it where it is changed.
fn said() -> [(&'static str, Value); 12] {
    [
        ("name", about(of("Name"), "No other schedule of its tenant has it.")),
        cron(),
        every(),
        at(),
        timezone(),
        task(),
        overlap(),
        missed(),
        jitter(),
        ("starts_at", bound()),
        ("ends_at", bound()),
        paused(),
    ]
}

fn cron() -> (&'static str, Value) {
    let told = "Five fields (minute hour day month weekday), six with seconds first, or @daily and the like. One of cron, \
                every and at is needed.";
    ("cron", json!({ "type": "string", "examples": ["0 9 * * MON-FRI", "@daily"], "description": told }))
}

fn every() -> (&'static str, Value) {
    ("every", about(of("Duration"), "Again and again after this long, from a second to 366 days."))
}

fn at() -> (&'static str, Value) {
    ("at", about(of("Moment"), "Once."))
}

fn timezone() -> (&'static str, Value) {
    let told = "The IANA name of the zone whose clock the pattern means; UTC unless said.";
    ("timezone", json!({ "type": "string", "examples": ["Europe/Berlin"], "description": told }))
}

fn task() -> (&'static str, Value) {
    let told = "What each slot makes. In the texts of its payload {slot}, {slot.local}, {slot.date}, {slot.time} and \
                {slot.unix} stand for the time of the slot. Without id, delay, run_at and idempotency_key.";
    ("task", about(of("NewTask"), told))
}

fn overlap() -> (&'static str, Value) {
    let told = "What a slot does while a task of an earlier one is not finished.";
    let words = ["allow", "skip", "replace", "queue_one"];
    ("overlap", json!({ "type": "string", "enum": words, "default": "allow", "description": told }))
}

fn missed() -> (&'static str, Value) {
    ("missed", about(of("Missed"), "What becomes of slots that came while no server was there."))
}

fn jitter() -> (&'static str, Value) {
    ("jitter", about(of("Duration"), "Tasks start up to so much after their slot, a day at most."))
}

fn paused() -> (&'static str, Value) {
    ("paused", json!({ "type": "boolean", "default": false }))
}

fn bound() -> Value {
    json!({ "anyOf": [of("Moment"), { "type": "null" }] })
}

fn local() -> (&'static str, Value) {
    (
        "local",
        json!({ "type": "string", "description": "As the clock of its zone shows it, such as 2026-03-29T03:00:00+02:00." }),
    )
}
