//! What a batch asked for, kept to be held against its answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tasklane_core::decision::Next;
use tasklane_core::gate::Limit;
use tasklane_core::hand::Hand;
use tasklane_core::lease::LeaseKey;
use tasklane_core::ports::store::{Answers, Batch};
use tasklane_core::state::State;
use tasklane_core::task::{Spec, TaskId};

/// What was submitted: its number, and what the ledger holds it against.
type Submitted = (u64, Arc<Spec>, Arc<[Limit]>);

/// What a batch asked for.
pub struct Seen {
    pub(super) renew: Vec<LeaseKey>,
    pub(super) progress: Vec<LeaseKey>,
    pub(super) grace: Vec<LeaseKey>,
    pub(super) logs: Vec<LeaseKey>,
    pub(super) checkpoints: Vec<LeaseKey>,
    pub(super) settle: Vec<(LeaseKey, Next, Option<Bytes>)>,
    pub(super) hand: Vec<(TaskId, Hand)>,
    pub(super) accept: BTreeMap<TaskId, Submitted>,
    pub(super) lease: Vec<Arc<str>>,
}

impl Seen {
    /// Notes what this batch asks for.
    pub fn of(batch: &Batch) -> Self {
        let settle = batch.settle.iter().map(|it| (it.key, it.decision.to, it.decision.result.clone()));
        let new = batch.accept.iter().flat_map(|it| &it.tasks);
        Self {
            renew: batch.renew.clone(),
            progress: batch.progress.iter().map(|it| it.0).collect(),
            grace: batch.grace.clone(),
            logs: batch.logs.iter().map(|it| it.0).collect(),
            checkpoints: batch.checkpoints.iter().map(|it| it.0).collect(),
            settle: settle.collect(),
            hand: batch.hand.clone(),
            accept: new
                .map(|it| (it.id, (number(&it.payload), Arc::clone(&it.spec), Arc::clone(&it.limits))))
                .collect(),
            lease: batch.lease.iter().map(|it| Arc::clone(&it.worker)).collect(),
        }
    }

    /// Whether the commit cannot have changed anything.
    pub fn is_idle(&self, answers: &Answers) -> bool {
        let Self { renew, progress, grace, logs, checkpoints, settle, hand, accept, lease: _ } = self;
        let keys = renew.len() + progress.len() + grace.len() + logs.len() + checkpoints.len();
        keys + settle.len() + hand.len() + accept.len() + answers.transitions.len() + answers.sweep == 0
    }

    /// Whether somebody asked to cancel a task that runs.
    pub fn cancels(&self, answers: &Answers) -> bool {
        let running = answers.hand.iter().flatten().filter(|it| it.facts.state == State::Running);
        running.into_iter().any(|it| it.facts.cancel_requested)
    }
}

/// The number that a submitter put into the payload.
pub(super) fn number(payload: &Bytes) -> u64 {
    let text = std::str::from_utf8(payload).ok();
    text.and_then(|it| it.parse().ok()).unwrap_or(u64::MAX)
}
