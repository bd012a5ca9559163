//! Hands: who begins what is ready.

use std::sync::Arc;

use super::Ledger;
use crate::attempt::Attempt;
use crate::options::HAND_TAKES;

impl Ledger {
    /// Whether somebody must become the first hand.
    pub(crate) fn join_first(&mut self) -> bool {
        let needed = self.hands == 0 && !self.ready.is_empty();
        self.hands += usize::from(needed);
        needed
    }

    /// Whether somebody is to look later if one more hand is needed; true once per call for help.
    pub(crate) fn wants_helper(&mut self, most: usize) -> bool {
        let wanted = !self.helper_called && self.hands < most && self.ready.len() > HAND_TAKES;
        self.helper_called |= wanted;
        wanted
    }

    /// Whether whoever was called for help must become a hand.
    pub(crate) fn join_late(&mut self) -> bool {
        self.helper_called = false;
        let needed = !self.ready.is_empty();
        self.hands += usize::from(needed);
        needed
    }

    /// Whether the hand may leave: nothing is ready.
    pub(crate) fn leave(&mut self) -> bool {
        let done = self.ready.is_empty();
        self.hands -= usize::from(done);
        done
    }

    /// The next few to begin.
    pub(crate) fn take_ready(&mut self, most: usize, into: &mut Vec<Arc<Attempt>>) {
        let most = most.min(self.ready.len());
        into.extend(self.ready.drain(..most));
    }
}
