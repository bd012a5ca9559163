//! The first station. Every key is locked and read, and every submission decided, before anything is written; then all new
//! tasks go in by one statement.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;

use tasklane_core::accept::{self, Accepted, Admission, Holder, NewTask, Refused, Submission};
use tasklane_core::gate::Limit;
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::queue::QueueState;
use tasklane_core::state::State;
use tasklane_core::task::{Lane, Scope, Task, TaskId};
use tasklane_core::webhook::outbox::Moved;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::define::Limited;
use super::error::{Fault, Result};
use super::keys::{self, Given, Held, Kind, Name, names_of};
use super::names::Names;
use super::row::{HAS_KEYS, HAS_TURN, micros, origin_of, spec_text};
use super::session::{Statement, Value};
use super::turns::Joining;
use super::tx::{Ended, Ids, Tx};
use super::write;
use crate::admission::{Known, admit};
use crate::encoding::checksum::sum;
use crate::encoding::log::Way;
use crate::gather::{COMMIT_BYTES, COMMIT_ITEMS};
use tasklane_core::queue::Counted;

/// New tasks, queued ones at their `$place`; `$more` columns come with the others.
macro_rules! insert {
    ($place:literal, $values:literal, $columns:literal) => {
        concat!(
            "INSERT INTO tasklane.tasks (id, created, rank, place, queued, due, run_at, payload_sum, lane, scope, urgency, state, reason,
            flags, origin, spec, payload)
          SELECT u.id, $1, $1, CASE WHEN u.state = 3 THEN ", $place, " END, CASE WHEN u.state = 3 THEN $1 END, u.due, u.run_at, u.payload_sum, u.lane, u.scope, u.urgency,
            u.state, 1, u.flags, u.origin, u.spec, u.payload
          FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[], $7::int[], $8::smallint[],
            $9::smallint[], $10::smallint[], $11::text[], $12::text[], $13::bytea[]", $values, ")
          AS u(id, due, run_at, payload_sum, lane, scope, urgency, state, flags, origin, spec, payload", $columns, ")"
        )
    };
}

const INSERT: Statement = Statement {
    sql: insert!("$1", "", ""),
    types: &[
        Type::INT8,
        Type::UUID_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT4_ARRAY,
        Type::INT4_ARRAY,
        Type::INT2_ARRAY,
        Type::INT2_ARRAY,
        Type::INT2_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::BYTEA_ARRAY,
    ],
};

/// The same where some of them have turns.
const INSERT_AT_TURNS: Statement = Statement {
    sql: insert!("coalesce(u.turn, $1)", ", $14::bigint[]", ", turn"),
    types: &[
        Type::INT8,
        Type::UUID_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT4_ARRAY,
        Type::INT4_ARRAY,
        Type::INT2_ARRAY,
        Type::INT2_ARRAY,
        Type::INT2_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::BYTEA_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// The first of these deliveries, as many as one statement writes: all that follow from a commit may be more than a value of
/// PostgreSQL holds.
fn together(deliveries: &[(usize, NewTask)]) -> &[(usize, NewTask)] {
    let bytes = deliveries.iter().scan(0, |bytes, (_, delivery)| {
        *bytes += delivery.payload.len();
        Some(*bytes)
    });
    let many = bytes.take(COMMIT_ITEMS).take_while(|bytes| *bytes <= COMMIT_BYTES).count();
    &deliveries[..many.max(1)]
}

/// What is known while submissions are decided one after the other.
struct Keys<'k> {
    held: &'k Held,
    names: &'k Names,
    /// Lanes that are not numbered yet and will be.
    new_lanes: &'k HashSet<Arc<Lane>>,
    /// At most so many strands will be.
    new_strands: usize,
    queues: &'k std::collections::HashMap<Box<str>, QueueState>,
}

impl Known for Keys<'_> {
    type Error = Infallible;

    fn idempotency(&mut self, tenant: &str, key: &str) -> Result<Option<Holder>, Infallible> {
        Ok(self.held.names.get(&(Kind::Idempotency, tenant.into(), key.into())).copied())
    }

    fn id(&mut self, id: TaskId) -> Result<Option<Holder>, Infallible> {
        Ok(self.held.ids.get(&id).copied())
    }

    fn unique(&mut self, tenant: &str, key: &str) -> Result<Option<Holder>, Infallible> {
        Ok(self.held.names.get(&(Kind::Unique, tenant.into(), key.into())).copied())
    }

    fn lane(&mut self, lane: &Arc<Lane>) -> (Option<QueueState>, bool) {
        let state = self.queues.get(&lane.queue).copied();
        (state, self.names.lane_no(lane).is_some() || self.new_lanes.contains(lane))
    }

    fn lanes(&self) -> usize {
        self.names.lanes.len() + self.new_lanes.len()
    }

    fn is_strand_too_many(&mut self, task: &NewTask) -> bool {
        let strands = &self.names.strands;
        strands.len() + self.new_strands >= limit::STRANDS && !strands.is_numbered(self.names.lane_no(&task.lane), task)
    }
}

/// Who holds what, and what a commit accepts.
#[derive(Default)]
struct Accepting {
    held: Held,
    /// Ids that callers of this commit chose.
    chosen: HashSet<Uuid>,
    pending: Pending,
}

impl Accepting {
    fn new((held, chosen): (Held, Vec<Uuid>)) -> Self {
        Self { held, chosen: chosen.into_iter().collect(), pending: Pending::default() }
    }
}

/// What was accepted and is to be written.
#[derive(Default)]
struct Pending {
    new: Vec<New>,
    given: Vec<Given>,
    lanes: HashSet<Arc<Lane>>,
    scopes: HashSet<Arc<Scope>>,
    limited: Vec<Limited>,
    /// Lanes that are shared from here on.
    shared: HashSet<Arc<Lane>>,
}

/// A new task of one of the callers.
struct New {
    caller: usize,
    task: Task,
    flags: i16,
}

impl Tx<'_> {
    pub(super) async fn accept_all(&mut self, batches: &[Batch]) -> Result<()> {
        let all = || batches.iter().flat_map(|batch| &batch.accept);
        if all().next().is_none() {
            return Ok(());
        }
        let mut accepting = Accepting::new(self.hold_keys(all()).await?);
        for (caller, batch) in batches.iter().enumerate() {
            self.caller = caller;
            for submission in &batch.accept {
                let accepted = self.admit(submission, &mut accepting).await?;
                self.answer().accept.push(accepted);
            }
        }
        self.insert(accepting.pending).await
    }

    /// One submission alone, as what follows a settlement.
    pub(super) async fn accept(&mut self, submission: &Submission) -> Result<Result<Vec<Accepted>, Refused>> {
        let mut accepting = Accepting::new(self.hold_keys(std::iter::once(submission)).await?);
        let accepted = self.admit(submission, &mut accepting).await?;
        self.insert(accepting.pending).await?;
        Ok(accepted)
    }

    /// Accepts the deliveries that follow from the commit, whatever limits there are; those whose gates would be too many pass
    /// none.
    pub(super) async fn deliver_all(&mut self) -> Result<()> {
        let deliveries = self.outbox.take();
        let mut rest = deliveries.as_slice();
        while !rest.is_empty() {
            let together = together(rest);
            let mut accepting = Accepting::default();
            for (caller, delivery) in together {
                self.caller = *caller;
                self.admit_delivery(delivery, &mut accepting);
            }
            self.insert(accepting.pending).await?;
            rest = &rest[together.len()..];
        }
        Ok(())
    }

    fn admit_delivery(&mut self, delivery: &NewTask, accepting: &mut Accepting) {
        let (strands, new) = (&self.names.strands, accepting.pending.limited.len());
        let is_one_too_many =
            strands.len() + new >= limit::STRANDS && !strands.is_numbered(self.names.lane_no(&delivery.lane), delivery);
        if is_one_too_many {
            self.admit_new(&NewTask { limits: Limit::none(), ..delivery.clone() }, accepting);
        } else {
            self.admit_new(delivery, accepting);
        }
    }

    /// Who holds the keys of these, and the ids among them.
    async fn hold_keys(&mut self, submissions: impl Iterator<Item = &Submission>) -> Result<(Held, Vec<Uuid>)> {
        let is_doubtful = |task: &&NewTask| task.has_keys() || self.ids == Ids::LookedFor;
        let keyed: Vec<&NewTask> = submissions.flat_map(|it| &it.tasks).filter(is_doubtful).collect();
        let mut names: Vec<Name> = keyed.iter().flat_map(|task| names_of(task)).collect();
        names.sort_unstable_by(|a, b| (a.0 as u8, &a.1, &a.2).cmp(&(b.0 as u8, &b.1, &b.2)));
        names.dedup();
        let mut ids: Vec<Uuid> = keyed
            .iter()
            .filter(|it| it.spec.fingerprint.is_some() || self.ids == Ids::LookedFor)
            .map(|it| it.id.0)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        Ok((keys::hold(self.session, &names, &ids, self.now).await?, ids))
    }

    async fn admit(&mut self, submission: &Submission, to: &mut Accepting) -> Result<Result<Vec<Accepted>, Refused>> {
        let new_strands = to.pending.limited.len();
        let Accepting { held, pending: Pending { lanes: new_lanes, .. }, .. } = &*to;
        let mut known = Keys { held, names: &self.names, new_lanes, new_strands, queues: &self.queues };
        let Ok(admissions) = admit(&submission.tasks, self.now, &mut known);
        let admissions = match admissions {
            Ok(admissions) => admissions,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut accepted = Vec::with_capacity(admissions.len());
        for (task, admission) in submission.tasks.iter().zip(admissions) {
            accepted.push(self.admit_one(task, admission, to).await?);
        }
        Ok(Ok(accepted))
    }

    async fn admit_one(&mut self, new: &NewTask, admission: Admission, to: &mut Accepting) -> Result<Accepted> {
        let accepted = match admission {
            Admission::Insert => self.admit_new(new, to),
            Admission::Existing(accepted) => accepted,
            Admission::Replace(id) => self.replace(id, new, to).await?,
        };
        if let Some(wanted) = &new.idempotency {
            let name = (Kind::Idempotency, new.scope.tenant.clone(), wanted.key.clone());
            let Accepted { id, state, .. } = accepted;
            let fingerprint = Some(wanted.fingerprint);
            if let std::collections::hash_map::Entry::Vacant(free) = to.held.names.entry(name.clone()) {
                free.insert(Holder { id, state, attempt: 0, fingerprint });
                let until = Some(self.now.plus(limit::IDEMPOTENCY_KEPT));
                to.pending.given.push(Given { name, id, fingerprint, until });
            }
        }
        Ok(accepted)
    }

    fn admit_new(&mut self, new: &NewTask, to: &mut Accepting) -> Accepted {
        if self.names.lane_no(&new.lane).is_none() {
            to.pending.lanes.insert(Arc::clone(&new.lane));
        }
        if self.names.scope_no(&new.scope).is_none() {
            to.pending.scopes.insert(Arc::clone(&new.scope));
        }
        if !new.limits.is_empty() {
            let pending = &mut to.pending.limited;
            // The last word about a gate holds: who comes after one that is to be written is written too.
            let lane = self.names.lane_no(&new.lane);
            if !pending.is_empty() || !self.names.strands.is_known(lane, new) {
                pending.push(Limited::of(new));
            }
        }
        if self.shares(new) {
            to.pending.shared.insert(Arc::clone(&new.lane));
        }
        let task = new.clone().into_task(self.now);
        let (id, state) = (new.id, task.facts.state);
        if new.has_keys() || to.chosen.contains(&id.0) {
            let holder = |fingerprint| Holder { id, state, attempt: 0, fingerprint };
            to.held.ids.insert(id, holder(new.spec.fingerprint));
            if let Some(unique) = &new.spec.unique {
                let name = (Kind::Unique, new.scope.tenant.clone(), unique.key.clone());
                to.held.names.insert(name.clone(), holder(None));
                to.pending.given.push(Given { name, id, fingerprint: None, until: None });
            }
        }
        let flags = if new.has_keys() { HAS_KEYS } else { 0 };
        to.pending.new.push(New { caller: self.caller, task, flags });
        Accepted { id, state, existing: false }
    }

    /// Gives a holder that never started the payload and time of a newer task.
    async fn replace(&mut self, id: TaskId, newer: &NewTask, to: &mut Accepting) -> Result<Accepted> {
        // The holder may be one that this commit accepts.
        self.insert(std::mem::take(&mut to.pending)).await?;
        let there = self.lock(&[id.0]).await?.remove(&id);
        let Some(mut kept) = there else {
            return Err(Fault::damaged(format!("task {id} holds a unique key but is not there")));
        };
        let facts = &kept.task.facts;
        if facts.attempt > 0 || facts.state.is_final() {
            // It was started between the look and the lock.
            return Ok(Accepted { id, state: facts.state, existing: true });
        }
        let from = facts.state;
        self.leave_turn(&kept.task, kept.lane);
        self.look_at_lines(std::iter::once(Joining::of(&kept))).await?;
        accept::replace(&mut kept.task, newer.clone(), self.now);
        kept.task.turn = self.turn_of_newer(&kept, from).await?;
        write::payload(self.session, &kept.task).await?;
        self.moved(&kept, Some(from));
        let transition = kept.task.transition(Some(from), self.now);
        self.outbox.follow(self.caller, &Moved::of(&kept.task, Some(from), self.now));
        self.answer().transitions.push(transition);
        let state = kept.task.facts.state;
        self.write(&[&kept], Ended::default(), Vec::new()).await?;
        to.held.ids.entry(id).and_modify(|it| it.state = state);
        to.held.names.values_mut().filter(|it| it.id == id).for_each(|it| it.state = state);
        Ok(Accepted { id, state, existing: true })
    }

    /// Writes new tasks and what they hold.
    async fn insert(&mut self, pending: Pending) -> Result<()> {
        let Pending { new, given, lanes, scopes, limited, shared } = pending;
        let was = Arc::clone(&self.names);
        if !lanes.is_empty() || !scopes.is_empty() || !limited.is_empty() || !shared.is_empty() {
            let (lanes, scopes): (Vec<_>, Vec<_>) = (lanes.into_iter().collect(), scopes.into_iter().collect());
            self.number(&lanes, &scopes).await?;
            self.name_gates(&limited).await?;
            self.share(&shared).await?;
        }
        if !new.is_empty() {
            self.insert_rows(&new, &was).await?;
        }
        keys::put(self.session, &given).await
    }

    async fn insert_rows(&mut self, new: &[New], was: &Names) -> Result<()> {
        let mut rows = Rows::default();
        let names = Arc::clone(&self.names);
        let mut sharing = self.look_at_new(new.iter().map(|it| &it.task), was).await?;
        for New { caller, task, flags } in new {
            let facts = &task.facts;
            let unnumbered = || Fault::damaged("a lane or scope that was just numbered has no number");
            let lane = names.lane_no(&facts.lane).ok_or_else(unnumbered)?;
            let scope = names.scope_no(&facts.scope).ok_or_else(unnumbered)?;
            let strand = names.strand_no(lane, &facts.scope, &facts.gates).ok_or_else(unnumbered)?;
            let turn = match &mut sharing {
                Some(sharing) => self.turn_of_new(Joining { task, lane }, sharing).await?,
                None => None,
            };
            rows.push(task, (strand.0 as i32, scope.0 as i32), *flags | turn.map_or(0, |_| HAS_TURN))?;
            rows.turn.extend(sharing.as_ref().map(|_| turn));
            let to = Some(Counted::In(facts.state));
            self.record(Way { from: None, to, reason: Some(task.reason), lane, scope, attempt: 0 }, facts.id);
            self.will_be_due(facts.due_at());
            if facts.state == State::Queued {
                self.news.queued(strand, (urgency(task.priority), turn.unwrap_or(task.rank.as_micros())));
            }
            let transition = task.transition(None, self.now);
            self.answers[*caller].transitions.push(transition);
            self.outbox.follow(*caller, &Moved::of(task, None, self.now));
        }
        let now = self.now.as_micros();
        let mut values: Vec<Value<'_>> = vec![
            &now,
            &rows.id,
            &rows.due,
            &rows.run_at,
            &rows.payload_sum,
            &rows.lane,
            &rows.scope,
            &rows.urgency,
            &rows.state,
            &rows.flags,
            &rows.origin,
            &rows.spec,
            &rows.payload,
        ];
        if rows.turn.iter().all(Option::is_none) {
            return self.session.run(&INSERT, &values).await;
        }
        values.push(&rows.turn);
        self.session.run(&INSERT_AT_TURNS, &values).await?;
        self.dealt_stands();
        Ok(())
    }
}

/// New tasks as columns.
#[derive(Default)]
struct Rows<'t> {
    id: Vec<Uuid>,
    due: Vec<Option<i64>>,
    run_at: Vec<Option<i64>>,
    payload_sum: Vec<i64>,
    lane: Vec<i32>,
    scope: Vec<i32>,
    urgency: Vec<i16>,
    state: Vec<i16>,
    flags: Vec<i16>,
    origin: Vec<Option<&'t str>>,
    spec: Vec<Option<String>>,
    payload: Vec<&'t [u8]>,
    /// Where tenants share any lane.
    turn: Vec<Option<i64>>,
}

impl<'t> Rows<'t> {
    fn push(&mut self, task: &'t Task, (lane, scope): (i32, i32), flags: i16) -> Result<()> {
        let facts = &task.facts;
        self.id.push(facts.id.0);
        self.due.push(micros(facts.due_at()));
        self.run_at.push(micros(facts.run_at));
        self.payload_sum.push(sum(facts.id, &task.payload) as i64);
        self.lane.push(lane);
        self.scope.push(scope);
        self.urgency.push(urgency(task.priority));
        self.state.push(facts.state.code().into());
        self.flags.push(flags);
        self.origin.push(origin_of(&facts.scope));
        self.spec.push(spec_text(&facts.spec)?);
        self.payload.push(&task.payload);
        Ok(())
    }
}

/// The priority turned round, so that the most urgent come first in an index.
pub(crate) fn urgency(priority: i32) -> i16 {
    i16::try_from(-i64::from(priority)).unwrap_or(if priority > 0 { i16::MIN } else { i16::MAX })
}
