//! A task as the server shows it, as far as people are shown it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};
use crate::output::Tone;
use crate::table::Cell;

/// Where a task stands, with a symbol and a tone.
pub(crate) fn state_cell(state: &str) -> Cell {
    let (symbol, tone) = match state {
        "succeeded" => ("✓", Tone::Good),
        "failed" | "expired" => ("✗", Tone::Bad),
        "cancelled" => ("⊘", Tone::Dim),
        "running" => ("▶", Tone::Busy),
        "retrying" => ("↻", Tone::Careful),
        "scheduled" | "waiting" => ("◷", Tone::Plain),
        "blocked" | "paused" | "draining" => ("‖", Tone::Careful),
        _ => ("·", Tone::Plain),
    };
    Cell::new(tone, format!("{symbol} {state}"))
}

/// A task; members that are absent were absent.
#[derive(Debug, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) task_type: String,
    pub(crate) queue: String,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) reason: String,
    #[serde(default)]
    pub(crate) priority: i64,
    #[serde(default)]
    pub(crate) attempt: u64,
    #[serde(default)]
    pub(crate) spent: u64,
    #[serde(default)]
    pub(crate) max_attempts: u64,
    pub(crate) tenant: Option<String>,
    pub(crate) payload: Option<Box<RawValue>>,
    pub(crate) result: Option<Box<RawValue>>,
    pub(crate) failure: Option<Failed>,
    pub(crate) progress: Option<Progress>,
    pub(crate) labels: Option<std::collections::BTreeMap<String, String>>,
    pub(crate) unique_key: Option<String>,
    #[serde(default)]
    pub(crate) limits: Vec<NamedGate>,
    pub(crate) worker: Option<String>,
    pub(crate) run_at: Option<String>,
    pub(crate) start_deadline: Option<String>,
    pub(crate) deadline: Option<String>,
    #[serde(default)]
    pub(crate) created_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    pub(crate) rerun_of: Option<String>,
    #[serde(default)]
    pub(crate) cancel_requested: bool,
    #[serde(default)]
    pub(crate) quarantined: bool,
}

/// A gate that it passes by its key.
#[derive(Debug, Deserialize)]
pub(crate) struct NamedGate {
    pub(crate) key: String,
}

/// How it failed.
#[derive(Debug, Deserialize)]
pub(crate) struct Failed {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) message: String,
}

/// How far it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Progress {
    pub(crate) percent: Option<f64>,
    pub(crate) message: Option<String>,
}

impl Task {
    /// The task in a server's answer.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Failure> {
        read(body)
    }

    /// Whether only a hand can change it from here.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.state.as_str(), "succeeded" | "failed" | "cancelled" | "expired")
    }

    /// Whether every attempt that ended was charged, as is usual; a running one is charged when it ends.
    pub(crate) fn is_charged_as_counted(&self) -> bool {
        self.spent + u64::from(self.state == "running") == self.attempt
    }

    /// `2/3`: attempts made, attempts there are.
    pub(crate) fn attempts(&self) -> String {
        format!("{}/{}", self.attempt, self.max_attempts)
    }
}

impl Progress {
    /// `40 %  resizing`.
    pub(crate) fn line(&self) -> String {
        let percent = self.percent.map(|it| format!("{it:.0} %"));
        let message = self.message.as_deref().map(crate::table::visible);
        [percent, message].into_iter().flatten().collect::<Vec<_>>().join("  ")
    }
}

/// What a server answered, as this program understands it.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::new(Exit::Failed, format!("the server's answer is not understood: {error}"))
            .remedy("see whether --url names a Tasklane server, and whether it is of this version")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_task_needs_few_members_and_keeps_json_as_it_is() {
        let body = br#"{"id":"x","type":"t","queue":"q","state":"running","payload":{"n": 1.10},
            "progress":{"percent":40.4,"message":"a\u001bb"},"a_later_member":true}"#;
        let task = Task::read(body).unwrap();
        assert_eq!(task.payload.unwrap().get(), r#"{"n": 1.10}"#);
        assert_eq!(task.progress.unwrap().line(), "40 %  a\\u{1b}b");
        assert_eq!(task.labels, None);
    }

    #[test]
    fn four_states_are_final() {
        let of = |state: &str| {
            let body = format!(r#"{{"id":"x","type":"t","queue":"q","state":"{state}"}}"#);
            Task::read(body.as_bytes()).unwrap().is_final()
        };
        assert!(["succeeded", "failed", "cancelled", "expired"].into_iter().all(of));
        assert!(!["scheduled", "blocked", "queued", "running", "waiting", "retrying"].into_iter().any(of));
    }
}
