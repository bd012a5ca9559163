//! One commit under way: what every verb does to tasks comes down to the few moves here.

use std::sync::Arc;

use tasklane_core::accept::NewTask;
use tasklane_core::decision::{Applied, Decision, Next};
use tasklane_core::event::Position;
use tasklane_core::ports::store::{Answers, Batch};
use tasklane_core::queue::Counted;
use tasklane_core::settle::Mark;
use tasklane_core::state::State;
use tasklane_core::task::{Task, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::outbox::{Moved, Outbox};

use super::counters;
use super::error::Result;
use super::gate::Gated;
use super::keys;
use super::live::{LOG_SIZE, Live};
use super::names::LaneNo;
use super::notes::Room;
use super::row::{HAS_LOGS, Kept};
use super::sql::{HasHistory, Sql};
use super::takeable::Place;
use super::view::{Changes, Overlay};
use crate::encoding::checksum::sum;
use crate::encoding::log::{Body, Way};

/// A commit under way.
pub(crate) struct Tx<'a, 'c> {
    pub sql: &'a mut Sql<'c>,
    pub live: &'a mut Live,
    pub now: Timestamp,
    /// Answers of the callers, and whose turn it is.
    pub answers: Vec<Answers>,
    pub caller: usize,
    pub changes: Changes,
    /// For logs and checkpoints.
    pub room: Room,
    /// What this commit does to gates.
    pub gating: Gated,
    /// Lanes and priorities whose turns have come further.
    pub fronts: Vec<(LaneNo, i32)>,
    /// Who is told of what it does.
    outbox: Outbox,
    body: Body,
    due_touched: bool,
    /// Whether the counters are to be written with this commit.
    pub count_now: bool,
}

/// What a task that does not run was before it changed.
pub(crate) struct Before {
    state: State,
    place: Option<Place>,
    due: Option<Timestamp>,
}

impl Before {
    pub(crate) fn of(kept: &Kept) -> Self {
        let facts = &kept.task.facts;
        let place = (facts.state == State::Queued).then(|| Place::of(kept.seq, &kept.task));
        Self { state: facts.state, place, due: facts.due_at() }
    }

    /// The same, of a task that was taken from its lane already.
    pub(crate) fn taken(kept: &Kept) -> Self {
        Self { place: None, ..Self::of(kept) }
    }
}

impl<'a, 'c> Tx<'a, 'c> {
    pub(crate) fn new(sql: &'a mut Sql<'c>, live: &'a mut Live, now: Timestamp, batches: &[Batch], room: Room) -> Self {
        let answers = std::iter::repeat_with(Answers::default).take(batches.len()).collect();
        let outbox = Outbox::of(batches);
        let (body, changes, gating) = (Body::default(), Changes::default(), Gated::default());
        let (fronts, due_touched, count_now) = (Vec::new(), false, false);
        Self { sql, live, now, answers, caller: 0, changes, room, gating, fronts, outbox, body, due_touched, count_now }
    }

    /// Every verb in the order of the road, each over all callers.
    pub(crate) fn run(&mut self, batches: &mut [Batch]) -> Result<()> {
        self.each(batches, Self::renew_all)?;
        self.each(batches, Self::settle_all)?;
        self.each(batches, Self::hand_all)?;
        self.each(batches, Self::control_all)?;
        self.each(batches, Self::gate_all)?;
        self.each(batches, Self::record_all)?;
        self.each(batches, Self::accept_all)?;
        self.each(batches, Self::promote)?;
        self.each(batches, Self::lease_all)?;
        self.live.takeable.finish(self.sql)?;
        self.each(batches, Self::rescue)?;
        self.each(batches, Self::sweep)?;
        self.deliver()?;
        self.live.takeable.finish(self.sql)
    }

    fn each(&mut self, batches: &mut [Batch], verb: impl Fn(&mut Self, &mut Batch) -> Result<()>) -> Result<()> {
        for (caller, batch) in batches.iter_mut().enumerate() {
            self.caller = caller;
            verb(self, batch)?;
        }
        Ok(())
    }

    /// Writes what is left to be written, and answers with where the commit stands.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.tell_opened();
        self.write_gates()?;
        self.write_fronts()?;
        self.count_all();
        if !self.body.bytes().is_empty() {
            self.live.position = Position(self.live.position.0 + 1);
            self.sql.log_add(self.live.position, self.now, self.body.bytes())?;
            self.live.log_bytes += self.body.bytes().len() as u64;
        }
        let uncounted = self.live.position.0 - self.live.counters.counted_to().0;
        if uncounted >= counters::EVERY || (self.count_now && uncounted > 0) {
            self.live.counters.write(self.sql, self.live.position)?;
            self.sql.fact_put(LOG_SIZE, self.live.log_bytes as i64)?;
        }
        if self.due_touched {
            self.live.due = self.sql.due_next()?;
        }
        self.live.commits += 1;
        (self.changes.gauges, self.changes.strands) = (self.live.gauges.changes(), self.live.takeable.changes());
        let due =
            [self.live.due, self.live.running.next_due(), self.live.gauges.next_opening()].into_iter().flatten().min();
        for answers in &mut self.answers {
            answers.next_due = due.map(|at| at.since(self.now));
            answers.position = self.live.position;
        }
        Ok(())
    }

    pub(crate) fn answer(&mut self) -> &mut Answers {
        &mut self.answers[self.caller]
    }

    /// A task with its payload, as it is now.
    pub(crate) fn load(&mut self, id: TaskId) -> Result<Option<Kept>> {
        let Some(mut kept) = self.sql.by_id(id, &self.live.names)? else { return Ok(None) };
        if let Some(running) = self.live.running.get(id) {
            let payload = std::mem::take(&mut kept.task.payload);
            kept = running.clone();
            kept.task.payload = payload;
            self.live.names.tell_worker(&mut kept);
        }
        Ok(Some(kept))
    }

    /// A new task. Answers where it stands.
    pub(crate) fn insert(&mut self, new: NewTask) -> Result<State> {
        let id = new.id;
        let lane = self.live.names.lane_no(self.sql.db, &new.lane)?;
        let scope = self.live.names.scope_no(self.sql.db, &new.scope)?;
        let (new, strand) = self.name_gates(new, lane, scope)?;
        let mut kept = Kept {
            seq: self.live.next_seq,
            lane,
            strand,
            scope,
            worker: 0,
            token: tasklane_core::lease::Token(0),
            settled: None,
            payload_sum: sum(id, &new.payload),
            room: self.live.names.room(lane),
            grant: 0,
            has_more: false,
            notes: 0,
            task: new.into_task(self.now),
        };
        self.share(lane, &kept.task.facts.scope)?;
        if kept.task.facts.state == State::Queued {
            kept.task.turn = self.turn(&kept.task, lane, None, Next::Queued)?;
        }
        self.live.next_seq += 1;
        self.live.greatest = self.live.greatest.max(Some(id));
        self.sql.insert(&kept)?;
        self.stand(&kept)?;
        self.record(&kept, None);
        Ok(kept.task.facts.state)
    }

    /// Carries out a decision on a task that does not run.
    pub(crate) fn change(&mut self, kept: &mut Kept, before: &Before, decision: Decision) -> Result<()> {
        self.leave(kept, before)?;
        let turn = self.turn(&kept.task, kept.lane, Some(before.state), decision.to)?;
        let applied = kept.task.apply(decision, self.now);
        kept.task.turn = turn;
        self.moved(kept, before, applied)
    }

    /// Takes a task that does not run and is about to change out of its line.
    pub(crate) fn leave(&mut self, kept: &Kept, before: &Before) -> Result<()> {
        self.leave_line(kept);
        if let Some(place) = before.place {
            self.live.takeable.remove(self.sql, &self.live.names.strands, kept.strand, place)?;
            self.loosen(kept.strand);
        }
        Ok(())
    }

    /// Writes a task that does not run after a change, and after it has left its line.
    pub(crate) fn moved(&mut self, kept: &mut Kept, before: &Before, applied: Applied) -> Result<()> {
        if let Some(at) = before.due {
            self.due_touched = true;
            self.sql.due_remove(at, kept.task.facts.id)?;
        }
        self.arrived(kept, before.state, applied)
    }

    /// Ends the attempt of a task that ran, and was taken out of what runs.
    pub(crate) fn end_attempt(&mut self, kept: &mut Kept, decision: Decision, mark: Option<Mark>) -> Result<()> {
        if decision.to != Next::Succeeded {
            self.live.names.tell_worker(kept);
        }
        let turn = self.turn(&kept.task, kept.lane, Some(State::Running), decision.to)?;
        let applied = kept.task.apply(decision, self.now);
        (kept.settled, kept.task.turn) = (mark, turn);
        if self.live.running.ended(kept.grant) {
            self.sql.lease_remove(kept.grant)?;
        }
        self.leave_gates(kept.strand);
        if kept.notes & HAS_LOGS != 0 {
            self.live.tallies.remove(&kept.task.facts.id);
        }
        self.changes.running.push((kept.task.facts.id, None));
        if let Some(result) = &kept.task.result {
            self.live.names.learn_room(kept.lane, result.len());
        }
        self.arrived(kept, State::Running, applied)
    }

    /// The part of a change that follows the same from wherever the task came.
    fn arrived(&mut self, kept: &mut Kept, from: State, applied: Applied) -> Result<()> {
        if let Some(ended) = applied.ended {
            self.sql.attempt_add(kept.seq, &ended)?;
        }
        self.sql.update(kept)?;
        self.stand(kept)?;
        if kept.task.facts.state.is_final() {
            self.let_go(kept)?;
        }
        self.record(kept, Some(from));
        Ok(())
    }

    /// Puts a task where it is found again: in its lane, or among the due.
    fn stand(&mut self, kept: &Kept) -> Result<()> {
        let facts = &kept.task.facts;
        if facts.state == State::Queued {
            let place = Place::of(kept.seq, &kept.task);
            self.live.takeable.add(&self.live.names.strands, kept.strand, place);
        }
        if let Some(at) = facts.due_at() {
            self.due_touched = true;
            self.sql.due_add(at, facts.id, kept.seq)?;
        }
        Ok(())
    }

    /// A task starts to run: it is no longer among the due that do not run.
    pub(crate) fn no_longer_due(&mut self, task: &Task) -> Result<()> {
        if let Some(at) = task.facts.due_at() {
            self.due_touched = true;
            self.sql.due_remove(at, task.facts.id)?;
        }
        Ok(())
    }

    /// Whether the table `due` may hold something for this moment.
    pub(crate) fn something_is_due(&self) -> bool {
        self.due_touched || self.live.due.is_some_and(|at| at <= self.now)
    }

    /// Takes an entry off the due whose task cannot be read or has nothing due.
    pub(crate) fn drop_due(&mut self, at: Timestamp, id: TaskId) -> Result<()> {
        self.due_touched = true;
        self.sql.due_remove(at, id)
    }

    /// A final task holds its unique key no longer, or only to the end of its time.
    fn let_go(&mut self, kept: &Kept) -> Result<()> {
        let (task, facts) = (&kept.task, &kept.task.facts);
        let Some(unique) = &facts.spec.unique else { return Ok(()) };
        let until = unique.held_until(task.created_at, self.now);
        keys::let_go(self.sql.db, &facts.scope.tenant, &unique.key, facts.id, until)
    }

    /// A final task in row `seq` goes this way: it is no more.
    pub(crate) fn remove(&mut self, way: Way, id: TaskId, seq: i64, notes: u8) -> Result<()> {
        let state = way.from.map(Counted::state);
        // Only a task that succeeded at once has certainly no attempt in the history.
        let straight = way.attempt == 0 || (way.attempt == 1 && state == Some(State::Succeeded));
        self.sql.delete(seq, if straight { HasHistory::No } else { HasHistory::Maybe })?;
        self.sql.delete_notes(seq, notes)?;
        if let Some(state) = state.filter(|_| self.live.keys) {
            keys::task_gone(self.sql.db, id, state)?;
        }
        let ended = self.body.add(way, id);
        ended.into_iter().for_each(|ended| self.count(ended));
        Ok(())
    }

    /// A final task is hidden from now on.
    pub(crate) fn hide(&mut self, kept: &mut Kept) -> Result<()> {
        let from = kept.task.counted();
        kept.task.hidden_at = Some(self.now);
        self.sql.update(kept)?;
        let way = Way::hidden(&kept.task, from, kept.lane, kept.scope);
        let ended = self.body.add(way, kept.task.facts.id);
        ended.into_iter().for_each(|ended| self.count(ended));
        Ok(())
    }

    /// Tells the caller and the log where a task came from.
    pub(crate) fn record(&mut self, kept: &Kept, from: Option<State>) {
        let way = Way::of(&kept.task, from, kept.lane, kept.scope);
        let ended = self.body.add(way, kept.task.facts.id);
        ended.into_iter().for_each(|ended| self.count(ended));
        let transition = kept.task.transition(from, self.now);
        self.outbox.follow(self.caller, &Moved::of(&kept.task, from, self.now));
        self.answer().transitions.push(transition);
    }

    /// Accepts the deliveries that follow from the commit.
    fn deliver(&mut self) -> Result<()> {
        for (caller, delivery) in self.outbox.take() {
            self.caller = caller;
            self.insert_delivery(delivery)?;
        }
        Ok(())
    }

    /// Counts everything that has happened so far.
    pub(crate) fn count_all(&mut self) {
        let ended = self.body.end_group();
        ended.into_iter().for_each(|ended| self.count(ended));
    }

    fn count(&mut self, (way, by): (Way, i64)) {
        self.live.counters.shift(&way, by);
        self.changes.counts.push((way, by));
    }

    /// What readers are to see of a running task.
    pub(crate) fn show(&mut self, id: TaskId, worker: Option<&Arc<str>>) {
        let Some(kept) = self.live.running.get(id) else { return };
        let worker = worker.or_else(|| self.live.names.worker(kept.worker));
        let worker = worker.cloned().or_else(|| kept.task.worker.as_deref().map(Arc::from));
        let facts = &kept.task.facts;
        let (Some(lease), Some(started_at)) = (facts.lease.clone(), facts.started_at) else { return };
        let overlay = Overlay { attempt: facts.attempt, lease, started_at, worker, strand: kept.strand };
        self.changes.running.push((id, Some(overlay)));
    }
}
