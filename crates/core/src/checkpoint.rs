//! What an attempt puts aside for the next one: the latest of each name, kept as long as the task.

use bytes::Bytes;

use crate::limit;

/// Something put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its name; a later one of the same name takes its place.
    pub name: Box<str>,
    /// JSON.
    pub data: Bytes,
}

impl Checkpoint {
    /// What it counts against [`limit::CHECKPOINT_BYTES`].
    pub fn bytes(&self) -> usize {
        self.name.len() + self.data.len()
    }

    /// Whether a task may keep it besides `others` of other names, of `bytes` in all.
    pub fn fits(&self, others: usize, bytes: usize) -> bool {
        others < limit::CHECKPOINTS && bytes.saturating_add(self.bytes()) <= limit::CHECKPOINT_BYTES
    }
}

/// What the store says of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpointed {
    /// Kept.
    Held,
    /// The lease is no longer valid: nothing was written.
    Lost,
    /// The task would keep more than it may: the one of this name that was there stays.
    TooLarge,
    /// There is no room on the disk but for what ends tasks.
    DiskFull,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_keeps_so_much_and_no_more() {
        let one = Checkpoint { name: "a".into(), data: Bytes::from_static(b"null") };
        assert!(one.fits(0, limit::CHECKPOINT_BYTES - 5) && !one.fits(0, limit::CHECKPOINT_BYTES - 4));
        assert!(one.fits(limit::CHECKPOINTS - 1, 0) && !one.fits(limit::CHECKPOINTS, 0));
    }
}
