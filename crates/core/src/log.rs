//! What a running attempt says while it works: log lines, and how many of them are kept.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limit;
use crate::outcome::cut;
use crate::state::words;
use crate::time::Timestamp;

words! {
    /// How grave a line is; a later one is graver.
    Level {
        /// For whoever writes the handler.
        Debug = 1 "debug",
        /// What happens.
        Info = 2 "info",
        /// Something odd that was got over.
        Warn = 3 "warn",
        /// Something that went wrong.
        Error = 4 "error",
    }
}

/// Which line of a task: they are in the order of attempts, then of the lines of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LineId {
    /// Whose attempt it is.
    pub attempt: u32,
    /// Its number within the attempt.
    pub n: u64,
}

/// A line as a worker reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Counts the attempt's lines from 0. One that is not above every one before is a repetition and dropped.
    pub n: u64,
    /// How grave.
    pub level: Level,
    /// For people.
    pub message: String,
    /// A JSON object for programs.
    pub fields: Option<Box<str>>,
    /// How long before the report it was said: a worker's clock never crosses the wire.
    pub after: Duration,
}

/// A line as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Which line.
    pub id: LineId,
    /// When it was said, by the store's clock.
    pub at: Timestamp,
    /// How grave.
    pub level: Level,
    /// For people.
    pub message: Box<str>,
    /// A JSON object for programs.
    pub fields: Option<Box<str>>,
}

/// What stands instead of fields that were too long to keep.
const FIELDS_CUT: &str = r#"{"cut":true}"#;
/// What the last kept line says where an attempt has more to say than is kept.
const ENDS: &str = "… [cut: an attempt keeps 10000 lines and 1 MiB of log; what follows is not kept]";

impl Line {
    /// The line within [`limit::LOG_LINE_BYTES`]: what is over is cut with a marker.
    #[must_use]
    pub fn fit(mut self) -> Self {
        self.message = cut(self.message, limit::LOG_LINE_BYTES);
        if self.fields.is_some() && self.bytes() > limit::LOG_LINE_BYTES {
            self.fields = Some(FIELDS_CUT.into());
        }
        self
    }

    /// Bytes of its text.
    pub fn bytes(&self) -> usize {
        self.message.len() + self.fields.as_ref().map_or(0, |it| it.len())
    }
}

impl LogLine {
    /// Bytes of its text.
    pub fn bytes(&self) -> usize {
        self.message.len() + self.fields.as_ref().map_or(0, |it| it.len())
    }
}

/// How much an attempt has logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// One more than the number of the last line.
    pub next: u64,
    /// Lines, the one at which the log was cut included.
    pub lines: u32,
    /// Bytes of their texts, as they were reported.
    pub bytes: u32,
}

impl Tally {
    /// Whether the log was cut: nothing more is kept.
    pub fn is_full(&self) -> bool {
        self.lines as usize > limit::LOG_LINES || self.bytes as usize > limit::LOG_BYTES
    }

    /// What is kept of lines that attempt `attempt`, begun at `started_at`, reports at `now`.
    pub fn admit(
        &mut self,
        lines: &[Line],
        attempt: u32,
        started_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<LogLine> {
        let keep = |line| self.keep(line, attempt).map(|(line, after)| at(line, started_at, now.minus(after)));
        lines.iter().filter_map(keep).collect()
    }

    fn keep(&mut self, line: &Line, attempt: u32) -> Option<(LogLine, Duration)> {
        if line.n < self.next || self.is_full() {
            return None;
        }
        let line = line.clone().fit();
        (self.next, self.lines) = (line.n.saturating_add(1), self.lines + 1);
        self.bytes = self.bytes.saturating_add(u32::try_from(line.bytes()).unwrap_or(u32::MAX));
        let Line { n, level, message, fields, after } = line;
        let id = LineId { attempt, n };
        let kept = |level, message: Box<str>, fields| LogLine { id, at: Timestamp::EPOCH, level, message, fields };
        let line =
            if self.is_full() { kept(Level::Warn, ENDS.into(), None) } else { kept(level, message.into(), fields) };
        Some((line, after))
    }
}

/// The line, said at `at`, or when the attempt began where that is later.
fn at(line: LogLine, started_at: Option<Timestamp>, at: Timestamp) -> LogLine {
    LogLine { at: started_at.map_or(at, |started| at.max(started)), ..line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u64, message: &str) -> Line {
        Line { n, level: Level::Info, message: message.into(), fields: None, after: Duration::from_secs(1) }
    }

    fn admit(tally: &mut Tally, lines: Vec<Line>) -> Vec<LogLine> {
        let now = Timestamp::from_micros(10_000_000);
        tally.admit(&lines, 1, Some(Timestamp::from_micros(9_500_000)), now)
    }

    #[test]
    fn repetitions_are_dropped_and_gaps_are_not() {
        let mut tally = Tally::default();
        let kept = admit(&mut tally, vec![line(0, "a"), line(1, "b"), line(1, "b"), line(5, "c"), line(4, "late")]);
        assert_eq!(kept.iter().map(|it| it.id.n).collect::<Vec<_>>(), [0, 1, 5]);
        assert_eq!(admit(&mut tally, vec![line(5, "c"), line(6, "d")]).len(), 1);
    }

    #[test]
    fn a_line_is_never_older_than_its_attempt() {
        let kept =
            admit(&mut Tally::default(), vec![line(0, "a"), Line { after: Duration::from_millis(1), ..line(1, "b") }]);
        assert_eq!(kept.iter().map(|it| it.at.as_micros()).collect::<Vec<_>>(), [9_500_000, 9_999_000]);
    }

    #[test]
    fn a_log_ends_with_one_marker() {
        let mut tally = Tally::default();
        let lines = |from: u64| (from..from + 6000).map(|n| line(n, "x")).collect::<Vec<_>>();
        assert_eq!(admit(&mut tally, lines(0)).len(), 6000);
        let kept = admit(&mut tally, lines(6000));
        assert_eq!((kept.len(), &*kept[4000].message, kept[4000].level), (4001, ENDS, Level::Warn));
        assert!(admit(&mut tally, lines(12_000)).is_empty());

        let mut tally = Tally::default();
        let long = "x".repeat(limit::LOG_LINE_BYTES);
        let kept = admit(&mut tally, (0..100).map(|n| line(n, &long)).collect());
        assert_eq!((kept.len(), &*kept[64].message), (65, ENDS));
    }

    #[test]
    fn long_lines_are_cut_visibly() {
        let long = line(0, &"ü".repeat(limit::LOG_LINE_BYTES)).fit();
        assert!(long.message.ends_with("[cut]") && long.message.len() < limit::LOG_LINE_BYTES + 20);
        let fields = format!("{{\"a\":\"{}\"}}", "x".repeat(limit::LOG_LINE_BYTES));
        let cut = Line { fields: Some(fields.into()), ..line(0, "a") }.fit();
        assert_eq!((&*cut.message, cut.fields.as_deref()), ("a", Some(FIELDS_CUT)));
    }
}
