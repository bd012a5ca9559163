//! The model: what a store means, in the plainest words. Ordered maps under one lock, every change through
//! [`Task::apply`]. Tests hold the other stores against it; nothing is tuned here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::decision::Decision;
use tasklane_core::error::StoreError;
use tasklane_core::event::{Position, Transition};
use tasklane_core::fair::{Fairness, Turns};
use tasklane_core::gate::{Definition, Gate, GateDetail, GateName, SetBy, Starts};
use tasklane_core::lease::{Home, LeaseKey};
use tasklane_core::log::{LogLine, Tally};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::clock::Clock;
use tasklane_core::ports::records::Records;
use tasklane_core::ports::store::{
    Answers, Batch, CancelAsked, EventPage, LogPage, LogQuery, Standing, Store, StoreStats, TaskFilter, TaskPage,
};
use tasklane_core::queue::{Counts, LaneCounts, Queue, QueueState};
use tasklane_core::record::{Kind, Record};
use tasklane_core::rescue::Host;
use tasklane_core::sabotage::{self, Sabotage};
use tasklane_core::schedule::Came;
use tasklane_core::settle::Mark;
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, Facts, Lane, Task, TaskId, Unique};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::outbox::{Moved, Outbox};
use uuid::Uuid;

use self::gate::Paused;
use crate::clock::StoreClock;

mod accept;
mod control;
mod fair;
mod gate;
mod hand;
mod inspect;
mod lease;
mod notes;
mod promote;
mod record;
mod renew;
mod rescue;
mod settle;
mod sweep;

/// A store that forgets everything when it is dropped.
pub struct MemoryStore {
    clock: StoreClock,
    model: Mutex<Model>,
}

/// A task and what the store knows beyond it.
struct Kept {
    /// Its number in the order of acceptance.
    seq: u64,
    task: Task,
    history: Vec<Attempt>,
    /// The last settlement that held, so that its repetition is known.
    settled: Option<(LeaseKey, Mark)>,
    lines: Vec<LogLine>,
    tallies: BTreeMap<u32, Tally>,
    checkpoints: BTreeMap<Box<str>, Checkpoint>,
    /// Where the last attempt runs or ran.
    home: Home,
    /// Whether the server in which it ran has ended.
    host: Host,
}

impl Kept {
    fn new(seq: u64, task: Task) -> Self {
        let (lines, tallies, checkpoints) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let (home, host) = (Home::Apart, Host::Up);
        Self { seq, task, history: Vec::new(), settled: None, lines, tallies, checkpoints, home, host }
    }
}

/// Who a key leads to. `gone` is the last state of a task that was removed while its key was still remembered.
struct KeyHolder {
    id: TaskId,
    fingerprint: Option<u64>,
    until: Option<Timestamp>,
    gone: Option<State>,
}

type TenantKey = (Box<str>, Box<str>);

#[derive(Default)]
struct Model {
    tasks: BTreeMap<TaskId, Kept>,
    order: BTreeMap<u64, TaskId>,
    next_seq: u64,
    lanes: BTreeSet<Arc<Lane>>,
    queues: BTreeMap<Box<str>, QueueState>,
    idempotency: BTreeMap<TenantKey, KeyHolder>,
    unique: BTreeMap<TenantKey, KeyHolder>,
    /// What was said of each gate.
    gates: BTreeMap<GateName, Definition>,
    /// When tasks started at gates with a rate.
    starts: BTreeMap<GateName, Starts>,
    records: BTreeMap<(Kind, Uuid), Record>,
    records_versions: BTreeMap<Kind, u64>,
    /// What the slots of schedules came to.
    slots: BTreeMap<(Uuid, Timestamp), Came>,
    fairness: Fairness,
    /// Lanes that had a task of a named tenant.
    shared: BTreeSet<Arc<Lane>>,
    /// Of lanes and priorities.
    turns: BTreeMap<(Arc<Lane>, i32), Turns>,
    /// The moment of the commit or the read that is under way.
    now: Timestamp,
    /// Up to which moment it was told that gates opened by time.
    told_at: Timestamp,
    /// All starts at gates with a rate that may have counted then: leases since forget those that no longer do.
    counted_then: BTreeMap<GateName, Vec<Timestamp>>,
    log: VecDeque<(Position, Timestamp, Vec<Transition>)>,
    position: Position,
    commits: u64,
    sweep: sweep::Cursor,
    /// The commit under way removed or hid a task: it has a place in the log even if it has no event.
    removed: bool,
    closed: bool,
}

/// One commit under way.
struct Tx<'a> {
    model: &'a mut Model,
    now: Timestamp,
    answers: Answers,
    outbox: Outbox,
}

impl MemoryStore {
    /// An empty store on this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::with(clock, Fairness::default())
    }

    /// The same, with turns as this says.
    pub fn with(clock: Arc<dyn Clock>, fairness: Fairness) -> Arc<Self> {
        Arc::new(Self { clock: StoreClock::anchor(clock, None), model: Mutex::new(Model::with(fairness)) })
    }

    /// What a store does when it is opened again: leases granted before count anew from now
    /// ([`tasklane_core::lease::Lease::count_anew`]), what ran in the server is cut off, sweep begins a new round, and the
    /// last turns of tenants are told by what is queued.
    pub fn reopened(&self) {
        if sabotage::is(Sabotage::RescueWithoutGrace) {
            return;
        }
        let now = self.clock.now();
        let mut model = self.model();
        model.sweep = sweep::Cursor::default();
        model.turns.values_mut().for_each(Turns::forget_tails);
        for kept in model.tasks.values_mut() {
            let Some(lease) = &mut kept.task.facts.lease else { continue };
            match kept.home {
                Home::Apart => lease.count_anew(now),
                Home::InServer => {
                    kept.host = Host::Ended;
                    lease.cut_off(now);
                }
            }
        }
    }

    /// What a store may do once no task that it keeps names a gate: forget what tasks said of it. Answers whether only they
    /// did.
    pub fn forget_gate(&self, name: &GateName) -> bool {
        let mut model = self.model();
        let own = model.gates.get(name).is_some_and(|it| it.set_by == SetBy::Task);
        if own {
            model.gates.remove(name);
            model.starts.remove(name);
            model.counted_then.remove(name);
        }
        own
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        // A panic within a commit is a bug in the model; what it left is still the best there is.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<'a, T: Send + 'a>(&self, read: impl FnOnce(&Model) -> T) -> BoxFuture<'a, Result<T, StoreError>> {
        let mut model = self.model();
        model.now = self.clock.now();
        let answer = if model.closed { Err(closed()) } else { Ok(read(&model)) };
        Box::pin(std::future::ready(answer))
    }
}

fn closed() -> StoreError {
    StoreError::Away("it was closed".into())
}

impl Store for MemoryStore {
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Answers, StoreError>> {
        let mut model = self.model();
        let answer = if model.closed {
            Err(closed())
        } else {
            let now = self.clock.now();
            model.now = now;
            let outbox = Outbox::of([&batch]);
            Ok(Tx { model: &mut model, now, answers: Answers::default(), outbox }.run(batch))
        };
        Box::pin(std::future::ready(answer))
    }

    fn tasks(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Task>>, StoreError>> {
        self.read(|model| model.read(&ids))
    }

    fn facts(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Facts>>, StoreError>> {
        self.read(|model| ids.iter().map(|id| model.shown(*id).map(|kept| kept.task.facts.clone())).collect())
    }

    fn list(
        &self,
        filter: TaskFilter,
        below: Option<TaskId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<TaskPage, StoreError>> {
        self.read(|model| model.list(&filter, below, limit))
    }

    fn attempts(&self, id: TaskId) -> BoxFuture<'_, Result<Option<Vec<Attempt>>, StoreError>> {
        self.read(|model| model.attempts(id))
    }

    fn logs(&self, id: TaskId, query: LogQuery) -> BoxFuture<'_, Result<Option<LogPage>, StoreError>> {
        self.read(|model| model.logs(id, query))
    }

    fn standing(&self, id: TaskId, most: u64) -> BoxFuture<'_, Result<Option<Standing>, StoreError>> {
        self.read(|model| model.standing(id, most))
    }

    fn queues(&self, name: Option<Box<str>>) -> BoxFuture<'_, Result<Vec<Queue>, StoreError>> {
        self.read(|model| model.queues(name.as_deref()))
    }

    fn counts(&self, origin: Box<str>, tenant: Option<Box<str>>) -> BoxFuture<'_, Result<Counts, StoreError>> {
        self.read(|model| model.counts(&origin, tenant.as_deref()))
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn knows(&self, lane: &Lane) -> bool {
        self.model().lanes.contains(lane)
    }

    fn lanes(&self) -> BoxFuture<'_, Result<Vec<LaneCounts>, StoreError>> {
        self.read(Model::lanes)
    }

    fn gates(&self, after: Option<GateName>, most: usize) -> BoxFuture<'_, Result<Vec<Gate>, StoreError>> {
        self.read(|model| model.gates(after.as_ref(), most))
    }

    fn gate(&self, name: GateName) -> BoxFuture<'_, Result<Option<GateDetail>, StoreError>> {
        self.read(|model| model.gate(&name))
    }

    fn ended(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<TaskId>, StoreError>> {
        self.read(|model| model.ended(ids))
    }

    fn lost(&self, keys: Vec<LeaseKey>) -> BoxFuture<'_, Result<Vec<LeaseKey>, StoreError>> {
        self.read(|model| keys.into_iter().filter(|key| !model.is_held(key)).collect())
    }

    fn cancels(&self) -> BoxFuture<'_, Result<Vec<CancelAsked>, StoreError>> {
        self.read(Model::cancels)
    }

    fn events(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        self.read(|model| model.events(after, limit))
    }

    fn crash_loops(
        &self,
        after: Position,
        since: Timestamp,
        most: usize,
    ) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        self.read(|model| model.crash_loops(after, since, most))
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        self.read(Model::stats)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.model().closed = true;
        Box::pin(std::future::ready(()))
    }
}

impl Tx<'_> {
    /// Every verb in the order of the road.
    fn run(mut self, batch: Batch) -> Answers {
        // Where nothing is known of gates, none opens.
        let mut before = self.model.knows_gates().then(|| self.model.startable(Paused::With));
        for key in &batch.renew {
            let held = self.renew(key);
            self.answers.renew.push(held);
        }
        for (key, progress) in batch.progress {
            let held = self.progress(&key, progress);
            self.answers.progress.push(held);
        }
        for key in &batch.grace {
            let held = self.grace(key);
            self.answers.grace.push(held);
        }
        for (key, lines) in &batch.logs {
            let logged = self.log(key, lines);
            self.answers.logs.push(logged);
        }
        for (key, checkpoint) in batch.checkpoints {
            let kept = self.checkpoint(&key, checkpoint);
            self.answers.checkpoints.push(kept);
        }
        for settlement in batch.settle {
            let settled = self.settle(settlement);
            self.answers.settle.push(settled);
        }
        for (id, hand) in batch.hand {
            let ruled = self.hand(id, hand);
            self.answers.hand.push(ruled);
        }
        batch.control.into_iter().for_each(|(queue, state)| self.control(queue, state));
        self.answers.gate = batch.gate.into_iter().map(|set| self.set_gate(set)).collect();
        self.answers.record = batch.record.into_iter().map(|set| self.set_record(set)).collect();
        for submission in batch.accept {
            let accepted = self.accept(submission);
            self.answers.accept.push(accepted);
        }
        self.promote(batch.promote);
        for request in &batch.lease {
            let leased = self.lease(request);
            self.answers.lease.push(leased);
        }
        if let Some(before) = before.as_mut().filter(|_| batch.rescue > 0) {
            self.still_startable(before);
        }
        self.rescue(batch.rescue, batch.seed);
        if let Some(sweep) = batch.sweep {
            self.sweep(&sweep);
        }
        self.deliver();
        if batch.promote > 0 {
            self.model.told_at = self.now;
            self.model.forget_starts();
        }
        if let Some(before) = before {
            self.tell_opened(&before);
        }
        self.finish()
    }

    /// Accepts the deliveries that follow from the commit.
    fn deliver(&mut self) {
        for (_, delivery) in self.outbox.take() {
            self.insert(delivery);
        }
    }

    fn finish(mut self) -> Answers {
        self.model.commits += 1;
        if !self.answers.transitions.is_empty() || self.model.removed {
            self.model.removed = false;
            self.model.position.0 += 1;
            self.model.log.push_back((self.model.position, self.now, self.answers.transitions.clone()));
        }
        let due = self.model.tasks.values().filter_map(|kept| kept.task.facts.due_at());
        let due = due.chain(self.model.next_opening()).min();
        self.answers.next_due = due.map(|at| at.since(self.now));
        self.answers.position = self.model.position;
        self.answers
    }

    /// Carries out a decision on a task that exists.
    fn apply(&mut self, id: TaskId, decision: Decision) {
        let turn = self.turn_by(id, &decision);
        let Some(kept) = self.model.tasks.get_mut(&id) else { return };
        let applied = kept.task.apply(decision, self.now);
        kept.task.turn = turn;
        if let Some(ended) = applied.ended
            && kept.history.iter().all(|it| it.attempt != ended.attempt)
        {
            kept.history.push(ended);
        }
        let task = kept.task.clone();
        self.outbox.follow(0, &Moved::of(&task, applied.transition.from, self.now));
        self.answers.transitions.push(applied.transition);
        if task.facts.state.is_final() {
            self.model.let_go(&task, self.now);
        }
    }
}

impl Model {
    /// The task that runs under this lease.
    fn running(&mut self, key: &LeaseKey) -> Option<&mut Task> {
        let task = &mut self.tasks.get_mut(&key.id)?.task;
        let runs = task.facts.state == State::Running;
        let holds = task.facts.runs_under(key) || (runs && sabotage::is(Sabotage::BrokenFence));
        holds.then_some(task)
    }

    /// Whether a task runs under this lease.
    fn is_held(&self, key: &LeaseKey) -> bool {
        self.tasks.get(&key.id).is_some_and(|kept| kept.task.facts.runs_under(key))
    }

    /// A task became final: its unique key is free, or is from the moment it was to be held to.
    fn let_go(&mut self, task: &Task, now: Timestamp) {
        let Some((name, unique)) = unique_key(task) else { return };
        if self.unique.get(&name).is_none_or(|holder| holder.id != task.facts.id) {
            return;
        }
        match (unique.held_until(task.created_at, now), self.unique.get_mut(&name)) {
            (Some(until), Some(holder)) => holder.until = Some(until),
            _ => drop(self.unique.remove(&name)),
        }
    }

    /// A task is no more.
    fn remove(&mut self, id: TaskId) -> Option<Task> {
        let kept = self.tasks.remove(&id)?;
        self.order.remove(&kept.seq);
        self.removed = true;
        let state = kept.task.facts.state;
        let keys = self.unique.values_mut().chain(self.idempotency.values_mut());
        keys.filter(|holder| holder.id == id).for_each(|holder| holder.gone = Some(state));
        Some(kept.task)
    }
}

fn unique_key(task: &Task) -> Option<(TenantKey, &Unique)> {
    let unique = task.facts.spec.unique.as_ref()?;
    Some(((task.facts.scope.tenant.clone(), unique.key.clone()), unique))
}
