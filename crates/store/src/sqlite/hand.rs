//! Beside the road: actions by hand.

use tasklane_core::error::HandError;
use tasklane_core::hand::{self, Hand, Ruling};
use tasklane_core::ports::store::Batch;
use tasklane_core::task::{Task, TaskId};

use super::error::Result;
use super::keys::{self, KeyRow, Kind};
use super::row::Kept;
use super::tx::{Before, Tx};
use crate::encoding::log::Way;

impl Tx<'_, '_> {
    pub(super) fn hand_all(&mut self, batch: &mut Batch) -> Result<()> {
        for (id, hand) in &batch.hand {
            let ruled = self.hand(*id, *hand)?;
            self.answer().hand.push(ruled);
        }
        Ok(())
    }

    fn hand(&mut self, id: TaskId, hand: Hand) -> Result<std::result::Result<Task, HandError>> {
        let Some(mut kept) = self.load(id)? else { return Ok(Err(HandError::NotFound)) };
        match hand::decide(&kept.task, hand, self.now) {
            Err(error) => return Ok(Err(error)),
            Ok(Ruling::Nothing) => {}
            Ok(Ruling::Delete) => {
                let way = Way::removed(kept.task.counted(), kept.lane, kept.scope, kept.task.facts.attempt);
                self.remove(way, id, kept.seq, kept.notes)?;
            }
            Ok(Ruling::Hide) => self.hide(&mut kept)?,
            Ok(Ruling::RequestCancel) => {
                kept.task.facts.cancel_requested = true;
                if let Some(running) = self.live.running.get_mut(id) {
                    running.task.facts.cancel_requested = true;
                    self.sql.update(running)?;
                }
            }
            Ok(Ruling::Apply(decision)) => {
                if hand == Hand::Retry
                    && let Some(other) = self.hold_again(&kept)?
                {
                    return Ok(Err(HandError::UniqueHeld { task: other }));
                }
                let before = Before::of(&kept);
                self.change(&mut kept, &before, decision)?;
            }
        }
        Ok(Ok(kept.task))
    }

    /// A task tried again holds its unique key again, unless another took it: answers with that one.
    fn hold_again(&mut self, kept: &Kept) -> Result<Option<TaskId>> {
        let facts = &kept.task.facts;
        let Some(unique) = &facts.spec.unique else { return Ok(None) };
        let (db, tenant) = (self.sql.db, &facts.scope.tenant);
        let holder = keys::find(db, Kind::Unique, tenant, &unique.key, self.now)?;
        if let Some(holder) = holder.filter(|holder| holder.id != facts.id) {
            return Ok(Some(holder.id));
        }
        let row = KeyRow { id: facts.id, fingerprint: None, until: None, gone: None };
        keys::put(db, Kind::Unique, tenant, &unique.key, row)?;
        self.live.keys = true;
        Ok(None)
    }
}
