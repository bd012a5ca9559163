//! From the caller's shape to core's: what is left out gets its default, names that repeat are shared.

use std::sync::Arc;

use bytes::Bytes;
use tasklane_core::accept::{Deadlines, Idempotency, Moment, NewTask as Accepting, Start, UniquePolicy, fingerprint};
use tasklane_core::gate::Limit;
use tasklane_core::schedule::template::Template;
use tasklane_core::task::{Lane, Scope, Spec, TaskId, Unique};

use super::new::NewTask;

/// The queue of a task that names none.
pub const DEFAULT_QUEUE: &str = "default";

/// The last lane and scope: tasks of a batch mostly share them, and sharing costs no allocation.
#[derive(Debug, Default)]
pub struct Lanes {
    lane: Option<Arc<Lane>>,
    scope: Option<Arc<Scope>>,
}

impl Lanes {
    fn lane(&mut self, queue: &str, task_type: &str) -> Arc<Lane> {
        match &self.lane {
            Some(last) if *last.queue == *queue && *last.task_type == *task_type => Arc::clone(last),
            _ => Arc::clone(self.lane.insert(Lane::new(queue, task_type))),
        }
    }

    fn scope(&mut self, tenant: Option<&str>) -> Arc<Scope> {
        let Some(tenant) = tenant else { return Scope::native() };
        match &self.scope {
            Some(last) if *last.tenant == *tenant => Arc::clone(last),
            _ => Arc::clone(self.scope.insert(Arc::new(Scope { origin: "".into(), tenant: tenant.into() }))),
        }
    }
}

impl NewTask<'_> {
    /// The task for core. `body` is what this was read from, and shares its memory with the payload; `draw` gives an id where
    /// the caller named none.
    ///
    /// # Panics
    /// The payload is not a part of `body`.
    pub fn into_core(self, body: &Bytes, lanes: &mut Lanes, draw: impl FnOnce() -> TaskId) -> Accepting {
        let named = self.id;
        let unique_policy = self.unique.as_ref().map_or(UniquePolicy::Return, |it| it.policy);
        let mut task = Accepting {
            id: named.unwrap_or_else(draw),
            lane: lanes.lane(self.queue.as_deref().unwrap_or(DEFAULT_QUEUE), &self.task_type),
            scope: lanes.scope(self.tenant.as_deref()),
            payload: self.payload_of(body),
            start: self.start.unwrap_or(Start::Now),
            priority: self.priority.unwrap_or(0),
            limits: Limit::share(self.limits.iter().map(|it| Limit { key: it.key.as_ref().into(), bounds: it.bounds })),
            deadlines: Deadlines { start: self.start_deadline, end: self.deadline },
            unique_policy,
            idempotency: None,
            spec: Spec::shared(),
        };
        let key = self.idempotency_key.as_deref().map(Box::from);
        task.spec = self.into_spec();
        if named.is_some() || key.is_some() {
            let fingerprint = fingerprint(&task);
            task.idempotency = key.map(|key| Idempotency { key, fingerprint });
            if named.is_some() {
                let spec = Spec { fingerprint: Some(fingerprint), ..(*task.spec).clone() };
                task.spec = Arc::new(spec);
            }
        }
        task
    }

    /// What each slot of a schedule makes. What belongs to one task alone (its id, its start, its idempotency key, deadlines
    /// at a moment) has no place there and is left out.
    pub fn into_template(self) -> Template {
        let after =
            |moment: Option<Moment>| moment.and_then(|it| if let Moment::After(it) = it { Some(it) } else { None });
        Template {
            queue: self.queue.as_deref().unwrap_or(DEFAULT_QUEUE).into(),
            task_type: self.task_type.as_ref().into(),
            tenant: self.tenant.as_deref().unwrap_or_default().into(),
            payload: if self.payload.is_empty() { "null" } else { self.payload }.into(),
            priority: self.priority.unwrap_or(0),
            limits: self.limits.iter().map(|it| Limit { key: it.key.as_ref().into(), bounds: it.bounds }).collect(),
            start_deadline: after(self.start_deadline),
            deadline: after(self.deadline),
            unique_policy: self.unique.as_ref().map_or(UniquePolicy::Return, |it| it.policy),
            spec: Arc::unwrap_or_clone(self.into_spec()),
        }
    }

    fn payload_of(&self, body: &Bytes) -> Bytes {
        if self.payload.is_empty() { Bytes::from_static(b"null") } else { body.slice_ref(self.payload.as_bytes()) }
    }

    fn into_spec(self) -> Arc<Spec> {
        let plain = self.max_attempts.is_none()
            && self.retry.is_none()
            && self.attempt_timeout.is_none()
            && self.heartbeat_timeout.is_none()
            && self.labels.is_empty()
            && self.unique.is_none()
            && self.callback.is_none();
        if plain {
            return Spec::shared();
        }
        let default = Spec::default();
        Spec::share(Spec {
            max_attempts: self.max_attempts.unwrap_or(default.max_attempts),
            retry: self.retry.unwrap_or(default.retry),
            attempt_timeout: self.attempt_timeout,
            heartbeat_timeout: self.heartbeat_timeout,
            labels: self.labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            unique: self.unique.map(|it| Unique { key: it.key.into(), held_for: it.held_for }),
            callback: self.callback,
            ..Spec::default()
        })
    }
}
