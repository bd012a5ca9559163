//! The first station.

use std::convert::Infallible;
use std::sync::Arc;

use tasklane_core::accept::{self, Accepted, Admission, Holder, NewTask, Refused, Submission};
use tasklane_core::decision::Next;
use tasklane_core::limit;
use tasklane_core::queue::QueueState;
use tasklane_core::state::State;
use tasklane_core::task::{Lane, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::outbox::Moved;

use super::{Kept, KeyHolder, Model, Tx, unique_key};
use crate::admission::{Known, admit};

struct Keys<'a>(&'a Model, Timestamp);

impl Keys<'_> {
    fn holder(&self, key: &KeyHolder) -> Option<Holder> {
        let held = key.until.is_none_or(|until| until > self.1);
        let (state, attempt) = match (self.0.tasks.get(&key.id), key.gone) {
            (Some(kept), _) => (kept.task.facts.state, kept.task.facts.attempt),
            (None, gone) => (gone?, 0),
        };
        held.then_some(Holder { id: key.id, state, attempt, fingerprint: key.fingerprint })
    }
}

impl Known for Keys<'_> {
    type Error = Infallible;

    fn idempotency(&mut self, tenant: &str, key: &str) -> Result<Option<Holder>, Infallible> {
        Ok(self.0.idempotency.get(&(tenant.into(), key.into())).and_then(|key| self.holder(key)))
    }

    fn id(&mut self, id: TaskId) -> Result<Option<Holder>, Infallible> {
        Ok(self.0.tasks.get(&id).map(|kept| Holder::of(&kept.task.facts)))
    }

    fn unique(&mut self, tenant: &str, key: &str) -> Result<Option<Holder>, Infallible> {
        Ok(self.0.unique.get(&(tenant.into(), key.into())).and_then(|key| self.holder(key)))
    }

    fn lane(&mut self, lane: &Arc<Lane>) -> (Option<QueueState>, bool) {
        (self.0.queues.get(&lane.queue).copied(), self.0.lanes.contains(lane))
    }

    fn lanes(&self) -> usize {
        self.0.lanes.len()
    }

    /// The model has no strands.
    fn is_strand_too_many(&mut self, _: &NewTask) -> bool {
        false
    }
}

impl Tx<'_> {
    pub(super) fn accept(&mut self, submission: Submission) -> Result<Vec<Accepted>, Refused> {
        let Ok(admissions) = admit(&submission.tasks, self.now, &mut Keys(self.model, self.now));
        Ok(submission
            .tasks
            .into_iter()
            .zip(admissions?)
            .map(|(task, admission)| self.admit_one(task, admission))
            .collect())
    }

    fn admit_one(&mut self, new: NewTask, admission: Admission) -> Accepted {
        let idempotency = new.idempotency.clone().map(|it| ((new.scope.tenant.clone(), it.key), it.fingerprint));
        let accepted = match admission {
            Admission::Insert => self.insert(new),
            Admission::Existing(accepted) => accepted,
            Admission::Replace(id) => self.replace(id, new),
        };
        if let Some((name, fingerprint)) = idempotency
            && self.model.idempotency.get(&name).is_none_or(|it| it.until.is_some_and(|until| until <= self.now))
        {
            let until = Some(self.now.plus(limit::IDEMPOTENCY_KEPT));
            let holder = KeyHolder { id: accepted.id, fingerprint: Some(fingerprint), until, gone: None };
            self.model.idempotency.insert(name, holder);
        }
        accepted
    }

    pub(super) fn insert(&mut self, new: NewTask) -> Accepted {
        self.name_gates(&new.scope, &new.limits);
        let mut task = new.into_task(self.now);
        self.share(&task.facts);
        if task.facts.state == State::Queued {
            task.turn = self.turn(&task, Next::Queued);
        }
        let (id, state) = (task.facts.id, task.facts.state);
        self.answers.transitions.push(task.transition(None, self.now));
        self.outbox.follow(0, &Moved::of(&task, None, self.now));
        self.model.lanes.insert(Arc::clone(&task.facts.lane));
        self.model.queues.entry(task.facts.lane.queue.clone()).or_insert(QueueState::Active);
        if let Some((name, _)) = unique_key(&task) {
            self.model.unique.insert(name, KeyHolder { id, fingerprint: None, until: None, gone: None });
        }
        self.model.next_seq += 1;
        let seq = self.model.next_seq;
        self.model.order.insert(seq, id);
        self.model.tasks.insert(id, Kept::new(seq, task));
        Accepted { id, state, existing: false }
    }

    fn replace(&mut self, id: TaskId, newer: NewTask) -> Accepted {
        let mut state = State::Queued;
        if let Some(mut task) = self.model.tasks.get(&id).map(|kept| kept.task.clone()) {
            let from = task.facts.state;
            self.leave_line(&task);
            accept::replace(&mut task, newer, self.now);
            state = task.facts.state;
            task.turn = if state == State::Queued { self.turn(&task, Next::Queued) } else { None };
            let Some(kept) = self.model.tasks.get_mut(&id) else { return Accepted { id, state, existing: true } };
            kept.task = task;
            self.answers.transitions.push(kept.task.transition(Some(from), self.now));
            self.outbox.follow(0, &Moved::of(&kept.task, Some(from), self.now));
        }
        Accepted { id, state, existing: true }
    }
}
