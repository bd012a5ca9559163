//! The first station: what a caller asks to be accepted together, and what becomes of each of its tasks when keys are
//! already taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::Refusal;
use crate::gate::Limit;
use crate::limit;
use crate::queue::QueueState;
use crate::state::{Reason, State};
use crate::task::{Facts, Lane, Scope, Spec, Task, TaskId};
use crate::time::Timestamp;

/// When a new task may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At once.
    #[default]
    Now,
    /// After this long.
    After(Duration),
    /// At this moment; at once if it has passed.
    At(Timestamp),
}

impl Start {
    /// The moment before which the task must not start; `None` if it may start at `now`.
    pub fn resolve(self, now: Timestamp) -> Option<Timestamp> {
        let at = match self {
            Self::Now => return None,
            Self::After(delay) => now.plus(delay),
            Self::At(at) => at,
        };
        (at > now).then_some(at)
    }
}

/// A moment given as itself or as a distance from acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This long after acceptance.
    After(Duration),
    /// Then.
    At(Timestamp),
}

impl Moment {
    /// The moment, for a task accepted at `now`.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::After(after) => now.plus(after),
            Self::At(at) => at,
        }
    }
}

/// What a submit does when another unfinished task holds its unique key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UniquePolicy {
    /// Answers with the holder.
    #[default]
    Return,
    /// Is refused.
    Reject,
    /// Gives the holder its payload and time if it never started, else answers with it.
    Replace,
}

/// A caller's key that makes a repeated submit harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key of the caller.
    pub key: Box<str>,
    /// [`fingerprint`] of the request.
    pub fingerprint: u64,
}

/// A task to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Its id: drawn by the server, or the caller's own (then `spec.fingerprint` is set).
    pub id: TaskId,
    /// Queue and type.
    pub lane: Arc<Lane>,
    /// Origin and tenant.
    pub scope: Arc<Scope>,
    /// The input, JSON.
    pub payload: Bytes,
    /// When it may start.
    pub start: Start,
    /// Higher runs first.
    pub priority: i32,
    /// The keys of gates it passes and what these are to let through, in the order of keys ([`Limit::share`]).
    pub limits: Arc<[Limit]>,
    /// Everything else; deadlines in it are moments already, those relative to acceptance stand in `deadlines`.
    pub spec: Arc<Spec>,
    /// Deadlines relative to acceptance, resolved by [`NewTask::into_task`].
    pub deadlines: Deadlines,
    /// What happens when the unique key of `spec` is held.
    pub unique_policy: UniquePolicy,
    /// The idempotency key, if the caller named one.
    pub idempotency: Option<Idempotency>,
}

/// Deadlines as the caller gave them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deadlines {
    /// For the first start.
    pub start: Option<Moment>,
    /// For the end.
    pub end: Option<Moment>,
}

impl NewTask {
    /// Whether anything about it has to be looked up before it can be accepted.
    pub fn has_keys(&self) -> bool {
        self.idempotency.is_some() || self.spec.fingerprint.is_some() || self.spec.unique.is_some()
    }

    /// The task that this becomes when it is accepted at `now`.
    pub fn into_task(self, now: Timestamp) -> Task {
        let run_at = self.start.resolve(now);
        let spec = self.deadlines.resolve(self.spec, now);
        let state = if run_at.is_some() { State::Scheduled } else { State::Queued };
        Task {
            facts: Facts {
                id: self.id,
                lane: self.lane,
                scope: self.scope,
                spec,
                gates: Limit::keys(&self.limits),
                state,
                attempt: 0,
                spent: 0,
                crashes: 0,
                cancel_requested: false,
                run_at,
                started_at: None,
                lease: None,
            },
            reason: Reason::Accepted,
            priority: self.priority,
            rank: now,
            turn: None,
            payload: self.payload,
            result: None,
            failure: None,
            progress: None,
            worker: None,
            created_at: now,
            queued_at: run_at.is_none().then_some(now),
            finished_at: None,
            quarantined: false,
            hidden_at: None,
        }
    }
}

impl Deadlines {
    fn resolve(self, spec: Arc<Spec>, now: Timestamp) -> Arc<Spec> {
        if self == Self::default() {
            return spec;
        }
        let mut spec = Arc::unwrap_or_clone(spec);
        spec.start_deadline = self.start.map(|it| it.resolve(now));
        spec.deadline = self.end.map(|it| it.resolve(now));
        Arc::new(spec)
    }
}

/// What one caller asks to be accepted together: all of it or none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Submission {
    /// At most [`limit::SUBMISSION_TASKS`].
    pub tasks: Vec<NewTask>,
}

/// One task of an accepted submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The new task, or the one that was there.
    pub id: TaskId,
    /// Where it stands.
    pub state: State,
    /// Whether a key led to a task that was there already.
    pub existing: bool,
}

/// A refused submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The place of the task that caused it.
    pub index: usize,
    /// Why.
    pub refusal: Refusal,
}

/// A task that a key of a new one led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The task.
    pub id: TaskId,
    /// Where it stands.
    pub state: State,
    /// How many attempts it had.
    pub attempt: u32,
    /// The fingerprint kept with the key or the task.
    pub fingerprint: Option<u64>,
}

impl Holder {
    /// A task that is there, led to by its own id.
    pub fn of(facts: &Facts) -> Self {
        Self { id: facts.id, state: facts.state, attempt: facts.attempt, fingerprint: facts.spec.fingerprint }
    }
}

/// What was found under the keys of a new task.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Under its idempotency key, not older than [`limit::IDEMPOTENCY_KEPT`].
    pub idempotency: Option<Holder>,
    /// Under its id.
    pub id: Option<Holder>,
    /// Under its unique key, still held.
    pub unique: Option<Holder>,
    /// The state of its queue.
    pub queue: Option<QueueState>,
}

/// What becomes of a new task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is accepted.
    Insert,
    /// Another is the answer.
    Existing(Accepted),
    /// The holder of its unique key takes its payload and time.
    Replace(TaskId),
}

/// Decides a new task, given what its keys led to: idempotency first, then id, then unique, then the queue.
///
/// # Errors
/// Why the whole submission is refused.
pub fn decide(task: &NewTask, found: &Found) -> Result<Admission, Refusal> {
    if let (Some(wanted), Some(holder)) = (&task.idempotency, &found.idempotency) {
        return if holder.fingerprint == Some(wanted.fingerprint) {
            Ok(existing(holder))
        } else {
            Err(Refusal::IdempotencyMismatch { task: holder.id })
        };
    }
    if let Some(holder) = &found.id {
        let same = holder.fingerprint.is_some() && holder.fingerprint == task.spec.fingerprint;
        return if same { Ok(existing(holder)) } else { Err(Refusal::IdTaken { task: holder.id }) };
    }
    if let (Some(_), Some(holder)) = (&task.spec.unique, &found.unique) {
        let never_started = holder.attempt == 0 && !holder.state.is_final();
        return match task.unique_policy {
            UniquePolicy::Reject => Err(Refusal::UniqueHeld { task: holder.id }),
            UniquePolicy::Replace if never_started => Ok(Admission::Replace(holder.id)),
            UniquePolicy::Return | UniquePolicy::Replace => Ok(existing(holder)),
        };
    }
    if found.queue == Some(QueueState::Draining) {
        return Err(Refusal::QueueDraining { queue: task.lane.queue.to_string() });
    }
    Ok(Admission::Insert)
}

fn existing(holder: &Holder) -> Admission {
    Admission::Existing(Accepted { id: holder.id, state: holder.state, existing: true })
}

/// Gives `task`, which never started, the payload and time of `newer`: the policy `replace`. The gates it passes stay.
pub fn replace(task: &mut Task, newer: NewTask, now: Timestamp) {
    let newer = newer.into_task(now);
    task.payload = newer.payload;
    task.facts.run_at = newer.facts.run_at;
    task.facts.state = newer.facts.state;
    task.reason = Reason::Replaced;
    task.rank = newer.rank;
    task.turn = None;
    task.queued_at = newer.queued_at;
}

/// A number that is equal for equal requests (xxh3-64 over every member a caller can set). It tells a repeated request
/// from a different one under the same key; it is no proof against an attacker, who would attack only himself.
pub fn fingerprint(task: &NewTask) -> u64 {
    let mut hash = Xxh3::new();
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(task.lane.queue.as_bytes());
    part(task.lane.task_type.as_bytes());
    part(task.scope.tenant.as_bytes());
    part(&task.payload);
    part(format!("{:?}|{:?}|{}|{:?}", task.start, task.deadlines, task.priority, task.unique_policy).as_bytes());
    if !task.limits.is_empty() {
        part(format!("{:?}", task.limits).as_bytes());
    }
    if !task.spec.is_shared() {
        let spec = Spec { fingerprint: None, traceparent: None, ..(*task.spec).clone() };
        part(format!("{spec:?}").as_bytes());
        // Its text is told to nobody who asks for it by accident.
        if let Some(secret) = spec.callback.as_ref().and_then(|it| it.secret.as_ref()) {
            part(secret.reveal().as_bytes());
        }
    }
    hash.digest()
}

/// Whether a submission is within [`limit::SUBMISSION_TASKS`].
pub fn fits(tasks: usize) -> bool {
    tasks <= limit::SUBMISSION_TASKS
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::gate::Bounds;

    /// A task that was just accepted and may start.
    pub(crate) fn queued() -> Task {
        new(Limit::none()).into_task(Timestamp::EPOCH)
    }

    fn new(limits: Arc<[Limit]>) -> NewTask {
        NewTask {
            id: TaskId::from_bytes([0; 16]),
            lane: Lane::new("q", "t"),
            scope: Scope::native(),
            payload: Bytes::new(),
            start: Start::Now,
            priority: 0,
            limits,
            spec: Spec::shared(),
            deadlines: Deadlines::default(),
            unique_policy: UniquePolicy::default(),
            idempotency: None,
        }
    }

    #[test]
    fn limits_belong_to_what_was_asked_for_and_none_change_no_number() {
        let limit = |most| {
            let bounds = Bounds { max_running: Some(most), rate: None };
            Limit::share([Limit { key: "k".into(), bounds }])
        };
        let [none, one, two] = [Limit::none(), limit(1), limit(2)].map(|it| fingerprint(&new(it)));
        assert_eq!(none, 14_712_653_051_349_902_074, "kept with keys since the first version");
        assert!(none != one && one != two);
    }

    #[test]
    fn what_no_callback_was_asked_for_has_the_number_it_had_before_there_were_callbacks() {
        let labels = BTreeMap::from([("a".into(), "b".into())]);
        let labelled = NewTask { spec: Spec::share(Spec { labels, ..Spec::default() }), ..new(Limit::none()) };
        assert_eq!(fingerprint(&labelled), 15_204_373_410_214_202_396, "as the version before made it");
    }

    #[test]
    fn a_task_keeps_the_keys_of_its_gates_and_one_that_replaces_it_brings_none() {
        let limits = ["b", "a"].map(|key| Limit { key: key.into(), bounds: Bounds::default() });
        let mut task = new(Limit::share(limits)).into_task(Timestamp::EPOCH);
        replace(&mut task, new(Limit::none()), Timestamp::EPOCH);
        assert_eq!(*task.facts.gates, ["a".into(), "b".into()]);
    }

    #[test]
    fn a_holder_by_its_id_tells_how_far_it_is_and_what_was_asked_for() {
        let mut task = queued();
        task.facts.spec = Spec::share(Spec { fingerprint: Some(9), ..Spec::default() });
        (task.facts.state, task.facts.attempt) = (State::Running, 2);
        let expected = Holder { id: task.facts.id, state: State::Running, attempt: 2, fingerprint: Some(9) };
        assert_eq!(Holder::of(&task.facts), expected);
    }
}
