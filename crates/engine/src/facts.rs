//! The facts of tasks this server leased, held until they are settled, so that a report is decided without a read.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::lease::{LeaseKey, Leased};
use tasklane_core::task::{Facts, Progress, TaskId};
use tokio::time::Instant;

use crate::inside::lock;

/// How often the progress of one task is written at most.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How long after its end a lease is rescued at the latest, while the store answers.
const RESCUED_WITHIN: Duration = Duration::from_secs(1);

/// Most cancellations remembered for tasks whose lease this server has not heard of yet.
const EARLY_CANCELS: usize = 10_000;

pub(crate) struct HeldFacts {
    /// Other servers hold facts, too.
    is_shared: bool,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    held: HashMap<TaskId, Held>,
    /// Those of `held` that somebody asked to cancel: few, so that each reply can look through them.
    asked: BTreeSet<TaskId>,
    /// The first moment at which one of `held` may be overdue, unless its lease was renewed since.
    next_overdue: Option<Instant>,
    /// Attempts cancelled between the commit of their lease and the news of it.
    early: HashMap<TaskId, u32>,
}

struct Held {
    facts: Facts,
    worker: Arc<str>,
    /// The worker was told of the cancellation.
    told: bool,
    /// When the lease was last granted or renewed here, or known to be valid.
    renewed: Instant,
    progress_written: Option<Instant>,
    progress: Option<Progress>,
}

/// What to do with a sign of life.
pub(crate) enum Heard {
    /// Write it now.
    Write(Option<Progress>),
    /// It is remembered and written within a second.
    Later,
    /// This server does not hold the lease: the store knows.
    Unknown(Option<Progress>),
}

impl HeldFacts {
    /// None yet; `is_shared`: other servers hold facts of tasks of the same store.
    pub fn new(is_shared: bool) -> Self {
        Self { is_shared, table: Mutex::default() }
    }

    /// Holds the facts of tasks just leased to `worker`.
    pub fn hold(&self, worker: &Arc<str>, leased: &[Leased]) {
        let mut guard = lock(&self.table);
        let table = &mut *guard;
        let now = Instant::now();
        for task in leased {
            let id = task.facts.id;
            let mut facts = task.facts.clone();
            facts.cancel_requested |= table.early.remove(&id) == Some(facts.attempt);
            if facts.cancel_requested {
                table.asked.insert(id);
            } else if !table.asked.is_empty() {
                // Of an attempt before, whose end at another server was not heard of.
                table.asked.remove(&id);
            }
            let worker = Arc::clone(worker);
            table.add(Held { facts, worker, told: false, renewed: now, progress_written: None, progress: None });
        }
    }

    /// The facts under these leases; `None` where this server does not hold them (any more).
    pub fn of(&self, keys: impl Iterator<Item = LeaseKey>) -> Vec<Option<Facts>> {
        let table = lock(&self.table);
        keys.map(|key| table.held.get(&key.id).filter(|it| it.holds(key)).map(|it| it.facts.clone())).collect()
    }

    /// Whether this server holds this lease.
    pub fn holds(&self, key: LeaseKey) -> bool {
        lock(&self.table).held.get(&key.id).is_some_and(|it| it.holds(key))
    }

    /// Whether this server holds this attempt, or a later one.
    pub fn holds_attempt(&self, id: TaskId, attempt: u32) -> bool {
        lock(&self.table).held.get(&id).is_some_and(|it| it.facts.attempt >= attempt)
    }

    /// Whether this server holds a lease of this task.
    pub fn holds_any(&self, id: TaskId) -> bool {
        lock(&self.table).held.contains_key(&id)
    }

    /// The workers that these attempts were leased to, each once.
    pub fn workers_of(&self, attempts: impl Iterator<Item = (TaskId, u32)>) -> BTreeSet<Arc<str>> {
        let mut attempts = attempts.peekable();
        if attempts.peek().is_none() {
            return BTreeSet::new();
        }
        let table = lock(&self.table);
        let held = attempts.filter_map(|(id, attempt)| table.held.get(&id).filter(|it| it.facts.attempt <= attempt));
        held.map(|it| Arc::clone(&it.worker)).collect()
    }

    /// Forgets attempts that ended. The news of a later attempt may have come before that of its predecessor's end: what
    /// is held of it stays.
    pub fn forget(&self, attempts: impl Iterator<Item = (TaskId, u32)>) {
        let mut guard = lock(&self.table);
        let table = &mut *guard;
        for (id, attempt) in attempts {
            if let Entry::Occupied(held) = table.held.entry(id)
                && held.get().facts.attempt <= attempt
            {
                held.remove();
                if !table.asked.is_empty() {
                    table.asked.remove(&id);
                }
            }
            if !table.early.is_empty() && table.early.get(&id).is_some_and(|it| *it <= attempt) {
                table.early.remove(&id);
            }
        }
    }

    /// Forgets leases that are no more.
    pub fn forget_leases(&self, keys: &[LeaseKey]) {
        let held: Vec<_> = keys.iter().filter(|key| self.holds(**key)).map(|key| (key.id, key.attempt)).collect();
        self.forget(held.into_iter());
    }

    /// The leases held here of these tasks.
    pub fn keys_of(&self, ids: &[TaskId]) -> Vec<LeaseKey> {
        let table = lock(&self.table);
        ids.iter().filter_map(|id| table.held.get(id)?.key()).collect()
    }

    /// These leases are valid at `now`.
    pub fn renewed(&self, keys: &[LeaseKey], now: Instant) {
        let mut table = lock(&self.table);
        for key in keys {
            if let Some(held) = table.held.get_mut(&key.id).filter(|it| it.holds(*key)) {
                held.renewed = now;
            }
        }
    }

    /// Leases that were not renewed here for longer than they last.
    pub fn silent(&self, now: Instant) -> Vec<LeaseKey> {
        let mut table = lock(&self.table);
        let overdue = table.overdue(now);
        // A little later, so that whoever rescues them has.
        let silent = overdue.iter().filter(|it| it.renewed + it.length() + RESCUED_WITHIN <= now);
        let mut silent: Vec<_> = silent.filter_map(|it| it.key()).collect();
        silent.sort_unstable();
        silent
    }

    /// Workers that have hardly any time left to renew a lease.
    pub fn overdue(&self, now: Instant) -> BTreeSet<Arc<str>> {
        lock(&self.table).overdue(now).iter().map(|it| Arc::clone(&it.worker)).collect()
    }

    /// Whether there is a cancellation that this worker was not told of.
    pub fn has_news(&self, worker: &str) -> bool {
        let table = lock(&self.table);
        let of_worker = |it: &&Held| *it.worker == *worker && !it.told;
        table.asked.iter().filter_map(|id| table.held.get(id)).any(|it| of_worker(&it))
    }

    /// Those of `keys` whose lease this server does not hold.
    pub fn unknown(&self, keys: &[LeaseKey]) -> Vec<LeaseKey> {
        let table = lock(&self.table);
        let is_held = |key: &LeaseKey| table.held.get(&key.id).is_some_and(|it| it.holds(*key));
        keys.iter().filter(|key| !is_held(key)).copied().collect()
    }

    /// Holds the facts of a task that runs on `worker` under a lease of another start of the server.
    pub fn adopt(&self, worker: &Arc<str>, facts: Facts) {
        let mut guard = lock(&self.table);
        let table = &mut *guard;
        let id = facts.id;
        // What is held of a later attempt stays. An earlier one was lost to another server.
        if table.held.get(&id).is_some_and(|it| it.facts.attempt >= facts.attempt) {
            return;
        }
        table.asked.remove(&id);
        if facts.cancel_requested {
            table.asked.insert(id);
        }
        let (worker, renewed) = (Arc::clone(worker), Instant::now());
        table.add(Held { facts, worker, told: false, renewed, progress_written: None, progress: None });
    }

    /// Notes that somebody asked to cancel this attempt; answers with its worker, unless it was told.
    pub fn request_cancel(&self, id: TaskId, attempt: u32) -> Option<Arc<str>> {
        let mut guard = lock(&self.table);
        let table = &mut *guard;
        let Some(entry) = table.held.get_mut(&id) else {
            // Of a shared store the next look at its cancellations says it again.
            if !self.is_shared {
                if table.early.len() >= EARLY_CANCELS {
                    table.early.clear();
                }
                table.early.insert(id, attempt);
            }
            return None;
        };
        if entry.facts.attempt != attempt {
            return None;
        }
        entry.facts.cancel_requested = true;
        table.asked.insert(id);
        (!entry.told).then(|| Arc::clone(&entry.worker))
    }

    /// The tasks of `worker` to be cancelled, and the leases of those it is told of for the first time.
    pub fn cancels(&self, worker: &str) -> (Vec<TaskId>, Vec<LeaseKey>) {
        let mut guard = lock(&self.table);
        let Table { held, asked, .. } = &mut *guard;
        let mut all = Vec::new();
        let mut first = Vec::new();
        for id in asked.iter() {
            let Some(entry) = held.get_mut(id).filter(|it| *it.worker == *worker) else { continue };
            all.push(*id);
            if !std::mem::replace(&mut entry.told, true) {
                first.extend(entry.key());
            }
        }
        (all, first)
    }

    /// A sign of life came with `key`.
    pub fn heard(&self, key: LeaseKey, progress: Option<Progress>, now: Instant) -> Heard {
        let mut table = lock(&self.table);
        let Some(entry) = table.held.get_mut(&key.id).filter(|it| it.holds(key)) else {
            return Heard::Unknown(progress);
        };
        if entry.progress_written.is_some_and(|at| now.duration_since(at) < entry.written_every()) {
            entry.progress = progress.or(entry.progress.take());
            return Heard::Later;
        }
        entry.progress_written = Some(now);
        entry.progress = None;
        Heard::Write(progress)
    }

    /// Progress that was put off and may be written now.
    pub fn put_off(&self, now: Instant) -> Vec<(LeaseKey, Option<Progress>)> {
        let mut table = lock(&self.table);
        let ripe = table.held.values_mut().filter(|it| {
            it.progress.is_some() && it.progress_written.is_none_or(|at| now.duration_since(at) >= PROGRESS_EVERY)
        });
        let mut ripe: Vec<_> = ripe
            .filter_map(|entry| {
                entry.progress_written = Some(now);
                Some((entry.key()?, entry.progress.take()))
            })
            .collect();
        ripe.sort_unstable_by_key(|(key, _)| *key);
        ripe
    }

    /// How many tasks each worker holds.
    pub fn count_by_worker(&self) -> HashMap<Arc<str>, usize> {
        let mut counts = HashMap::new();
        for held in lock(&self.table).held.values() {
            *counts.entry(Arc::clone(&held.worker)).or_default() += 1;
        }
        counts
    }

    pub fn len(&self) -> usize {
        lock(&self.table).held.len()
    }
}

impl Table {
    fn add(&mut self, held: Held) {
        let overdue = held.overdue_at();
        self.next_overdue = Some(self.next_overdue.map_or(overdue, |it| it.min(overdue)));
        self.held.insert(held.facts.id, held);
    }

    /// Those that have hardly any time left to be renewed. Looks through all only where the oldest may be so far: every
    /// so often, for leases that are renewed.
    fn overdue(&mut self, now: Instant) -> Vec<&Held> {
        if self.next_overdue.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.next_overdue = self.held.values().map(Held::overdue_at).min();
        self.held.values().filter(|it| it.overdue_at() <= now).collect()
    }
}

impl Held {
    fn length(&self) -> Duration {
        self.facts.lease.as_ref().map_or(Duration::ZERO, |it| it.length)
    }

    /// When nine tenths of the lease are over.
    fn overdue_at(&self) -> Instant {
        self.renewed + self.length().mul_f64(0.9)
    }

    /// How often a sign of life is written: where the task may not be silent for long, often enough that one put off
    /// hardly shortens what it may be silent.
    fn written_every(&self) -> Duration {
        self.facts.spec.heartbeat_timeout.map_or(PROGRESS_EVERY, |most| PROGRESS_EVERY.min(most / 10))
    }

    fn key(&self) -> Option<LeaseKey> {
        let token = self.facts.lease.as_ref()?.token;
        Some(LeaseKey { id: self.facts.id, attempt: self.facts.attempt, token })
    }

    fn holds(&self, key: LeaseKey) -> bool {
        self.key() == Some(key)
    }
}
