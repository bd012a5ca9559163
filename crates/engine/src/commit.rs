//! Commits, and what follows a commit whoever asked for it: waiters are woken, seats are served, facts are held or
//! forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tasklane_core::error::StoreError;
use tasklane_core::event::Transition;
use tasklane_core::lease::{LeaseKey, Leased};
use tasklane_core::limit;
use tasklane_core::ports::store::{Answers, Batch};
use tasklane_core::sabotage::{self, Sabotage};
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Lane, TaskId};
use tokio::time::Instant;

use crate::inside::Inside;
use crate::parked::{Sat, Seat};
use crate::seats::{self, Got, Owed};
use crate::settle;

/// What a commit gave.
pub(crate) struct Committed {
    /// The answers, but for the leases.
    pub answers: Answers,
    /// The leases of the batch's own requests, in their order.
    pub handed: Vec<Handed>,
}

/// Tasks of a worker that somebody wants cancelled.
pub(crate) struct Cancels {
    pub ids: Vec<TaskId>,
    /// The worker has not been told of all of them before: worth an answer of its own.
    pub is_news: bool,
}

/// Leased tasks on their way to a worker: dropped before they are taken, they are released unspent.
pub(crate) struct Handed {
    inside: Arc<Inside>,
    tasks: Vec<Leased>,
}

impl Handed {
    /// No tasks.
    pub fn nothing(inside: &Arc<Inside>) -> Self {
        Self { inside: Arc::clone(inside), tasks: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The tasks; from here on the caller answers for them.
    pub fn take(mut self) -> Vec<Leased> {
        std::mem::take(&mut self.tasks)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if !self.tasks.is_empty() {
            let keys = self.tasks.iter().map(Leased::key).collect();
            settle::release_later(&self.inside, keys);
        }
    }
}

impl Inside {
    /// Commits on a task of its own, so that a caller who goes away cannot stop what follows a commit.
    pub async fn commit(self: &Arc<Self>, batch: Batch) -> Result<Committed, StoreError> {
        self.commit_with(batch, Vec::new()).await
    }

    /// As [`Inside::commit`]; work for `seats` is leased in the same commit, and they are answered or seated again.
    pub async fn commit_with(self: &Arc<Self>, batch: Batch, seats: Vec<Seat>) -> Result<Committed, StoreError> {
        let inside = Arc::clone(self);
        let committing = tokio::spawn(async move { inside.commit_here(batch, seats).await });
        committing.await.unwrap_or_else(|failed| Err(StoreError::Away(failed.to_string())))
    }

    /// Leases for `seats`, and for more of them while lanes of `owed` may have more than these got.
    pub fn serve(self: &Arc<Self>, seats: Vec<Seat>, owed: Vec<Owed>) {
        if !seats.is_empty() {
            let inside = Arc::clone(self);
            // A failed commit has put the seats back; the floor under it is the next arrival or the caller's own wait.
            tokio::spawn(async move { drop(seats::serve(&inside, seats, owed).await) });
        }
    }

    async fn commit_here(self: &Arc<Self>, batch: Batch, seats: Vec<Seat>) -> Result<Committed, StoreError> {
        let arrivals = self.parked.arrivals();
        match self.commit_for(batch, &seats).await {
            Ok((answers, handed, for_seats)) => {
                self.answer(seats, for_seats, arrivals);
                Ok(Committed { answers, handed })
            }
            Err(error) => {
                self.seat_again(seats, arrivals);
                Err(error)
            }
        }
    }

    /// Leases for `seats` and answers them; what each got.
    pub async fn lease_for(self: &Arc<Self>, seats: Vec<Seat>) -> Result<Vec<Got>, StoreError> {
        let arrivals = self.parked.arrivals();
        let for_seats = match self.commit_for(Batch::default(), &seats).await {
            Ok((_, _, for_seats)) => for_seats,
            Err(error) => {
                self.seat_again(seats, arrivals);
                return Err(error);
            }
        };
        let got = |(seat, handed): (&Seat, &Handed)| Got {
            serves: Arc::clone(&seat.lanes),
            is_full: handed.tasks.len() >= seat.limit || is_heavy(&handed.tasks),
            lanes: handed.tasks.iter().map(|task| Arc::clone(&task.facts.lane)).collect(),
        };
        let got = seats.iter().zip(&for_seats).map(got).collect();
        self.answer(seats, for_seats, arrivals);
        Ok(got)
    }

    /// Commits; the answers, the batch's own leases, and those for `seats`.
    async fn commit_for(
        self: &Arc<Self>,
        mut batch: Batch,
        seats: &[Seat],
    ) -> Result<(Answers, Vec<Handed>, Vec<Handed>), StoreError> {
        let own = batch.lease.len();
        if batch.seed == 0 {
            batch.seed = self.ids.seed();
        }
        let told = self.endpoints.told(&self.store).await;
        if told.is_err() {
            self.outage.heard(&told, self.stopped.load(Ordering::Acquire));
        }
        batch.subscriptions = told?;
        batch.lease.extend(seats.iter().map(|seat| seat.request(self.ids.seed())));
        let workers: Vec<Arc<str>> = batch.lease.iter().map(|it| Arc::clone(&it.worker)).collect();
        let started = Instant::now();
        let answered = self.store.commit(batch).await;
        self.metrics.committed(started.elapsed(), &answered);
        self.outage.heard(&answered, self.stopped.load(Ordering::Acquire));
        let mut answers = answered?;
        self.after(&answers);
        let mut handed = self.hold(&workers, std::mem::take(&mut answers.lease));
        let for_seats = handed.split_off(own.min(handed.len()));
        Ok((answers, handed, for_seats))
    }

    /// Holds the facts of what was leased, request by request.
    fn hold(self: &Arc<Self>, workers: &[Arc<str>], leased: Vec<Vec<Leased>>) -> Vec<Handed> {
        let hold_one = |(worker, tasks): (&Arc<str>, Vec<Leased>)| {
            self.facts.hold(worker, &tasks);
            self.metrics.leased(&tasks);
            Handed { inside: Arc::clone(self), tasks }
        };
        workers.iter().zip(leased).map(hold_one).collect()
    }

    /// Gives each seat what was leased for it; one that got nothing sits down again.
    fn answer(self: &Arc<Self>, seats: Vec<Seat>, handed: Vec<Handed>, arrivals: u64) {
        let mut empty = Vec::new();
        for (seat, handed) in seats.into_iter().zip(handed) {
            if handed.is_empty() {
                empty.push(seat);
            } else {
                // A caller that went away drops what it was sent, and that releases it.
                drop(seat.reply.send(handed));
            }
        }
        self.seat_again(empty, arrivals);
    }

    fn seat_again(self: &Arc<Self>, seats: Vec<Seat>, arrivals: u64) {
        let sat = seats.into_iter().map(|seat| self.sit(seat, arrivals));
        let stale = sat.filter_map(|sat| if let Sat::Stale(seat) = sat { Some(seat) } else { None }).collect();
        self.serve(stale, Vec::new());
    }

    /// Sits down; who stood while news came for him is answered at once.
    pub fn sit(self: &Arc<Self>, seat: Seat, arrivals: u64) -> Sat {
        let worker = Arc::clone(&seat.worker);
        let sat = self.parked.sit(seat, arrivals);
        if matches!(sat, Sat::Down(_)) {
            if self.is_draining() {
                self.dismiss(self.parked.take_all());
            } else if self.facts.has_news(&worker) {
                self.dismiss(self.parked.take_of(&worker));
            }
        }
        sat
    }

    /// Answers these seats with nothing; a worker that lives asks again.
    pub fn dismiss(self: &Arc<Self>, seats: Vec<Seat>) {
        for seat in seats {
            drop(seat.reply.send(Handed::nothing(self)));
        }
    }

    /// What follows every commit.
    fn after(self: &Arc<Self>, answers: &Answers) {
        if let Some(next) = answers.next_due {
            self.due.announce(Instant::now() + next);
        }
        if !answers.transitions.is_empty() {
            let finals = answers.transitions.iter().filter(|it| it.to.is_final()).map(|it| it.task);
            self.waits.wake(finals);
            if self.is_shared {
                self.watches.rumour(answers.position);
            } else {
                self.watches.moved(answers.position, &answers.transitions);
            }
            self.unseat_lost(&answers.transitions);
            let stopped = answers.transitions.iter().filter(|it| it.from == Some(State::Running));
            self.facts.forget(stopped.map(|it| (it.task, it.attempt)));
            if self.metrics.moved(&answers.transitions) {
                self.crashes.rumour(answers.position);
            }
        }
        self.wake_seats(answers);
        for task in answers.hand.iter().flatten() {
            if task.facts.state == State::Running && task.facts.cancel_requested {
                if self.is_shared && !self.facts.holds_attempt(task.facts.id, task.facts.attempt) {
                    self.tell_stranger(task.worker.as_deref().unwrap_or_default(), task.facts.clone());
                } else {
                    self.tell(task.facts.id, task.facts.attempt);
                }
            }
        }
    }

    /// A worker that lost a lease may be frozen with its connections open: its seats would catch the very task it lost, and
    /// lose it again. They are answered with nothing.
    fn unseat_lost(self: &Arc<Self>, transitions: &[Transition]) {
        let lost = transitions.iter().filter(|it| matches!(it.reason, Reason::LeaseLost | Reason::CrashLoop));
        for worker in self.facts.workers_of(lost.map(|it| (it.task, it.attempt))) {
            self.dismiss(self.parked.take_of(&worker));
        }
    }

    /// Serves seats of lanes in which the commit queued more than it leased, or opened a gate.
    fn wake_seats(self: &Arc<Self>, answers: &Answers) {
        let left = left_to_start(answers);
        if !left.is_empty() && !sabotage::is(Sabotage::LostWake) {
            self.parked.announce_in(left.iter().map(|(lane, _)| *lane));
            let seats = self.parked.take_for(left.iter().copied());
            if !seats.is_empty() {
                self.serve(seats, left.into_iter().map(|(lane, tasks)| Owed::tasks(lane, tasks)).collect());
            }
        }
    }

    /// Serves seats of a queue that was opened.
    pub fn wake_queue(self: &Arc<Self>, queue: &str) {
        self.parked.announce();
        self.serve(self.parked.take_for_queue(queue), Vec::new());
    }

    /// Tells the worker of a running task, at once if it waits for work, that the task is to be cancelled.
    pub fn tell(self: &Arc<Self>, id: TaskId, attempt: u32) {
        if let Some(worker) = self.facts.request_cancel(id, attempt) {
            self.dismiss(self.parked.take_of(&worker));
        }
    }

    /// The tasks of this worker that somebody wants cancelled; from the first time it is told, its grace runs.
    pub fn cancels(self: &Arc<Self>, worker: &str) -> Cancels {
        let (ids, first) = self.facts.cancels(worker);
        let is_news = !first.is_empty();
        if is_news {
            self.begin_grace(first);
        }
        Cancels { ids, is_news }
    }

    fn begin_grace(self: &Arc<Self>, keys: Vec<LeaseKey>) {
        let inside = Arc::clone(self);
        tokio::spawn(async move {
            let batch = Batch { grace: keys, ..Batch::default() };
            if let Err(error) = inside.commit_here(batch, Vec::new()).await {
                tracing::warn!(%error, "the grace of a cancellation was not written; the lease's own end bounds it");
            }
        });
    }
}

/// Lanes in which more can start than before a commit, and how much more: each once, in their order.
fn left_to_start(answers: &Answers) -> Vec<(&Arc<Lane>, usize)> {
    let mut left = left_queued(&answers.transitions);
    for (lane, more) in &answers.opened {
        match left.binary_search_by(|(it, _)| it.cmp(&lane)) {
            Ok(at) => left[at].1 += more,
            Err(at) => left.insert(at, (lane, *more)),
        }
    }
    left
}

/// Lanes in which a commit queued more than it leased, and how much more. A lane's surplus says nothing of another's.
fn left_queued(transitions: &[Transition]) -> Vec<(&Arc<Lane>, usize)> {
    if transitions.iter().all(|it| it.to != State::Queued) {
        return Vec::new();
    }
    let mut left: BTreeMap<&Arc<Lane>, isize> = BTreeMap::new();
    for run in transitions.chunk_by(|a, b| Arc::ptr_eq(&a.lane, &b.lane)) {
        let queued = run.iter().filter(|it| it.to == State::Queued).count();
        let leased = run.iter().filter(|it| it.to == State::Running).count();
        *left.entry(&run[0].lane).or_default() += queued as isize - leased as isize;
    }
    left.into_iter().filter_map(|(lane, left)| Some((lane, usize::try_from(left).ok().filter(|it| *it > 0)?))).collect()
}

/// Whether these are as much as one answer has room for.
fn is_heavy(tasks: &[Leased]) -> bool {
    tasks.iter().map(Leased::bytes).sum::<usize>() >= limit::LEASE_BYTES
}

#[cfg(test)]
mod tests {
    use tasklane_core::task::Scope;
    use tasklane_core::time::Timestamp;

    use super::*;

    fn moved(lane: &Arc<Lane>, from: Option<State>, to: State) -> Transition {
        let task = TaskId::from_bytes([0; 16]);
        let (lane, scope, at) = (Arc::clone(lane), Scope::native(), Timestamp::default());
        Transition { task, lane, scope, from, to, reason: Reason::Due, attempt: 1, at }
    }

    #[test]
    fn what_gates_let_through_comes_to_what_was_queued() {
        let [a, b, c] = ["a", "b", "c"].map(|it| Lane::new("q", it));
        let transitions = vec![moved(&b, Some(State::Scheduled), State::Queued)];
        let opened = vec![(Arc::clone(&c), 3), (Lane::new("q", "b"), 2), (Arc::clone(&a), 1)];
        let answers = Answers { transitions, opened, ..Answers::default() };
        assert_eq!(left_to_start(&answers), [(&a, 1), (&b, 3), (&c, 3)]);
    }

    #[test]
    fn what_leaves_a_lane_hides_nothing_that_came_into_another() {
        let (a, b) = (Lane::new("q", "a"), Lane::new("q", "b"));
        let released = moved(&a, Some(State::Running), State::Queued);
        let leased = moved(&b, Some(State::Queued), State::Running);
        let expired = moved(&b, Some(State::Queued), State::Expired);
        let due = moved(&b, Some(State::Scheduled), State::Queued);
        assert_eq!(left_queued(&[released, leased.clone()]), [(&a, 1)]);
        assert_eq!(left_queued(&[expired.clone(), expired, due.clone()]), [(&b, 1)]);
        assert_eq!(left_queued(&[due, leased]), []);
    }
}
