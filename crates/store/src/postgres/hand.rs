//! Beside the road: actions by hand.

use std::collections::{HashMap, HashSet};

use tasklane_core::error::HandError;
use tasklane_core::hand::{self, Hand, Ruling};
use tasklane_core::ports::store::Batch;
use tasklane_core::task::{Task, TaskId};
use uuid::Uuid;

use super::error::{Fault, Result};
use super::keys::{self, Given, Held, Kind, Name};
use super::row::{HAS_KEYS, Kept};
use super::turns::Joining;
use super::tx::{Ended, Freed, Tx};
use crate::encoding::log::Way;

/// What the actions of a commit change.
struct Hands {
    tasks: HashMap<TaskId, Kept>,
    held: Held,
    changed: HashSet<TaskId>,
    removed: Vec<Kept>,
    ended: Ended,
    freed: Vec<Freed>,
    given: Vec<Given>,
}

impl Tx<'_> {
    pub(super) async fn hand_all(&mut self, batches: &[Batch]) -> Result<()> {
        let mut ids: Vec<Uuid> = batches.iter().flat_map(|it| &it.hand).map(|(id, _)| id.0).collect();
        if ids.is_empty() {
            return Ok(());
        }
        ids.sort_unstable();
        ids.dedup();
        let names = self.keys_wanted_again(batches).await?;
        let held = keys::hold(self.session, &names, &[], self.now).await?;
        let tasks = self.lock(&ids).await?;
        let (ended, freed) = (Ended::default(), Vec::new());
        let changed = HashSet::new();
        let mut hands = Hands { tasks, held, changed, removed: Vec::new(), ended, freed, given: Vec::new() };
        self.look_at_lines(hands.tasks.values().map(Joining::of)).await?;
        for (caller, batch) in batches.iter().enumerate() {
            self.caller = caller;
            for (id, hand) in &batch.hand {
                self.see_line(*id, *hand, &mut hands).await?;
                let ruled = self.hand(*id, *hand, &mut hands)?;
                self.answer().hand.push(ruled);
            }
        }
        let Hands { tasks, changed, removed, ended, freed, given, .. } = hands;
        let written: Vec<&Kept> = tasks.values().filter(|it| changed.contains(&it.task.facts.id)).collect();
        self.write(&written, ended, freed).await?;
        self.remove(&removed).await?;
        keys::put(self.session, &given).await
    }

    /// The unique keys of tasks that are to be tried again: their names are locked before the tasks are.
    async fn keys_wanted_again(&mut self, batches: &[Batch]) -> Result<Vec<Name>> {
        let again = batches.iter().flat_map(|it| &it.hand).filter(|(_, hand)| *hand == Hand::Retry);
        let ids: Vec<Uuid> = again.map(|(id, _)| id.0).collect();
        let rows = super::inspect::rows(self.session, &ids).await?;
        let tasks = self.kept(&rows).await?;
        let mut names: Vec<Name> = tasks.iter().filter_map(|kept| name_of(&kept.task)).collect();
        names.sort_unstable_by(|a, b| (&a.1, &a.2).cmp(&(&b.1, &b.2)));
        names.dedup();
        Ok(names)
    }

    /// Looks at the line that an action leads a task into, where that is needed to say its turn.
    async fn see_line(&mut self, id: TaskId, hand: Hand, hands: &mut Hands) -> Result<()> {
        let Some(kept) = hands.tasks.get(&id).filter(|kept| self.takes_turns(kept.lane)) else { return Ok(()) };
        let Ok(Ruling::Apply(decision)) = hand::decide(&kept.task, hand, self.now) else { return Ok(()) };
        if !self.must_see_ends(&Joining::of(kept), decision.to) {
            return Ok(());
        }
        let changed = std::mem::take(&mut hands.changed);
        let written: Vec<&Kept> = hands.tasks.values().filter(|it| changed.contains(&it.task.facts.id)).collect();
        self.write(&written, std::mem::take(&mut hands.ended), std::mem::take(&mut hands.freed)).await?;
        self.see_ends(&Joining::of(kept)).await
    }

    fn hand(&mut self, id: TaskId, hand: Hand, hands: &mut Hands) -> Result<Result<Task, HandError>> {
        let Some(kept) = hands.tasks.get_mut(&id) else { return Ok(Err(HandError::NotFound)) };
        if let Some(what) = kept.damage {
            return Err(Fault::damaged(format!("task {id}: {what}")));
        }
        match hand::decide(&kept.task, hand, self.now) {
            Err(error) => return Ok(Err(error)),
            Ok(Ruling::Nothing) => {}
            Ok(Ruling::Delete) => {
                let Some(kept) = hands.tasks.remove(&id) else { return Ok(Err(HandError::NotFound)) };
                self.gone(&kept);
                let task = kept.task.clone();
                hands.removed.push(kept);
                return Ok(Ok(task));
            }
            Ok(Ruling::Hide) => {
                let before = kept.task.counted();
                kept.task.hidden_at = Some(self.now);
                self.record(Way::hidden(&kept.task, before, kept.lane, kept.scope), id);
                hands.changed.insert(id);
            }
            Ok(Ruling::RequestCancel) => {
                kept.task.facts.cancel_requested = true;
                self.news.cancels = true;
                hands.changed.insert(id);
            }
            Ok(Ruling::Apply(decision)) => {
                if hand == Hand::Retry
                    && let Some(name) = name_of(&kept.task)
                {
                    if let Some(holder) = hands.held.names.get(&name).filter(|holder| holder.id != id) {
                        return Ok(Err(HandError::UniqueHeld { task: holder.id }));
                    }
                    let facts = &kept.task.facts;
                    let holder = tasklane_core::accept::Holder {
                        id,
                        state: facts.state,
                        attempt: facts.attempt,
                        fingerprint: None,
                    };
                    hands.held.names.insert(name.clone(), holder);
                    kept.has |= HAS_KEYS;
                    hands.given.push(Given { name, id, fingerprint: None, until: None });
                }
                if let Some(freed) = self.apply(kept, decision, &mut hands.ended) {
                    hands.given.retain(|it| it.id != id);
                    if freed.until.is_none() {
                        hands.held.names.retain(|_, holder| holder.id != id);
                    }
                    hands.freed.push(freed);
                }
                hands.changed.insert(id);
            }
        }
        Ok(Ok(hands.tasks.get(&id).map(|kept| kept.task.clone()).ok_or_else(|| Fault::damaged("a task vanished"))?))
    }
}

fn name_of(task: &Task) -> Option<Name> {
    let unique = task.facts.spec.unique.as_ref()?;
    Some((Kind::Unique, task.facts.scope.tenant.clone(), unique.key.clone()))
}
