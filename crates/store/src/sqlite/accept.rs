//! The first station. Every key is read and every task of a submission decided before anything of it is written, so that
//! no constraint can fire and a refused submission leaves no trace.

use std::sync::Arc;

use tasklane_core::accept::{self, Accepted, Admission, Holder, NewTask, Refused, Submission};
use tasklane_core::decision::Next;
use tasklane_core::gate::Limit;
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::queue::QueueState;
use tasklane_core::state::State;
use tasklane_core::task::{Lane, TaskId};
use tasklane_core::time::Timestamp;

use super::error::{Fault, Result};
use super::keys::{self, KeyRow, Kind};
use super::tx::{Before, Tx};
use crate::admission::{Known, admit};
use crate::encoding::checksum::sum;

struct Keys<'t, 'a, 'c> {
    tx: &'t mut Tx<'a, 'c>,
    now: Timestamp,
}

impl Keys<'_, '_, '_> {
    fn holder(&mut self, kind: Kind, tenant: &str, key: &str) -> Result<Option<Holder>> {
        if !self.tx.live.keys {
            return Ok(None);
        }
        let Some(row) = keys::find(self.tx.sql.db, kind, tenant, key, self.now)? else { return Ok(None) };
        let there = self.tx.stand_of(row.id)?;
        let stand = there.map(|there| (there.state, there.attempt)).or(row.gone.map(|state| (state, 0)));
        Ok(stand.map(|(state, attempt)| Holder { id: row.id, state, attempt, fingerprint: row.fingerprint }))
    }
}

impl Known for Keys<'_, '_, '_> {
    type Error = Fault;

    fn idempotency(&mut self, tenant: &str, key: &str) -> Result<Option<Holder>> {
        self.holder(Kind::Idempotency, tenant, key)
    }

    fn id(&mut self, id: TaskId) -> Result<Option<Holder>> {
        // Ids mostly grow, and one greater than all is certainly new.
        if self.tx.live.greatest.is_none_or(|greatest| id > greatest) {
            return Ok(None);
        }
        self.tx.stand_of(id)
    }

    fn unique(&mut self, tenant: &str, key: &str) -> Result<Option<Holder>> {
        self.holder(Kind::Unique, tenant, key)
    }

    fn lane(&mut self, lane: &Arc<Lane>) -> (Option<QueueState>, bool) {
        let names = &mut self.tx.live.names;
        match names.find_lane(lane) {
            Some(no) => (Some(names.queue_of(no).state), true),
            None => (names.find_queue(&lane.queue).map(|queue| queue.state), false),
        }
    }

    fn lanes(&self) -> usize {
        self.tx.live.names.lanes.len()
    }

    fn is_strand_too_many(&mut self, task: &NewTask) -> bool {
        let names = &self.tx.live.names;
        let is_known = || {
            let there = names.lane_named(&task.lane).zip(names.scope_named(&task.scope));
            there.and_then(|(lane, scope)| names.strands.find(lane, scope, &Limit::keys(&task.limits))).is_some()
        };
        names.strands.len() >= limit::STRANDS && !is_known()
    }
}

impl Tx<'_, '_> {
    pub(super) fn accept_all(&mut self, batch: &mut Batch) -> Result<()> {
        for submission in std::mem::take(&mut batch.accept) {
            let accepted = self.accept(submission)?;
            self.answer().accept.push(accepted);
        }
        Ok(())
    }

    pub(super) fn accept(&mut self, submission: Submission) -> Result<std::result::Result<Vec<Accepted>, Refused>> {
        let now = self.now;
        let admissions = match admit(&submission.tasks, now, &mut Keys { tx: self, now })? {
            Ok(admissions) => admissions,
            Err(refused) => return Ok(Err(refused)),
        };
        let pairs = submission.tasks.into_iter().zip(admissions);
        Ok(Ok(pairs.map(|(task, admission)| self.admit_one(task, admission)).collect::<Result<_>>()?))
    }

    /// Accepts a delivery whatever limits there are; one whose gate would be one too many passes none.
    pub(super) fn insert_delivery(&mut self, mut delivery: NewTask) -> Result<()> {
        let now = self.now;
        if (Keys { tx: self, now }).is_strand_too_many(&delivery) {
            delivery.limits = Limit::none();
        }
        self.insert(delivery).map(drop)
    }

    fn admit_one(&mut self, mut new: NewTask, admission: Admission) -> Result<Accepted> {
        let idempotency = new.idempotency.take();
        let tenant = idempotency.is_some().then(|| Arc::clone(&new.scope));
        let accepted = match admission {
            Admission::Insert => self.admit_new(new)?,
            Admission::Existing(accepted) => accepted,
            Admission::Replace(id) => self.replace(id, new)?,
        };
        if let Some((idempotency, scope)) = idempotency.zip(tenant) {
            let (kind, tenant, key) = (Kind::Idempotency, &scope.tenant, &idempotency.key);
            self.live.keys = true;
            if keys::find(self.sql.db, kind, tenant, key, self.now)?.is_none() {
                let until = Some(self.now.plus(limit::IDEMPOTENCY_KEPT));
                let row = KeyRow { id: accepted.id, fingerprint: Some(idempotency.fingerprint), until, gone: None };
                keys::put(self.sql.db, kind, tenant, key, row)?;
            }
        }
        Ok(accepted)
    }

    fn admit_new(&mut self, new: NewTask) -> Result<Accepted> {
        let id = new.id;
        if let Some(unique) = &new.spec.unique {
            self.live.keys = true;
            let row = KeyRow { id, fingerprint: None, until: None, gone: None };
            keys::put(self.sql.db, Kind::Unique, &new.scope.tenant, &unique.key, row)?;
        }
        let state = self.insert(new)?;
        Ok(Accepted { id, state, existing: false })
    }

    fn replace(&mut self, id: TaskId, newer: NewTask) -> Result<Accepted> {
        let Some(mut kept) = self.load(id)? else {
            return Err(Fault::damaged(format!("task {id} holds a unique key but is not there")));
        };
        let before = Before::of(&kept);
        let from = kept.task.facts.state;
        self.leave(&kept, &before)?;
        accept::replace(&mut kept.task, newer, self.now);
        if kept.task.facts.state == State::Queued {
            kept.task.turn = self.turn(&kept.task, kept.lane, Some(from), Next::Queued)?;
        }
        kept.payload_sum = sum(id, &kept.task.payload);
        self.sql.update_payload(kept.seq, &kept.task.payload)?;
        let transition = kept.task.transition(Some(from), self.now);
        let state = kept.task.facts.state;
        self.moved(&mut kept, &before, tasklane_core::decision::Applied { transition, ended: None })?;
        Ok(Accepted { id, state, existing: true })
    }

    /// What a new task has to know of one that is there.
    fn stand_of(&mut self, id: TaskId) -> Result<Option<Holder>> {
        if let Some(kept) = self.live.running.get(id) {
            return Ok(Some(Holder::of(&kept.task.facts)));
        }
        Ok(self.sql.by_id(id, &self.live.names)?.map(|kept| Holder::of(&kept.task.facts)))
    }
}
