//! The last station: takes reports. Core decides each outcome on the facts this server holds; the store writes where the
//! lease still holds.

use std::collections::HashMap;
use std::sync::Arc;

use tasklane_core::error::StoreError;
use tasklane_core::lease::{LeaseKey, mix};
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::store::{Answers, Batch};
use tasklane_core::settle::{self, Settled, Settlement};
use tasklane_core::task::{Facts, TaskId};
use tokio::time::Instant;

use crate::calls::{ReportCall, ReportReply};
use crate::commit::Handed;
use crate::inside::Inside;
use crate::notes::{self, Noted};
use crate::{lease, progress};

/// Takes a worker's report, and gives it work if it wants some.
pub(crate) async fn report(inside: &Arc<Inside>, call: ReportCall) -> Result<ReportReply, StoreError> {
    let ReportCall { worker, renew, progress, logs, checkpoints, outcomes, want } = call;
    let (mut lost, came) = (Lost::default(), Instant::now());
    let settle = settlements(inside, &worker, outcomes, &mut lost).await?;
    adopt(inside, &worker, &renew).await?;
    let progress = progress::sort(inside, progress);
    let logs = notes::by_attempt(logs);
    let mut batch = Batch { renew, progress, logs, checkpoints, settle, ..Batch::default() };
    let mut given = Vec::new();
    if let Some(wish) = &want {
        lease::note_worker(inside, &worker, wish);
        given = lease::given_before(inside, &worker, wish).await?;
        if given.is_empty() && wish.limit > 0 && !inside.is_draining() {
            batch.lease.push(lease::request(inside, &worker, wish));
        }
    }
    let asked = Asked::of(&batch);
    let arrivals = inside.parked.arrivals();
    let mut committed = inside.commit(batch).await?;
    asked.lost(&committed.answers, &mut lost);
    if inside.is_shared {
        asked.learn(inside, &committed.answers);
    }
    let refused = asked.notes.answered(inside, &committed.answers);
    let cancel = inside.cancels(&worker);
    let mut reply = ReportReply { cancel: cancel.ids, lost: lost.ids, tasks: given, refused };
    if let Some(wish) = &want {
        let handed = committed.handed.pop().unwrap_or_else(|| Handed::nothing(inside));
        reply.tasks.extend(handed.take());
        if reply.tasks.is_empty() && reply.lost.is_empty() && reply.refused.is_empty() && !cancel.is_news {
            reply.tasks = lease::park(inside, &worker, wish, arrivals, came + wish.wait).await?;
            reply.cancel = inside.cancels(&worker).ids;
        }
        lease::remember(inside, &worker, wish, &reply.tasks);
    }
    Ok(reply)
}

/// Ids whose lease is gone, each once, in the order they were reported.
#[derive(Default)]
struct Lost {
    ids: Vec<TaskId>,
}

impl Lost {
    fn add(&mut self, id: TaskId) {
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
    }
}

/// The keys of a batch, verb by verb, to be compared with its answers.
struct Asked {
    renew: Vec<LeaseKey>,
    progress: Vec<LeaseKey>,
    settle: Vec<LeaseKey>,
    notes: Noted,
}

impl Asked {
    fn of(batch: &Batch) -> Self {
        Self {
            renew: batch.renew.clone(),
            progress: batch.progress.iter().map(|(key, _)| *key).collect(),
            settle: batch.settle.iter().map(|it| it.key).collect(),
            notes: Noted::of(batch),
        }
    }

    /// What the answers say of leases that other servers may have ended.
    fn learn(&self, inside: &Inside, answers: &Answers) {
        let renewed = self.renew.iter().zip(&answers.renew);
        let (held, mut gone): (Vec<_>, Vec<_>) = renewed.partition(|(_, held)| **held);
        gone.extend(self.progress.iter().zip(&answers.progress).filter(|(_, held)| !**held));
        let keys = |of: Vec<(&LeaseKey, &bool)>| of.into_iter().map(|(key, _)| *key).collect::<Vec<_>>();
        inside.facts.renewed(&keys(held), Instant::now());
        let settled = self.settle.iter().zip(&answers.settle);
        let mut gone = keys(gone);
        gone.extend(settled.filter(|(_, settled)| **settled != Settled::Held).map(|(key, _)| *key));
        inside.facts.forget_leases(&gone);
    }

    /// Notes what was lost.
    fn lost(&self, answers: &Answers, lost: &mut Lost) {
        let held = self.renew.iter().zip(&answers.renew).chain(self.progress.iter().zip(&answers.progress));
        for (key, _) in held.filter(|(_, held)| !**held) {
            lost.add(key.id);
        }
        let settled = self.settle.iter().zip(&answers.settle);
        let repeated: Vec<_> = settled.filter(|(_, it)| **it == Settled::Repeated).map(|(key, _)| *key).collect();
        self.notes.lost(answers, &repeated).for_each(|id| lost.add(id));
        let settled = self.settle.iter().zip(&answers.settle);
        for (key, _) in settled.filter(|(_, settled)| **settled == Settled::Lost) {
            lost.add(key.id);
        }
    }
}

type Outcomes = Vec<(LeaseKey, Outcome)>;

/// Decides each outcome that `worker` reports on the facts held here, or loaded; one whose task is gone is lost.
async fn settlements(
    inside: &Arc<Inside>,
    worker: &str,
    outcomes: Outcomes,
    lost: &mut Lost,
) -> Result<Vec<Settlement>, StoreError> {
    let held = inside.facts.of(outcomes.iter().map(|(key, _)| *key));
    let missing = outcomes.iter().zip(&held).filter(|(_, facts)| facts.is_none()).map(|((key, _), _)| key.id).collect();
    let mut loaded = load(inside, missing).await?;
    let (seed, now) = (inside.ids.seed(), inside.store.now());
    let mut settlements = Vec::with_capacity(outcomes.len());
    for (index, ((key, outcome), facts)) in outcomes.into_iter().zip(held).enumerate() {
        let Some(facts) = facts.or_else(|| loaded.remove(&key.id)) else {
            lost.add(key.id);
            continue;
        };
        inside.metrics.ran(facts.started_at, now);
        let decision = settle::decide(&facts, outcome, worker, mix(seed, index as u64));
        settlements.push(Settlement { key, facts, decision, then: Vec::new() });
    }
    Ok(settlements)
}

/// Holds the facts of tasks whose leases an earlier start of the server granted: only so is their worker told when somebody
/// asks to cancel them, or already has.
async fn adopt(inside: &Arc<Inside>, worker: &Arc<str>, renew: &[LeaseKey]) -> Result<(), StoreError> {
    let unknown = inside.facts.unknown(renew);
    let mut loaded = load(inside, unknown.iter().map(|key| key.id).collect()).await?;
    for key in unknown {
        let held = |it: &Facts| it.attempt == key.attempt && it.lease.as_ref().is_some_and(|it| it.token == key.token);
        if let Some(facts) = loaded.remove(&key.id).filter(held) {
            inside.facts.adopt(worker, facts);
        }
    }
    Ok(())
}

async fn load(inside: &Inside, ids: Vec<TaskId>) -> Result<HashMap<TaskId, Facts>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let facts = inside.store.facts(ids).await?;
    Ok(facts.into_iter().flatten().map(|facts| (facts.id, facts)).collect())
}

/// Gives tasks back unspent, whoever waits for it.
pub(crate) async fn release(inside: &Arc<Inside>, keys: Vec<LeaseKey>) -> Result<(), StoreError> {
    let outcomes = keys.into_iter().map(|key| (key, Outcome::Released)).collect();
    let settle = settlements(inside, "", outcomes, &mut Lost::default()).await?;
    inside.commit(Batch { settle, ..Batch::default() }).await.map(drop)
}

/// As [`release`], on a task of its own; a failure costs the time of a lease.
pub(crate) fn release_later(inside: &Arc<Inside>, keys: Vec<LeaseKey>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let inside = Arc::clone(inside);
    runtime.spawn(async move {
        if let Err(error) = release(&inside, keys).await {
            tracing::warn!(%error, "tasks nobody took were not released; their leases will run out");
        }
    });
}
