//! What attempts say and put aside, on its way into an exchange and back. An attempt's lines fly one exchange at a time,
//! so that they arrive in their order, and its outcome does not overtake them.

use std::collections::HashSet;
use std::sync::Arc;

use tasklane_core::lease::LeaseKey;
use tokio::time::Instant;

use super::Ledger;
use crate::attempt::Attempt;
use crate::notes::Taken;
use crate::options::{REPORT_BYTES, REPORT_NOTES};
use crate::source::Report;

/// Attempts that have something to say.
#[derive(Default)]
pub(crate) struct Noting {
    waiting: Vec<Arc<Attempt>>,
    flying: HashSet<LeaseKey>,
    /// When an exchange is to go for this alone.
    due: Option<Instant>,
    ripe: bool,
    /// Most attempts whose notes the next exchange carries; falls while the source refuses, to find the ones it refuses.
    most: Option<usize>,
}

/// What an exchange carries.
pub(crate) type Flight = Vec<(Arc<Attempt>, Taken)>;

impl Noting {
    /// An attempt has something to say, at `due` at the latest.
    pub(crate) fn wait(&mut self, attempt: Arc<Attempt>, due: Instant) {
        self.waiting.push(attempt);
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// What is there is to be said at once.
    pub(crate) fn hurry(&mut self) {
        self.ripe = true;
    }

    /// Whether an exchange is to go for this alone; else when there is to be one.
    pub(crate) fn look(&mut self, now: Instant) -> (bool, Option<Instant>) {
        match self.due {
            Some(due) if due <= now => {
                (self.due, self.ripe) = (None, true);
                (true, None)
            }
            due => (false, due),
        }
    }

    pub(crate) fn has_word(&self) -> bool {
        self.ripe && self.waiting.iter().any(|it| !self.flying.contains(&it.key))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_empty()
    }

    /// Whether an outcome must wait for what its attempt said before.
    pub(super) fn holds_back(&self, key: &LeaseKey) -> bool {
        self.flying.contains(key) || self.waiting.iter().any(|it| it.key == *key)
    }

    /// Forgets all there is.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes what one exchange can carry.
    pub(super) fn take(&mut self, bytes: &mut usize, now: Instant) -> Flight {
        if self.waiting.is_empty() {
            return Flight::new();
        }
        let (mut flight, mut count) = (Flight::new(), 0);
        let most = self.most.unwrap_or(usize::MAX);
        for attempt in std::mem::take(&mut self.waiting) {
            let is_full = *bytes >= REPORT_BYTES || count >= REPORT_NOTES || flight.len() >= most;
            if is_full || self.flying.contains(&attempt.key) {
                self.waiting.push(attempt);
                continue;
            }
            let taken = attempt.take_notes(now);
            *bytes += taken.bytes();
            count += taken.lines.len() + taken.checkpoints.len();
            flight.push((attempt, taken));
        }
        (self.ripe, self.due) = (!self.waiting.is_empty(), None);
        flight
    }

    /// It flies. Outcomes that go with it are taken by then.
    pub(super) fn fly(&mut self, flight: &Flight) {
        self.flying.extend(flight.iter().map(|(attempt, _)| attempt.key));
    }

    /// The exchange is over.
    pub(super) fn landed(&mut self, flight: &Flight) {
        for (attempt, _) in flight {
            self.flying.remove(&attempt.key);
        }
    }

    /// The source took these: it may be given as many as there are.
    pub(super) fn accepted(&mut self, flight: &Flight) {
        if !flight.is_empty() {
            self.most = None;
        }
    }

    /// The source refused these: the next exchange carries half as many. What is refused alone is dropped: repeating it
    /// would hold the attempt's outcome back for ever.
    pub(super) fn refused(&mut self, flight: &mut Flight) {
        if let [(attempt, taken)] = &flight[..] {
            let (lines, checkpoints) = (taken.lines.len(), taken.checkpoints.len());
            tracing::error!(task = %attempt.key.id, lines, checkpoints, "the server refuses what an attempt said; it is dropped");
            self.landed(flight);
            flight.clear();
            self.most = None;
        } else {
            self.most = Some((flight.len() / 2).max(1));
        }
    }

    /// What was not carried waits for the next exchange.
    pub(super) fn put_back(&mut self, flight: Flight) {
        for (attempt, taken) in flight {
            if attempt.put_back(taken) {
                self.waiting.push(attempt);
            }
            self.ripe = true;
        }
    }
}

/// Puts what flies into the report.
pub(super) fn write(report: &mut Report, flight: &Flight, now: Instant) {
    for (attempt, taken) in flight {
        report.logs.extend(taken.lines.iter().map(|it| (attempt.key, it.line(now))));
        report.checkpoints.extend(taken.checkpoints.iter().map(|it| (attempt.key, it.clone())));
    }
}

impl Ledger {
    /// The last attempt of this task that is held.
    pub(crate) fn of_task(&self, task: tasklane_core::task::TaskId) -> Option<Arc<Attempt>> {
        let of_task = self.held.values().filter(|held| held.attempt.key.id == task);
        of_task.max_by_key(|held| held.attempt.key).map(|held| Arc::clone(&held.attempt))
    }
}
