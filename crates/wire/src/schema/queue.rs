//! Queues.

use serde_json::{Value, json};
use tasklane_core::state::State;

use super::{about, object, of, page};

pub(super) fn schemas() -> Value {
    let unfinished: Vec<_> = State::ALL.iter().filter(|it| !it.is_final()).copied().collect();
    json!({
        "Queue": object(&["name", "state", "counts", "verdict"], [
            ("name", of("Name")),
            ("state", json!({ "type": "string", "enum": ["active", "paused", "draining"] })),
            ("counts", of("Counts")),
            ("oldest_queued_age", of("Duration")),
            ("verdict", about(json!({ "type": "string" }), "In few words, how it is doing.")),
            ("limits", about(of("Limits"), "What its gate lets through, if it has one.")),
        ]),
        "QueuePage": page("Queue"),
        "Counts": counts(&unfinished),
        "Totals": counts(State::ALL),
    })
}

/// A number for each of these states.
fn counts(states: &[State]) -> Value {
    let names: Vec<_> = states.iter().map(|it| it.as_str()).collect();
    let mut counts = object(&names, []);
    for name in names {
        counts["properties"][name] = json!({ "type": "integer", "minimum": 0 });
    }
    counts
}
