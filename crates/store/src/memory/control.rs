//! Beside the road: pausing, resuming and draining queues.

use tasklane_core::queue::QueueState;

use super::Tx;

impl Tx<'_> {
    pub(super) fn control(&mut self, queue: Box<str>, state: QueueState) {
        self.model.queues.insert(queue, state);
    }
}
