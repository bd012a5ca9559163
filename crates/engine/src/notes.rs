//! What running attempts say and put aside, on its way into a commit and back.

use std::sync::Arc;

use tasklane_core::checkpoint::Checkpointed;
use tasklane_core::lease::LeaseKey;
use tasklane_core::log::Line;
use tasklane_core::ports::store::{Answers, Batch, Logged};
use tasklane_core::task::TaskId;

use crate::calls::RefusedCheckpoint;
use crate::inside::Inside;

/// Lines of one attempt that follow one another, together.
pub(crate) fn by_attempt(lines: Vec<(LeaseKey, Line)>) -> Vec<(LeaseKey, Vec<Line>)> {
    let mut attempts: Vec<(LeaseKey, Vec<Line>)> = Vec::new();
    for (key, line) in lines {
        match attempts.last_mut().filter(|it| it.0 == key) {
            Some((_, lines)) => lines.push(line),
            None => attempts.push((key, vec![line])),
        }
    }
    attempts
}

/// The keys of a batch's notes, to be compared with its answers.
pub(crate) struct Noted {
    logs: Vec<LeaseKey>,
    checkpoints: Vec<(LeaseKey, Box<str>)>,
}

impl Noted {
    pub fn of(batch: &Batch) -> Self {
        Self {
            logs: batch.logs.iter().map(|(key, _)| *key).collect(),
            checkpoints: batch.checkpoints.iter().map(|(key, it)| (*key, it.name.clone())).collect(),
        }
    }

    /// The tasks whose lease no longer held.
    ///
    /// A whole report that is repeated is accepted silently: of an attempt whose outcome it repeats, nothing is lost.
    pub fn lost<'a>(&'a self, answers: &'a Answers, repeated: &'a [LeaseKey]) -> impl Iterator<Item = TaskId> + 'a {
        let logs = self.logs.iter().zip(&answers.logs).filter(|(_, logged)| **logged == Logged::Lost);
        let checkpoints = self.checkpoints.iter().zip(&answers.checkpoints);
        let checkpoints = checkpoints.filter(|(_, kept)| **kept == Checkpointed::Lost);
        let keys = logs.map(|(key, _)| key).chain(checkpoints.map(|((key, _), _)| key));
        keys.filter(|key| !repeated.contains(key)).map(|key| key.id)
    }

    /// Tells who follows a log, counts the limits that were hit, and answers with what was refused.
    pub fn answered(&self, inside: &Arc<Inside>, answers: &Answers) -> Vec<RefusedCheckpoint> {
        for (key, logged) in self.logs.iter().zip(&answers.logs) {
            match logged {
                Logged::Held { kept: 1.., cut } => {
                    inside.watches.logged(key.id);
                    if *cut {
                        inside.metrics.limit_hit("attempt_log");
                    }
                }
                Logged::DiskFull => inside.metrics.limit_hit("disk_for_logs"),
                Logged::Held { .. } | Logged::Lost => {}
            }
        }
        let refused = |((key, name), why): (&(LeaseKey, Box<str>), &Checkpointed)| match why {
            Checkpointed::Held | Checkpointed::Lost => None,
            Checkpointed::TooLarge | Checkpointed::DiskFull => {
                inside.metrics.limit_hit("checkpoints");
                Some(RefusedCheckpoint { id: key.id, name: name.clone(), why: *why })
            }
        };
        self.checkpoints.iter().zip(&answers.checkpoints).filter_map(refused).collect()
    }
}
