//! What a handler says and puts aside, until an exchange carries it.

use std::collections::BTreeMap;
use std::time::Duration;

use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::limit;
use tasklane_core::log::{Level, Line};
use tokio::time::Instant;

use crate::options::{NOTED_BYTES, NOTED_LINES};

/// A line on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    line: Line,
    at: Instant,
}

impl Pending {
    /// The line, as it is reported at `now`.
    pub(crate) fn line(&self, now: Instant) -> Line {
        Line { after: now.saturating_duration_since(self.at), ..self.line.clone() }
    }
}

/// What one exchange carries of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) lines: Vec<Pending>,
    pub(crate) checkpoints: Vec<Checkpoint>,
}

impl Taken {
    pub(crate) fn bytes(&self) -> usize {
        let lines: usize = self.lines.iter().map(|it| it.line.bytes() + LINE_MARGIN).sum();
        lines + self.checkpoints.iter().map(Checkpoint::bytes).sum::<usize>()
    }
}

/// What a line's members cost besides its text.
const LINE_MARGIN: usize = 200;

/// What an attempt has to say. A log that grows faster than exchanges carry it loses lines: their numbers are left out,
/// and a line says how many they were.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The number of the next line.
    next: u64,
    lines: Vec<Pending>,
    bytes: usize,
    dropped: u64,
    /// The latest of each name.
    checkpoints: BTreeMap<Box<str>, Checkpoint>,
    aside: usize,
    /// The ledger knows that there is something.
    listed: bool,
}

impl Notes {
    /// Says a line.
    pub(crate) fn log(&mut self, level: Level, message: String, fields: Option<Box<str>>, now: Instant) {
        if self.next > limit::LOG_LINES as u64 {
            // The server keeps no more, and has said so in the log.
            return;
        }
        let line = Line { n: self.next, level, message, fields, after: Duration::ZERO }.fit();
        self.next += 1;
        if self.lines.len() >= NOTED_LINES || self.bytes + line.bytes() > NOTED_BYTES {
            self.dropped += 1;
            return;
        }
        self.bytes += line.bytes();
        self.lines.push(Pending { line, at: now });
    }

    /// Puts something aside; `false` where there is too much of it that no exchange has carried.
    pub(crate) fn checkpoint(&mut self, checkpoint: Checkpoint) -> bool {
        let known = self.checkpoints.get(&checkpoint.name).map_or(0, Checkpoint::bytes);
        let others = self.checkpoints.len() - usize::from(self.checkpoints.contains_key(&checkpoint.name));
        if !checkpoint.fits(others, self.aside - known) {
            return false;
        }
        self.aside = self.aside - known + checkpoint.bytes();
        self.checkpoints.insert(checkpoint.name.clone(), checkpoint);
        true
    }

    /// Whether the ledger is to be told that there is something; true once.
    pub(crate) fn list(&mut self) -> bool {
        !std::mem::replace(&mut self.listed, true)
    }

    /// Everything there is.
    pub(crate) fn take(&mut self, now: Instant) -> Taken {
        self.listed = false;
        // Lines that were taken back end with such a word already.
        if self.dropped > 0 && self.lines.len() <= NOTED_LINES {
            let message = format!("… [{} lines are missing: they came faster than they could be sent]", self.dropped);
            self.dropped = 0;
            let line = Line { n: self.next, level: Level::Warn, message, fields: None, after: Duration::ZERO };
            self.next += 1;
            self.lines.push(Pending { line, at: now });
        }
        (self.bytes, self.aside) = (0, 0);
        let checkpoints = std::mem::take(&mut self.checkpoints).into_values().collect();
        Taken { lines: std::mem::take(&mut self.lines), checkpoints }
    }

    /// Takes back what was not carried, to be said again before what came since; of that, lines for which there is no
    /// room are lost, and counted. Answers the names of checkpoints for which there is none.
    pub(crate) fn put_back(&mut self, taken: Taken) -> Vec<Box<str>> {
        let since = std::mem::replace(&mut self.lines, taken.lines);
        self.bytes = self.lines.iter().map(|it| it.line.bytes()).sum();
        for pending in since {
            if self.lines.len() >= NOTED_LINES || self.bytes + pending.line.bytes() > NOTED_BYTES {
                self.dropped += 1;
                continue;
            }
            self.bytes += pending.line.bytes();
            self.lines.push(pending);
        }
        let known = |checkpoint: &Checkpoint| self.checkpoints.contains_key(&checkpoint.name);
        let missing: Vec<_> = taken.checkpoints.into_iter().filter(|it| !known(it)).collect();
        missing.into_iter().filter_map(|it| Some(it.name.clone()).filter(|_| !self.checkpoint(it))).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn numbers(taken: &Taken) -> Vec<u64> {
        taken.lines.iter().map(|it| it.line.n).collect()
    }

    #[tokio::test]
    async fn what_was_not_carried_comes_first() {
        let (mut notes, now) = (Notes::default(), Instant::now());
        let log = |notes: &mut Notes| notes.log(Level::Info, "x".into(), None, now);
        log(&mut notes);
        assert!(notes.list() && !notes.list());
        let taken = notes.take(now);
        log(&mut notes);
        notes.put_back(taken);
        assert_eq!(numbers(&notes.take(now)), [0, 1]);
    }

    #[tokio::test]
    async fn lost_lines_leave_a_gap_and_a_word() {
        let (mut notes, now) = (Notes::default(), Instant::now());
        (0..NOTED_LINES + 5).for_each(|_| notes.log(Level::Info, "x".into(), None, now));
        let taken = notes.take(now);
        let last = taken.lines.last().unwrap();
        assert_eq!((taken.lines.len(), last.line.n), (NOTED_LINES + 1, NOTED_LINES as u64 + 5));
        assert!(last.line.message.contains("5 lines"), "{}", last.line.message);
        let long = "x".repeat(limit::LOG_LINE_BYTES);
        (0..20).for_each(|_| notes.log(Level::Info, long.clone(), None, now));
        assert_eq!(notes.take(now).lines.len(), NOTED_BYTES / limit::LOG_LINE_BYTES + 1);
    }

    #[tokio::test]
    async fn the_last_checkpoint_of_a_name_is_carried() {
        let mut notes = Notes::default();
        let put =
            |notes: &mut Notes, data: Vec<u8>| notes.checkpoint(Checkpoint { name: "a".into(), data: data.into() });
        assert!(put(&mut notes, vec![b'1'; limit::CHECKPOINT_BYTES - 1]));
        assert!(put(&mut notes, vec![b'2'; 9]) && !put(&mut notes, vec![b'3'; limit::CHECKPOINT_BYTES]));
        assert!(put(&mut notes, vec![b'4'; 9]));
        let taken = notes.take(Instant::now());
        assert!(put(&mut notes, vec![b'5'; 9]));
        notes.put_back(taken);
        assert_eq!(notes.take(Instant::now()).checkpoints[0].data, vec![b'5'; 9]);
    }
}
