//! Beside the road: actions by hand.

use tasklane_core::error::HandError;
use tasklane_core::hand::{self, Hand, Ruling};
use tasklane_core::task::{Task, TaskId};

use super::{KeyHolder, Tx, unique_key};

impl Tx<'_> {
    pub(super) fn hand(&mut self, id: TaskId, hand: Hand) -> Result<Task, HandError> {
        let task = &self.model.tasks.get(&id).ok_or(HandError::NotFound)?.task;
        match hand::decide(task, hand, self.now)? {
            Ruling::Nothing => {}
            Ruling::Delete => return self.model.remove(id).ok_or(HandError::NotFound),
            Ruling::Hide => {
                if let Some(kept) = self.model.tasks.get_mut(&id) {
                    kept.task.hidden_at = Some(self.now);
                }
                self.model.removed = true;
            }
            Ruling::RequestCancel => {
                if let Some(kept) = self.model.tasks.get_mut(&id) {
                    kept.task.facts.cancel_requested = true;
                }
            }
            Ruling::Apply(decision) => {
                if hand == Hand::Retry {
                    self.hold_again(id)?;
                }
                self.apply(id, decision);
            }
        }
        self.model.tasks.get(&id).map(|kept| kept.task.clone()).ok_or(HandError::NotFound)
    }

    /// A task tried again holds its unique key again, unless another took it.
    fn hold_again(&mut self, id: TaskId) -> Result<(), HandError> {
        let Some((name, _)) = self.model.tasks.get(&id).and_then(|kept| unique_key(&kept.task)) else { return Ok(()) };
        if let Some(holder) = self.model.unique.get(&name)
            && holder.id != id
            && holder.until.is_none_or(|until| until > self.now)
        {
            return Err(HandError::UniqueHeld { task: holder.id });
        }
        self.model.unique.insert(name, KeyHolder { id, fingerprint: None, until: None, gone: None });
        Ok(())
    }
}
