//! A task as it is kept and read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lease::Lease;
use crate::outcome::Failure;
use crate::queue::Counted;
use crate::retry::Retry;
use crate::schedule::Slot;
use crate::state::{Reason, State};
use crate::time::{Timestamp, earliest};
use crate::webhook::outbox::Callback;

/// The name of one task: a UUIDv7.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub Uuid);

impl TaskId {
    /// The 16 bytes kept on disk; their order is the order of ids.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One (queue, type) pair: what a worker leases from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// The queue's name.
    pub queue: Box<str>,
    /// The type: which code handles the task.
    pub task_type: Box<str>,
}

impl Lane {
    /// The lane of this queue and type.
    pub fn new(queue: &str, task_type: &str) -> Arc<Self> {
        Arc::new(Self { queue: queue.into(), task_type: task_type.into() })
    }
}

/// Whose a task is: the interface that accepted it and the tenant it is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Scope {
    /// `""` for `/v1`, else the name of the dialect.
    pub origin: Box<str>,
    /// `""` where none was named.
    pub tenant: Box<str>,
}

impl Scope {
    /// The scope of a task that came by `/v1` and names no tenant; shared, as most tasks have it.
    pub fn native() -> Arc<Self> {
        static NATIVE: LazyLock<Arc<Scope>> = LazyLock::new(Arc::default);
        Arc::clone(&NATIVE)
    }

    /// The scope of a task that came by `/v1` for this tenant.
    pub fn of(tenant: Option<&str>) -> Arc<Self> {
        tenant.map_or_else(Self::native, |tenant| Arc::new(Self { origin: "".into(), tenant: tenant.into() }))
    }
}

/// A key that at most one unfinished task of a tenant holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// The key.
    pub key: Box<str>,
    /// Held at least this long after acceptance, even if the task ends sooner.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub held_for: Option<Duration>,
}

impl Unique {
    /// Until when a task that was accepted at `created_at` and becomes final at `now` keeps it; `None`: it lets it go.
    pub fn held_until(&self, created_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        self.held_for.map(|held_for| created_at.plus(held_for)).filter(|until| *until > now)
    }
}

/// What a submitter may say about a task beyond its lane, payload, time and priority. Most tasks have the default one,
/// which is shared and stored as nothing.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// How many attempts may be charged; counts the first.
    pub max_attempts: u32,
    /// How long to wait between attempts.
    pub retry: Retry,
    /// Longest time of one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_timeout: Option<Duration>,
    /// Longest silence of the handler, apart from renewals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_timeout: Option<Duration>,
    /// Not started by then: expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_deadline: Option<Timestamp>,
    /// Not finished by then: failed with kind timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Free words to find it by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// The unique key it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    /// The task whose input this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<TaskId>,
    /// The slot of a schedule that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Whom it tells of itself; of a delivery to such a one: whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<Arc<Callback>>,
    /// W3C trace context of the submitter, handed to the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Box<str>>,
    /// [`crate::accept::fingerprint`] of the request, kept where the caller named the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<u64>,
}

/// How many attempts a task has unless it says otherwise.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;

impl Default for Spec {
    fn default() -> Self {
        Self {
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            retry: Retry::default(),
            attempt_timeout: None,
            heartbeat_timeout: None,
            start_deadline: None,
            deadline: None,
            labels: BTreeMap::new(),
            unique: None,
            rerun_of: None,
            slot: None,
            callback: None,
            traceparent: None,
            fingerprint: None,
        }
    }
}

/// As it would be derived, but a callback is named only where there is one: [`crate::accept::fingerprint`] is made of this
/// text, and must be the same for what was asked for before there were callbacks.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max_attempts, retry, attempt_timeout, heartbeat_timeout, start_deadline, deadline, .. } = self;
        let Self { labels, unique, rerun_of, slot, callback, traceparent, fingerprint, .. } = self;
        let mut told = f.debug_struct("Spec");
        told.field("max_attempts", max_attempts).field("retry", retry);
        told.field("attempt_timeout", attempt_timeout).field("heartbeat_timeout", heartbeat_timeout);
        told.field("start_deadline", start_deadline).field("deadline", deadline);
        told.field("labels", labels).field("unique", unique).field("rerun_of", rerun_of).field("slot", slot);
        if callback.is_some() {
            told.field("callback", callback);
        }
        told.field("traceparent", traceparent).field("fingerprint", fingerprint).finish()
    }
}

impl Spec {
    /// The default one, shared.
    pub fn shared() -> Arc<Self> {
        static DEFAULT: LazyLock<Arc<Spec>> = LazyLock::new(Arc::default);
        Arc::clone(&DEFAULT)
    }

    /// `spec`, or the shared default where it is equal to it, so that it costs nothing to keep.
    pub fn share(spec: Self) -> Arc<Self> {
        let default = Self::shared();
        if spec == *default { default } else { Arc::new(spec) }
    }

    /// Whether this is the shared default.
    pub fn is_shared(self: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, &Self::shared())
    }
}

/// How far a running task says it is. The last word wins.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// A line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// JSON for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<str>>,
}

/// What decisions about a kept task depend on. The server that leased a task holds these until it is settled, so that a
/// report can be decided without reading the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Which task.
    pub id: TaskId,
    /// Its queue and type.
    pub lane: Arc<Lane>,
    /// Whose it is.
    pub scope: Arc<Scope>,
    /// What was asked for.
    pub spec: Arc<Spec>,
    /// The keys of gates that it named, in their order; what the gates let through stands with the gates. Shared where
    /// there are none ([`crate::gate::no_keys`]).
    pub gates: Arc<[Box<str>]>,
    /// Where it stands.
    pub state: State,
    /// The number of its last attempt; 0 before the first.
    pub attempt: u32,
    /// How many attempts were charged.
    pub spent: u32,
    /// How many attempts in a row, up to the last, were ended by a dying worker.
    pub crashes: u32,
    /// Somebody asked to cancel it.
    pub cancel_requested: bool,
    /// When it leaves `scheduled`, `retrying` or `waiting`.
    pub run_at: Option<Timestamp>,
    /// When the last attempt started.
    pub started_at: Option<Timestamp>,
    /// The lease, while it runs.
    pub lease: Option<Lease>,
}

impl Facts {
    /// The next moment at which something happens to the task by itself, or `None`.
    pub fn due_at(&self) -> Option<Timestamp> {
        let spec = &self.spec;
        let start_deadline = spec.start_deadline.filter(|_| self.attempt == 0);
        match self.state {
            State::Scheduled => earliest([self.run_at, start_deadline, spec.deadline]),
            State::Retrying | State::Waiting => earliest([self.run_at, spec.deadline]),
            State::Blocked | State::Queued => earliest([start_deadline, spec.deadline]),
            State::Running => {
                let lease = self.lease.as_ref();
                let timeout = spec.attempt_timeout.and_then(|after| Some(self.started_at?.plus(after)));
                let silence = spec.heartbeat_timeout.and_then(|after| Some(lease?.heard_at.plus(after)));
                earliest([
                    lease.map(|it| it.until),
                    lease.and_then(|it| it.grace_until),
                    timeout,
                    silence,
                    spec.deadline,
                ])
            }
            State::Succeeded | State::Failed | State::Cancelled | State::Expired => None,
        }
    }
}

/// A task as it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What decisions depend on.
    pub facts: Facts,
    /// Why it is in its state.
    pub reason: Reason,
    /// Higher runs first.
    pub priority: i32,
    /// Its age among equals of priority: the time it became queued, kept when a lease is lost. Its place in its lane, too,
    /// unless it has a turn.
    pub rank: Timestamp,
    /// Its turn, while it is queued in a lane that tenants share ([`crate::fair`]): there its place among equals of priority;
    /// rank then counts between lanes.
    pub turn: Option<i64>,
    /// The input, JSON.
    pub payload: Bytes,
    /// The result, JSON; only of a succeeded task.
    pub result: Option<Bytes>,
    /// The last failure; of a retrying or failed task.
    pub failure: Option<Failure>,
    /// The last progress of the last attempt.
    pub progress: Option<Progress>,
    /// Who ran the last attempt.
    pub worker: Option<Box<str>>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last became queued.
    pub queued_at: Option<Timestamp>,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// Set by the crash-loop guard.
    pub quarantined: bool,
    /// When a caller of the dialect that accepted it deleted it. From then on it is found by lists that ask for such
    /// tasks and by nothing else, until the sweep takes it.
    pub hidden_at: Option<Timestamp>,
}

impl Task {
    /// Bytes of what its submitter and its handler put into it.
    pub fn bytes(&self) -> usize {
        let of_failure = |it: &Failure| {
            it.message.len() + it.stack.as_ref().map_or(0, String::len) + it.details.as_ref().map_or(0, |it| it.len())
        };
        self.payload.len() + self.result.as_ref().map_or(0, Bytes::len) + self.failure.as_ref().map_or(0, of_failure)
    }

    /// How long it has been queued at `now`.
    pub fn waited(&self, now: Timestamp) -> Duration {
        self.queued_at.map(|at| now.since(at)).unwrap_or_default()
    }

    /// What it is counted as.
    pub fn counted(&self) -> Counted {
        match self.hidden_at {
            None => Counted::In(self.facts.state),
            Some(_) => Counted::Deleted(self.facts.state),
        }
    }
}

/// An attempt that ended, as the history keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Who ran it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<Box<str>>,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why the task left `running`; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Whether it was charged.
    pub charged: bool,
    /// How it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// A result that did not become the task's, because it was cancelled meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::queued;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_final_task_keeps_its_unique_key_to_the_end_of_its_time_and_no_longer() {
        let unique = |held_for: Option<u64>| Unique { key: "k".into(), held_for: held_for.map(Duration::from_secs) };
        assert_eq!(unique(None).held_until(at(5), at(6)), None);
        assert_eq!(unique(Some(10)).held_until(at(5), at(14)), Some(at(15)));
        assert_eq!(unique(Some(10)).held_until(at(5), at(15)), None);
    }

    #[test]
    fn it_has_waited_since_it_became_queued() {
        let mut task = queued();
        task.queued_at = Some(at(5));
        assert_eq!(task.waited(at(7)), Duration::from_secs(2));
        task.queued_at = None;
        assert_eq!(task.waited(at(7)), Duration::ZERO);
    }
}
