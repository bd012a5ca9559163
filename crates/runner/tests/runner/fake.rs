//! A server in memory: keeps tasks, leases, and what it was told, and loses requests and answers as its script says.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::gate::no_keys;
use tasklane_core::lease::{Lease, LeaseKey, Leased, Token, mix};
use tasklane_core::log::Line;
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::{Context, Executor};
use tasklane_core::state::State;
use tasklane_core::task::{Facts, Lane, Progress, Scope, Spec, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_runner::{LeaseSource, Reply, Report, Runner, RunnerHandle, SourceError, Want};
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

/// How the server misbehaves; chances in percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Script {
    pub seed: u64,
    pub lose_request: u64,
    pub lose_answer: u64,
    pub latency: Duration,
    /// Answers wishes at once, with or without work.
    pub impatient: bool,
}

/// Most items of a list, as over HTTP.
pub const ITEMS: usize = 10_000;

#[derive(Debug)]
pub struct FakeTask {
    lane: Arc<Lane>,
    spec: Arc<Spec>,
    pub attempt: u32,
    /// The valid lease and its end.
    pub lease: Option<(LeaseKey, Instant)>,
    /// Outcomes that were accepted, with their time; one is the end, but for those that give the task back.
    pub accepted: Vec<(LeaseKey, Outcome, Instant)>,
    pub expired: u32,
    cancel: bool,
}

#[derive(Default)]
pub struct State_ {
    pub tasks: HashMap<TaskId, FakeTask>,
    queue: VecDeque<TaskId>,
    pub exchanges: usize,
    pub open_wants: Vec<Want>,
    pub most_leased: usize,
    pub progress: Vec<(Instant, LeaseKey, Progress)>,
    /// What each attempt said, repetitions dropped, and what it put aside; with the time of arrival.
    pub logs: HashMap<LeaseKey, Vec<(Instant, Line)>>,
    pub checkpoints: Vec<(Instant, LeaseKey, Checkpoint)>,
    /// Refuses checkpoints of this name.
    pub refuses_checkpoint: Option<Box<str>>,
    /// Refuses reports with a checkpoint of this name.
    pub poison_checkpoint: Option<Box<str>>,
    pub lost: usize,
    /// Items of the longest list of renewals or progress.
    pub longest: usize,
    /// Every exchange fails.
    pub away: bool,
    /// Outcomes that make it refuse a report.
    pub refuses: Option<Bytes>,
    /// An answer that brings tasks waits for this.
    pub gate: Option<Arc<Notify>>,
    /// Answered in the next exchange, whatever is true.
    pub false_lost: Vec<TaskId>,
}

pub struct FakeServer {
    state: Mutex<State_>,
    pub changed: Notify,
    script: Script,
    drawn: AtomicU64,
    pub lease: Duration,
}

pub fn id(n: usize) -> TaskId {
    TaskId(Uuid::from_u128(n as u128))
}

impl FakeServer {
    pub fn new(script: Script) -> Arc<Self> {
        Self::lasting(script, Duration::from_secs(30))
    }

    /// One whose leases last so long.
    pub fn lasting(script: Script, lease: Duration) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Notify::new());
        Arc::new(Self { state, changed, script, drawn: AtomicU64::new(0), lease })
    }

    pub fn state(&self) -> MutexGuard<'_, State_> {
        self.state.lock().unwrap()
    }

    pub fn add(&self, ids: std::ops::Range<usize>, task_type: &str, spec: Spec) {
        let (lane, spec) = (Lane::new("default", task_type), Arc::new(spec));
        let mut state = self.state();
        for n in ids {
            let (lane, spec) = (Arc::clone(&lane), Arc::clone(&spec));
            let task =
                FakeTask { lane, spec, attempt: 0, lease: None, accepted: Vec::new(), expired: 0, cancel: false };
            state.tasks.insert(id(n), task);
            state.queue.push_back(id(n));
        }
        drop(state);
        self.changed.notify_waiters();
    }

    pub fn cancel(&self, n: usize) {
        self.state().tasks.get_mut(&id(n)).unwrap().cancel = true;
        self.changed.notify_waiters();
    }

    pub fn set_away(&self, away: bool) {
        self.state().away = away;
    }

    /// Ends once the state is as it should be, and fails if it never is.
    pub async fn until(&self, holds: impl Fn(&State_) -> bool) {
        let holding = self.look_until(holds);
        tokio::time::timeout(secs(100_000), holding).await.expect("what was waited for did not come about");
    }

    async fn look_until(&self, holds: impl Fn(&State_) -> bool) {
        loop {
            let mut change = std::pin::pin!(self.changed.notified());
            change.as_mut().enable();
            if holds(&self.state()) {
                return;
            }
            change.await;
        }
    }

    /// Ends once every task has an outcome that ends it.
    pub async fn all_done(&self) {
        self.until(|state| state.tasks.values().all(|it| it.outcome().is_some())).await;
    }

    fn chance(&self, percent: u64) -> bool {
        mix(self.script.seed, self.drawn.fetch_add(1, Ordering::Relaxed)) % 100 < percent
    }

    async fn lag(&self) {
        if !self.script.latency.is_zero() {
            let random = mix(self.script.seed, self.drawn.fetch_add(1, Ordering::Relaxed)) % 100;
            tokio::time::sleep(self.script.latency * random as u32 / 100).await;
        }
    }

    async fn answer(&self, report: Report) -> Result<Reply, SourceError> {
        self.lag().await;
        if self.chance(self.script.lose_request) || self.state().away {
            return Err(SourceError::Away("lost request".into()));
        }
        let mut reply = self.state().take(&report, self.lease)?;
        self.changed.notify_waiters();
        if let Some(want) = report.want {
            let over = Instant::now() + if self.script.impatient { Duration::ZERO } else { want.wait };
            self.state().open_wants.push(want);
            let _close = Close(self, want);
            loop {
                let mut change = std::pin::pin!(self.changed.notified());
                change.as_mut().enable();
                self.state().lease(want.limit, self.lease, &mut reply);
                if !reply.tasks.is_empty() || !reply.cancel.is_empty() || Instant::now() >= over {
                    break;
                }
                // Looks every second, as leases that run out make no noise.
                let next = over.min(Instant::now() + Duration::from_secs(1));
                tokio::select! { () = change => {}, () = tokio::time::sleep_until(next) => {} }
            }
        } else {
            self.state().lease(0, self.lease, &mut reply);
        }
        self.lag().await;
        let gate = self.state().gate.clone().filter(|_| !reply.tasks.is_empty());
        if let Some(gate) = gate {
            gate.notified().await;
        }
        if self.chance(self.script.lose_answer) || self.state().away {
            return Err(SourceError::Away("lost answer".into()));
        }
        Ok(reply)
    }
}

/// A wish is over when its exchange is, also when that is dropped.
struct Close<'a>(&'a FakeServer, Want);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        let place = state.open_wants.iter().position(|it| *it == self.1).unwrap();
        state.open_wants.remove(place);
    }
}

impl LeaseSource for FakeServer {
    fn exchange(&self, report: Report) -> BoxFuture<'_, Result<Reply, SourceError>> {
        Box::pin(self.answer(report))
    }
}

impl FakeTask {
    /// The outcome that ended it, if one did.
    pub fn outcome(&self) -> Option<&Outcome> {
        let ends = |it: &&(LeaseKey, Outcome, Instant)| !matches!(it.1, Outcome::Released);
        self.accepted.iter().find(ends).map(|it| &it.1)
    }
}

impl State_ {
    pub fn task(&self, n: usize) -> &FakeTask {
        &self.tasks[&id(n)]
    }

    fn valid(&mut self, key: &LeaseKey, reply: &mut Reply) -> Option<&mut FakeTask> {
        let task = self.tasks.get_mut(&key.id).unwrap();
        if task.lease.is_some_and(|(lease, _)| lease == *key) {
            return Some(task);
        }
        if !task.accepted.iter().any(|(accepted, ..)| accepted == key) {
            self.lost += 1;
            reply.lost.push(key.id);
        }
        None
    }

    fn take(&mut self, report: &Report, length: Duration) -> Result<Reply, SourceError> {
        self.exchanges += 1;
        let now = Instant::now();
        let mut reply = Reply { lost: std::mem::take(&mut self.false_lost), ..Reply::default() };
        let refused = self.refuses.clone().map(Outcome::Succeeded);
        if report.outcomes.iter().any(|(_, outcome)| Some(outcome) == refused.as_ref()) {
            return Err(SourceError::Refused("bad JSON".into()));
        }
        let poison = report.checkpoints.iter().any(|(_, it)| Some(&it.name) == self.poison_checkpoint.as_ref());
        self.longest = self.longest.max(report.renew.len()).max(report.progress.len());
        if poison || self.longest.max(report.logs.len()).max(report.checkpoints.len()) > ITEMS {
            return Err(SourceError::Refused("no such list".into()));
        }
        self.expire(now);
        for key in &report.renew {
            if let Some(task) = self.valid(key, &mut reply) {
                task.lease = Some((*key, now + length));
            }
        }
        for (key, progress) in &report.progress {
            if self.valid(key, &mut reply).is_some() {
                self.progress.push((now, *key, progress.clone().unwrap()));
            }
        }
        for (key, line) in &report.logs {
            if self.valid(key, &mut reply).is_some() {
                let lines = self.logs.entry(*key).or_default();
                if lines.last().is_none_or(|(_, last)| line.n > last.n) {
                    lines.push((now, line.clone()));
                }
            }
        }
        for (key, checkpoint) in &report.checkpoints {
            if self.valid(key, &mut reply).is_none() {
            } else if self.refuses_checkpoint.as_ref() == Some(&checkpoint.name) {
                reply.refused.push((key.id, format!("{} was not kept", checkpoint.name)));
            } else {
                self.checkpoints.push((now, *key, checkpoint.clone()));
            }
        }
        for (key, outcome) in &report.outcomes {
            if let Some(task) = self.valid(key, &mut reply) {
                task.lease = None;
                task.accepted.push((*key, outcome.clone(), now));
                if *outcome == Outcome::Released {
                    self.queue.push_back(key.id);
                }
            }
        }
        Ok(reply)
    }

    fn expire(&mut self, now: Instant) {
        for (id, task) in &mut self.tasks {
            if task.lease.is_some_and(|(_, until)| until <= now) {
                task.lease = None;
                task.expired += 1;
                self.queue.push_front(*id);
            }
        }
    }

    fn lease(&mut self, limit: usize, length: Duration, reply: &mut Reply) {
        let now = Instant::now();
        self.expire(now);
        let most = limit.min(self.queue.len());
        for id in self.queue.drain(..most).collect::<Vec<_>>() {
            let task = self.tasks.get_mut(&id).unwrap();
            task.attempt += 1;
            let key = LeaseKey { id, attempt: task.attempt, token: Token::nth(7, task.attempt as usize) };
            task.lease = Some((key, now + length));
            reply.tasks.push(leased(key, task, length));
        }
        let leased = self.tasks.values().filter(|it| it.lease.is_some()).count();
        self.most_leased = self.most_leased.max(leased);
        for (id, task) in &mut self.tasks {
            if task.lease.is_some() && std::mem::take(&mut task.cancel) {
                reply.cancel.push(*id);
            }
        }
    }
}

fn leased(key: LeaseKey, task: &FakeTask, length: Duration) -> Leased {
    let lease =
        Lease { token: key.token, length, until: Timestamp::EPOCH, heard_at: Timestamp::EPOCH, grace_until: None };
    let facts = Facts {
        id: key.id,
        lane: Arc::clone(&task.lane),
        scope: Scope::native(),
        spec: Arc::clone(&task.spec),
        gates: no_keys(),
        state: State::Running,
        attempt: key.attempt,
        spent: 0,
        crashes: 0,
        cancel_requested: false,
        run_at: None,
        started_at: None,
        lease: Some(lease),
    };
    Leased { facts, payload: Bytes::from_static(b"null"), waited: Duration::ZERO, checkpoints: Vec::new() }
}

type Handle = dyn Fn(Arc<Leased>, Arc<dyn Context>) -> BoxFuture<'static, Outcome> + Send + Sync;

/// An executor of one type made of a closure.
pub struct Handler(pub &'static str, pub Box<Handle>);

impl Executor for Handler {
    fn types(&self) -> Vec<Box<str>> {
        vec![self.0.into()]
    }

    fn run(&self, task: Arc<Leased>, context: Arc<dyn Context>) -> BoxFuture<'static, Outcome> {
        (self.1)(task, context)
    }
}

pub fn handler<F>(
    name: &'static str,
    f: impl Fn(Arc<Leased>, Arc<dyn Context>) -> F + Send + Sync + 'static,
) -> Arc<Handler>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    Arc::new(Handler(name, Box::new(move |task, context| Box::pin(f(task, context)))))
}

pub fn done() -> Outcome {
    Outcome::Succeeded(Bytes::from_static(b"null"))
}

pub fn start(server: &Arc<FakeServer>, executor: Arc<Handler>, slots: usize) -> RunnerHandle {
    let options = tasklane_runner::Options { slots, ..Default::default() };
    Runner::start(Arc::clone(server) as Arc<dyn LeaseSource>, vec![executor], options)
}

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
