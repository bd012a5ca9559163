//! What running attempts say and put aside.

use tasklane_core::checkpoint::{Checkpoint, Checkpointed};
use tasklane_core::lease::LeaseKey;
use tasklane_core::log::Line;
use tasklane_core::ports::store::{LogPage, LogQuery, Logged};
use tasklane_core::task::TaskId;

use super::{Model, Tx};
use crate::log_page::Filling;

impl Tx<'_> {
    /// The handler says something.
    pub(super) fn log(&mut self, key: &LeaseKey, lines: &[Line]) -> Logged {
        if !self.progress(key, None) {
            return Logged::Lost;
        }
        let Some(kept) = self.model.tasks.get_mut(&key.id) else { return Logged::Lost };
        let tally = kept.tallies.entry(key.attempt).or_default();
        let was_full = tally.is_full();
        let lines = tally.admit(lines, key.attempt, kept.task.facts.started_at, self.now);
        let logged = Logged::Held { kept: lines.len(), cut: tally.is_full() && !was_full };
        kept.lines.extend(lines);
        logged
    }

    /// The handler puts something aside.
    pub(super) fn checkpoint(&mut self, key: &LeaseKey, checkpoint: Checkpoint) -> Checkpointed {
        if !self.progress(key, None) {
            return Checkpointed::Lost;
        }
        let Some(kept) = self.model.tasks.get_mut(&key.id) else { return Checkpointed::Lost };
        let others = kept.checkpoints.values().filter(|it| it.name != checkpoint.name);
        let (count, bytes) = others.fold((0, 0), |(count, bytes), it| (count + 1, bytes + it.bytes()));
        if !checkpoint.fits(count, bytes) {
            return Checkpointed::TooLarge;
        }
        kept.checkpoints.insert(checkpoint.name.clone(), checkpoint);
        Checkpointed::Held
    }
}

impl Model {
    pub(super) fn logs(&self, id: TaskId, query: LogQuery) -> Option<LogPage> {
        let mut filling = Filling::new(query);
        let mut lines = self.shown(id)?.lines.clone();
        lines.sort_by_key(|line| line.id);
        let _full = lines.into_iter().all(|line| filling.offer(line));
        Some(filling.page())
    }
}
