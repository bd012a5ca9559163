//! What happens to tasks, as a server tells it, and as a line for a person.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::output::Tone;
use crate::shape::json::{Level, compact, level};
use crate::stream::Event;
use crate::table::{Cell, visible};
use crate::task::{Progress, state_cell};

/// Columns of a time of day: `12:00:01.123`.
const CLOCK: usize = "12:00:01.123".len();
/// Columns of a state and of a level, so that lines that come one by one stand below each other.
const STATE: usize = "✓ succeeded".len();
const LEVEL: usize = "ERROR".len();

/// The data of an event, whichever sort it is of; what it has not got is absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    pub(crate) task: Option<String>,
    #[serde(rename = "type")]
    pub(crate) task_type: Option<String>,
    pub(crate) queue: Option<String>,
    from: Option<String>,
    pub(crate) to: Option<String>,
    reason: Option<String>,
    pub(crate) attempt: u64,
    at: Option<String>,
    level: Option<String>,
    message: Option<String>,
    fields: Option<Box<RawValue>>,
    percent: Option<f64>,
    tasks: Option<u64>,
}

impl Told {
    /// What the event tells; `None` where it is nothing this program knows.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        Self::read(&event.data)
    }

    /// What a JSON object tells.
    pub(crate) fn read(data: &str) -> Option<Self> {
        serde_json::from_str(data).ok()
    }

    /// The state it went to, where only a hand can change it from.
    pub(crate) fn ended(&self) -> Option<&str> {
        self.to.as_deref().filter(|it| matches!(*it, "succeeded" | "failed" | "cancelled" | "expired"))
    }

    /// `12:00:01.123  ▶ running  leased`, or a log line, or progress.
    pub(crate) fn cells(&self) -> Option<Vec<Cell>> {
        let at = Cell::new(Tone::Dim, self.at.as_deref().map(clock).unwrap_or_default()).wide(CLOCK);
        if let Some(to) = &self.to {
            let attempt = if self.attempt > 0 { format!("attempt {}", self.attempt) } else { String::new() };
            let reason = self.reason.as_deref().filter(|it| *it != to).unwrap_or_default();
            return Some(vec![
                at,
                state_cell(to).wide(STATE),
                Cell::new(Tone::Dim, format!("{reason}  {attempt}").trim()),
            ]);
        }
        if let Some(level) = &self.level {
            return Some(vec![at, Cell::new(tone(level), level.to_uppercase()).wide(LEVEL), self.words().into()]);
        }
        if let Some(tasks) = self.tasks {
            let words = format!("{tasks} tasks quarantined by crashes");
            return Some(vec![at, Cell::new(Tone::Bad, "! crashing").wide(STATE), words.into()]);
        }
        let progress = Progress { percent: self.percent, message: self.message.clone() };
        (self.percent.is_some() || self.message.is_some())
            .then(|| vec![at, Cell::new(Tone::Busy, "… progress").wide(STATE), progress.line().into()])
    }

    /// The message with its fields.
    fn words(&self) -> String {
        let message = self.message.as_deref().map(visible).unwrap_or_default();
        let fields = self.fields.as_ref().and_then(|it| level(it.get()).ok());
        let Some(Level::Object(members)) = fields else { return message };
        let named = members.iter().map(|(name, value)| format!("  {name}={}", compact(value.get())));
        message + &visible(&named.collect::<String>())
    }
}

fn tone(level: &str) -> Tone {
    match level.to_ascii_lowercase().as_str() {
        "error" | "critical" => Tone::Bad,
        "warn" | "warning" => Tone::Careful,
        "debug" | "trace" => Tone::Dim,
        _ => Tone::Plain,
    }
}

/// The time of day within a moment: `12:00:01.123`.
fn clock(at: &str) -> String {
    let time = at.split_once('T').map_or(at, |(_, time)| time);
    time.trim_end_matches('Z').chars().take(CLOCK).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(data: &str) -> String {
        let cells = Told::read(data).unwrap().cells().unwrap();
        cells.iter().map(|it| it.text().trim_end()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn every_sort_of_event_is_a_line() {
        let at = r#""at":"2026-01-31T12:00:01.123456Z""#;
        let moved =
            line(&format!(r#"{{"task":"i","from":"queued","to":"running","reason":"leased","attempt":2,{at}}}"#));
        assert_eq!(moved, "12:00:01.123|▶ running|leased  attempt 2");
        let said = line(&format!(r#"{{"n":0,"level":"warn","message":"slow\u0007","fields":{{"ms": 1.50}},{at}}}"#));
        assert_eq!(said, "12:00:01.123|WARN|slow\\u{7}  ms=1.50");
        assert_eq!(line(r#"{"task":"i","percent":40.0,"message":"page 2"}"#), "|… progress|40 %  page 2");
        let crashing = line(&format!(r#"{{"type":"t","queue":"q","tasks":3,{at}}}"#));
        assert_eq!(crashing, "12:00:01.123|! crashing|3 tasks quarantined by crashes");
        assert!(Told::read(r#"{"later":1}"#).unwrap().cells().is_none());
        assert!(Told::read("nothing").is_none());
    }

    #[test]
    fn only_a_final_state_ends() {
        let ended = |to: &str| Told::read(&format!(r#"{{"to":"{to}"}}"#)).unwrap().ended().is_some();
        assert!(ended("failed") && ended("expired") && !ended("retrying"));
    }
}
