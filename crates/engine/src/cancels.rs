//! Beside the road: cancellations asked for at another server, and those of attempts that another server leased to a worker
//! that waits here now.

use std::collections::HashSet;
use std::sync::Arc;

use tasklane_core::error::StoreError;
use tasklane_core::ports::store::CancelAsked;
use tasklane_core::state::State;
use tasklane_core::task::Facts;

use crate::hints::quiet;
use crate::inside::Inside;

/// Tasks that are asked for at once.
const AT_ONCE: usize = 1000;

/// Tells the workers held here, and those that wait here though another server leased to them, what somebody asked another
/// server to cancel.
pub(crate) async fn look_for_cancels(inside: Arc<Inside>) {
    if inside.facts.len() == 0 && inside.parked.len() == 0 {
        return;
    }
    let told = match inside.store.cancels().await {
        Ok(cancels) => tell_all(&inside, cancels).await,
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        quiet(&error);
    }
}

async fn tell_all(inside: &Arc<Inside>, cancels: Vec<CancelAsked>) -> Result<(), StoreError> {
    let held = |it: &CancelAsked| inside.facts.holds_attempt(it.id, it.attempt);
    let (here, mut elsewhere): (Vec<_>, Vec<_>) = cancels.into_iter().partition(held);
    here.iter().for_each(|it| inside.tell(it.id, it.attempt));
    if elsewhere.is_empty() {
        return Ok(());
    }
    let workers: HashSet<&str> = elsewhere.iter().map(|it| &*it.worker).collect();
    let present: HashSet<Box<str>> = inside.parked.present(&workers).into_iter().map(Box::from).collect();
    elsewhere.retain(|it| present.contains(&it.worker));
    for asked in elsewhere.chunks(AT_ONCE) {
        let facts = inside.store.facts(asked.iter().map(|it| it.id).collect()).await?;
        for (asked, facts) in asked.iter().zip(facts) {
            facts.into_iter().for_each(|it| inside.tell_stranger(&asked.worker, it));
        }
    }
    Ok(())
}

impl Inside {
    /// Tells the worker of a task that is to be cancelled, if it waits here, though another server leased it the task.
    pub fn tell_stranger(self: &Arc<Self>, worker: &str, facts: Facts) {
        let is_asked = facts.state == State::Running && facts.cancel_requested;
        if is_asked && self.parked.has(worker) {
            let (id, attempt) = (facts.id, facts.attempt);
            self.facts.adopt(&worker.into(), facts);
            self.tell(id, attempt);
        }
    }
}
