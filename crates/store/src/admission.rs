//! What becomes of a whole submission: all of it or none. Both stores ask here, so that tasks of one submission see each
//! other's keys in the same way everywhere.

use std::collections::HashMap;
use std::sync::Arc;

use tasklane_core::accept::{self, Accepted, Admission, Found, Holder, NewTask, Refused};
use tasklane_core::error::Refusal;
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::queue::QueueState;
use tasklane_core::task::{Lane, TaskId};
use tasklane_core::time::Timestamp;

/// What a store knows when a submission arrives.
pub(crate) trait Known {
    /// Why it could not be asked.
    type Error;
    /// Who used this idempotency key of the tenant within its time.
    fn idempotency(&mut self, tenant: &str, key: &str) -> Result<Option<Holder>, Self::Error>;
    /// The task with this id.
    fn id(&mut self, id: TaskId) -> Result<Option<Holder>, Self::Error>;
    /// Who holds this unique key of the tenant.
    fn unique(&mut self, tenant: &str, key: &str) -> Result<Option<Holder>, Self::Error>;
    /// The state of the lane's queue, if it exists, and whether the lane does.
    fn lane(&mut self, lane: &Arc<Lane>) -> (Option<QueueState>, bool);
    /// How many lanes there are.
    fn lanes(&self) -> usize;
    /// Whether a task would make one strand more than [`limit::STRANDS`].
    fn is_strand_too_many(&mut self, task: &NewTask) -> bool;
}

/// Keys claimed by earlier tasks of the same submission.
#[derive(Default)]
struct Claimed<'a> {
    ids: HashMap<TaskId, Holder>,
    idempotency: HashMap<(&'a str, &'a str), Holder>,
    unique: HashMap<(&'a str, &'a str), Holder>,
    lanes: Vec<Arc<Lane>>,
}

/// Decides every task of a submission before anything of it is written.
pub(crate) fn admit<K: Known>(
    tasks: &[NewTask],
    now: Timestamp,
    known: &mut K,
) -> Result<Result<Vec<Admission>, Refused>, K::Error> {
    let mut claimed = Claimed::default();
    let alone = tasks.len() == 1;
    let mut admissions = Vec::with_capacity(tasks.len());
    for (index, task) in tasks.iter().enumerate() {
        let (queue, has_lane) = known.lane(&task.lane);
        let found = Found { queue, ..find(task, known, &claimed)? };
        let admission = match accept::decide(task, &found) {
            Ok(admission) => admission,
            Err(refusal) => return Ok(Err(Refused { index, refusal })),
        };
        if admission == Admission::Insert && !has_lane && !claimed.lanes.contains(&task.lane) {
            if known.lanes() + claimed.lanes.len() >= limit::LANES {
                return Ok(Err(Refused { index, refusal: Refusal::TooManyLanes { limit: limit::LANES } }));
            }
            claimed.lanes.push(Arc::clone(&task.lane));
        }
        if admission == Admission::Insert && !task.limits.is_empty() && known.is_strand_too_many(task) {
            return Ok(Err(Refused { index, refusal: Refusal::TooManyGates { limit: limit::STRANDS } }));
        }
        if !alone {
            claim(&mut claimed, task, admission, now);
        }
        admissions.push(admission);
    }
    Ok(Ok(admissions))
}

fn find<'a, K: Known>(task: &'a NewTask, known: &mut K, claimed: &Claimed<'a>) -> Result<Found, K::Error> {
    let mut found = Found::default();
    let tenant: &str = &task.scope.tenant;
    found.id = match claimed.ids.get(&task.id) {
        Some(holder) => Some(*holder),
        None => known.id(task.id)?,
    };
    if let Some(wanted) = &task.idempotency {
        found.idempotency = match claimed.idempotency.get(&(tenant, &*wanted.key)) {
            Some(holder) => Some(*holder),
            None => known.idempotency(tenant, &wanted.key)?,
        };
    }
    if let Some(wanted) = &task.spec.unique {
        found.unique = match claimed.unique.get(&(tenant, &*wanted.key)) {
            Some(holder) => Some(*holder),
            None => known.unique(tenant, &wanted.key)?,
        };
    }
    Ok(found)
}

fn claim<'a>(claimed: &mut Claimed<'a>, task: &'a NewTask, admission: Admission, now: Timestamp) {
    let started = task.start.resolve(now).is_some();
    let state = if started { tasklane_core::state::State::Scheduled } else { tasklane_core::state::State::Queued };
    let (id, state) = match admission {
        Admission::Insert => (task.id, state),
        Admission::Existing(Accepted { id, state, .. }) => (id, state),
        Admission::Replace(id) => (id, state),
    };
    let tenant: &str = &task.scope.tenant;
    let holder = |fingerprint| Holder { id, state, attempt: 0, fingerprint };
    if admission == Admission::Insert {
        claimed.ids.insert(id, holder(task.spec.fingerprint));
        if let Some(unique) = &task.spec.unique {
            claimed.unique.insert((tenant, &unique.key), holder(None));
        }
    }
    if let Some(wanted) = &task.idempotency {
        claimed.idempotency.entry((tenant, &wanted.key)).or_insert_with(|| holder(Some(wanted.fingerprint)));
    }
}

/// Answers every submission of a batch with a full disk.
pub(crate) fn refuse_all(batch: &mut Batch) -> Vec<Result<Vec<Accepted>, Refused>> {
    let refused = |_| Err(Refused { index: 0, refusal: Refusal::DiskFull });
    std::mem::take(&mut batch.accept).into_iter().map(refused).collect()
}
