//! How far a task is, as a line that the next one replaces.

use std::time::Duration;

use crate::moment::rough;
use crate::table::visible;
use crate::task::{Task, state_cell};

/// Cells of the bar.
const CELLS: usize = 24;

/// `▶ running  ████████░░░░  40 %  12s, about 18s to go  resizing`.
pub(crate) fn line(task: &Task, waited: Duration) -> String {
    let mut parts = vec![state_cell(&task.state).text().to_owned()];
    let percent = task.progress.as_ref().and_then(|it| it.percent).filter(|_| task.state == "running");
    parts.extend(percent.map(|it| format!("{} {it:>3.0} %", cells(it))));
    let left = percent.and_then(|it| left(it, waited)).map(|it| format!(", about {} to go", rough(it)));
    parts.push(format!("{}{}", rough(waited), left.unwrap_or_default()));
    if task.attempt > 1 {
        parts.push(format!("attempt {}", task.attempts()));
    }
    parts.extend(task.progress.as_ref().and_then(|it| it.message.as_deref()).map(visible));
    parts.join("  ")
}

fn cells(percent: f64) -> String {
    let full = (percent.clamp(0.0, 100.0) / 100.0 * CELLS as f64).round() as usize;
    "█".repeat(full) + &"░".repeat(CELLS - full)
}

/// How long the rest takes if it goes on like this; nothing where it is too early to say.
fn left(percent: f64, took: Duration) -> Option<Duration> {
    let sensible = (1.0..100.0).contains(&percent) && took >= Duration::from_secs(2);
    sensible.then(|| took.mul_f64((100.0 - percent) / percent))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(state: &str, progress: &str, seconds: u64) -> String {
        let body = format!(
            r#"{{"id":"i","type":"t","queue":"q","state":"{state}","attempt":1,"max_attempts":3,"progress":{progress}}}"#
        );
        line(&Task::read(body.as_bytes()).unwrap(), Duration::from_secs(seconds))
    }

    #[test]
    fn the_bar_says_how_far_and_how_long() {
        let shown = at("running", r#"{"percent":25,"message":"page 1"}"#, 10);
        assert_eq!(shown, "▶ running  ██████░░░░░░░░░░░░░░░░░░  25 %  10s, about 30s to go  page 1");
        assert_eq!(at("queued", "null", 3), "· queued  3s");
        assert!(!at("running", r#"{"percent":0}"#, 10).contains("to go"));
        assert!(at("running", r#"{"percent":1e9}"#, 10).contains(&"█".repeat(CELLS)));
    }
}
