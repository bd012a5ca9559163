//! Beside the road: carries out bulks, as the executor of their system queue.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tasklane_core::accept::{Accepted, Deadlines, NewTask, Start, UniquePolicy};
use tasklane_core::audit::{Deed, Thing};
use tasklane_core::bulk::{Bulk, Mode, QUEUE, TYPE};
use tasklane_core::error::StoreError;
use tasklane_core::gate::Limit;
use tasklane_core::lease::{LaneFilter, Leased, TypeFilter};
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::{Context, Executor};
use tasklane_core::ports::store::{Batch, TaskPage};
use tasklane_core::record::SetRecord;
use tasklane_core::state::State;
use tasklane_core::task::{Lane, Progress, Scope, Spec, TaskId};

use crate::audit::Note;
use crate::calls::{SubmitError, Submitted};
use crate::handle::Engine;
use crate::inside::Inside;

/// Tasks of one commit: few enough that other callers hardly wait for it.
const STEP: usize = 200;
/// Ids that the result names.
const SAMPLE: usize = 20;

/// Carries out bulks.
pub struct Bulks {
    inside: Arc<Inside>,
}

/// What has been done so far; the result, and the data of the progress.
#[derive(Debug, Default, Clone, Serialize)]
struct Tally {
    /// Tasks the filter named and the action concerned.
    matched: u64,
    /// Tasks that were changed.
    changed: u64,
    /// Tasks that had moved on when their turn came.
    skipped: u64,
    /// The first of them.
    sample: Vec<TaskId>,
}

impl Engine {
    /// The executor of bulks; a runner must lease [`Bulks::lanes`] for it.
    pub fn bulks(&self) -> Bulks {
        Bulks { inside: self.inside() }
    }

    /// The task that carries out `bulk`, to be submitted.
    /// Has a bulk carried out by a task of the system's own.
    ///
    /// # Errors
    /// It was not accepted.
    pub async fn submit_bulk(&self, bulk: &Bulk, tenant: Option<&str>) -> Result<Submitted, SubmitError> {
        let task = self.bulk_task(bulk, tenant);
        let after = Some(Thing::Tasks(Box::new(bulk.clone())));
        let id = task.id;
        // Whoever's tasks it is about.
        let of = bulk.filter.tenant.as_deref().unwrap_or_default();
        let note = Note { deed: Deed::TasksChanged, what: &id.to_string(), tenant: of, before: None, after };
        let Some(note) = self.noted(note).filter(|_| bulk.mode == Mode::Apply) else {
            return self.submit_one(task).await;
        };
        let record = vec![SetRecord { then: vec![task.clone()], ..*note }];
        let answers = self.inside().commit(Batch { record, ..Batch::default() }).await?.answers;
        if answers.transitions.iter().all(|it| it.task != id) {
            // It was refused; this says why.
            return self.submit_one(task).await;
        }
        Ok(Submitted { accepted: Accepted { id, state: State::Queued, existing: false }, task: None })
    }

    fn bulk_task(&self, bulk: &Bulk, tenant: Option<&str>) -> NewTask {
        let payload = serde_json::to_vec(bulk).expect("words, texts and numbers are JSON");
        NewTask {
            id: self.draw_id(),
            lane: Lane::new(QUEUE, TYPE),
            scope: Scope::of(tenant),
            payload: Bytes::from(payload),
            start: Start::Now,
            priority: 0,
            limits: Limit::none(),
            spec: Spec::shared(),
            deadlines: Deadlines::default(),
            unique_policy: UniquePolicy::default(),
            idempotency: None,
        }
    }
}

impl Bulks {
    /// What a runner must lease.
    pub fn lanes() -> Vec<LaneFilter> {
        vec![LaneFilter { queue: Some(QUEUE.into()), types: TypeFilter::Only(vec![TYPE.into()]) }]
    }
}

impl Executor for Bulks {
    fn types(&self) -> Vec<Box<str>> {
        vec![TYPE.into()]
    }

    fn run(&self, task: Arc<Leased>, context: Arc<dyn Context>) -> BoxFuture<'static, Outcome> {
        let inside = Arc::clone(&self.inside);
        Box::pin(async move {
            let bulk = match serde_json::from_slice::<Bulk>(&task.payload) {
                Ok(bulk) => bulk,
                Err(error) => return Outcome::failed(FailureKind::Permanent, format!("no bulk: {error}")),
            };
            tokio::select! {
                biased;
                done = carry_out(&inside, &bulk, task.facts.id, &*context) => {
                    done.unwrap_or_else(|error| Outcome::failed(FailureKind::Error, error.to_string()))
                }
                () = context.cancelled() => Outcome::Cancelled,
            }
        })
    }
}

/// Page by page, from the newest task to the oldest. A second attempt begins anew: what the first one changed is not
/// concerned any more, or is as it was asked to be.
async fn carry_out(
    inside: &Arc<Inside>,
    bulk: &Bulk,
    own: TaskId,
    context: &dyn Context,
) -> Result<Outcome, StoreError> {
    let (mut tally, mut below, filter) = (Tally::default(), None, bulk.filter_before(own));
    loop {
        let mut page = inside.store.list(filter.clone(), below, STEP).await?;
        page.tasks.retain(|it| it.facts.id != own);
        below = page.next;
        step(inside, bulk, page, &mut tally).await?;
        context.progress(tally.progress());
        if below.is_none() {
            break;
        }
    }
    Ok(Outcome::Succeeded(Bytes::from(tally.json())))
}

async fn step(inside: &Arc<Inside>, bulk: &Bulk, page: TaskPage, tally: &mut Tally) -> Result<(), StoreError> {
    let concerned = page.tasks.iter().map(|it| &it.facts).filter(|it| bulk.action.concerns(it.state));
    let ids: Vec<TaskId> = concerned.map(|it| it.id).collect();
    tally.matched += ids.len() as u64;
    tally.sample.extend(ids.iter().take(SAMPLE - tally.sample.len().min(SAMPLE)));
    if bulk.mode == Mode::DryRun || ids.is_empty() {
        return Ok(());
    }
    let hand = ids.into_iter().map(|id| (id, bulk.action.hand())).collect();
    let answers = inside.commit(Batch { hand, ..Batch::default() }).await?.answers;
    let changed = answers.hand.iter().filter(|it| it.is_ok()).count() as u64;
    tally.changed += changed;
    tally.skipped += answers.hand.len() as u64 - changed;
    Ok(())
}

impl Tally {
    fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and ids are JSON")
    }

    fn progress(&self) -> Progress {
        let message = format!("{} matched, {} changed", self.matched, self.changed);
        Progress { percent: None, message: Some(message), data: Some(self.json().into()) }
    }
}
