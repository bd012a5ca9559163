//! The model and a database side by side: what a caller would remember of both, and batches for both.

use crate::commands::{Command, New, Report, Set};
use crate::conformance::webhook::endpoint;
use crate::conformance::world::{beginning, id};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tasklane_core::accept::{Deadlines, Idempotency, Moment, NewTask, Start, Submission, UniquePolicy};
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::event::Position;
use tasklane_core::fair::Fairness;
use tasklane_core::gate::{Bounds, EVERY_TENANT, GateName, Limit, Rate, SetBy, SetGate};
use tasklane_core::hand::Hand;
use tasklane_core::lease::{Home, LaneFilter, LeaseKey, LeaseRequest, Leased, TypeFilter, mix};
use tasklane_core::log::{Level, Line};
use tasklane_core::outcome::{Failure, FailureKind, Outcome};
use tasklane_core::ports::store::{Batch, Store, Sweep};
use tasklane_core::queue::QueueState;
use tasklane_core::record::{Content, Kind, SetRecord};
use tasklane_core::retention::Retention;
use tasklane_core::retry::Retry;
use tasklane_core::schedule::Came;
use tasklane_core::settle::{self, Settlement};
use tasklane_core::state::State;
use tasklane_core::task::{Lane, Progress, Scope, Spec, TaskId, Unique};
use tasklane_core::webhook::event::Events;
use tasklane_core::webhook::outbox::{Callback, Subscriptions};
use tasklane_store::memory::MemoryStore;
use tasklane_store::postgres::{self, PostgresStore};
use tasklane_store::sqlite::{Options, SqliteStore};
use tasklane_testkit::{self as testkit, ManualClock};
use uuid::Uuid;

/// A database that is held against the model.
pub enum Database {
    Sqlite(tempfile::TempDir, Fairness),
    Postgres(String),
    /// The model itself, so that the laws can be held against it alone.
    Model(OnceLock<Arc<MemoryStore>>),
}

impl Database {
    pub fn sqlite(fairness: Fairness) -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap(), fairness)
    }

    fn fairness(&self) -> Fairness {
        match self {
            Self::Sqlite(_, fairness) => fairness.clone(),
            Self::Postgres(_) | Self::Model(_) => Fairness::default(),
        }
    }

    pub fn postgres() -> Self {
        Self::Postgres(testkit::postgres::fresh_schema_name())
    }

    pub async fn open(&self, clock: &Arc<ManualClock>) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(dir, fairness) => {
                let options = Options::new(dir.path(), clock.clone());
                let options = Options { reserve_bytes: 1 << 12, fairness: fairness.clone(), ..options };
                SqliteStore::open(options).unwrap()
            }
            Self::Postgres(schema) => PostgresStore::open(in_schema(schema, clock)).await.unwrap(),
            Self::Model(store) => {
                let store = store.get_or_init(|| MemoryStore::new(clock.clone()));
                store.reopened();
                Arc::clone(store) as Arc<dyn Store>
            }
        }
    }
}

pub fn in_schema(schema: &str, clock: &Arc<ManualClock>) -> postgres::Options {
    let time = postgres::Whose::Given(clock.clone());
    let url = testkit::postgres::shared().url();
    postgres::Options { schema: schema.into(), time, ..postgres::Options::new(url, clock.clone()) }
}

/// Both stores, and what a caller would remember.
pub struct Pair {
    pub clock: Arc<ManualClock>,
    pub database: Database,
    pub model: Arc<MemoryStore>,
    pub store: Arc<dyn Store>,
    pub drawn: u64,
    pub commits: u64,
    /// Somebody was told of something.
    pub delivers: bool,
    pub known: Vec<TaskId>,
    pub leased: Vec<Leased>,
    /// The versions that records have.
    pub records: BTreeMap<(Kind, Uuid), u64>,
    pub states: BTreeMap<TaskId, (State, u32)>,
    pub last: Position,
    /// Ids come in the order of acceptance.
    pub in_order: bool,
    /// Tasks whose ids may come again, as they are still there when they do.
    pub telling: BTreeSet<TaskId>,
    /// Lanes whose workers were told of so many tasks that can start, and may not have looked since.
    pub told: BTreeMap<Arc<Lane>, usize>,
    /// The event log was left behind, where it stood here.
    pub left: Option<Position>,
}

impl Pair {
    pub async fn new(database: Database) -> Self {
        let clock = ManualClock::at(beginning());
        let model = MemoryStore::with(clock.clone(), database.fairness());
        let store = database.open(&clock).await;
        let (known, leased, states) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (in_order, telling, last) = (store.is_shared(), BTreeSet::new(), Position(0));
        let told = BTreeMap::new();
        Self {
            told,
            clock,
            database,
            model,
            store,
            drawn: 0,
            commits: 0,
            delivers: false,
            known,
            leased,
            records: BTreeMap::new(),
            states,
            last,
            in_order,
            telling,
            left: None,
        }
    }

    pub fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    pub fn task(&mut self, new: &New) -> NewTask {
        let n = self.draw();
        let queue = ["a", "b", "~s"][usize::from(new.lane) % 3];
        let seconds = |n: u8| Duration::from_secs(n.into());
        let mut spec = Spec { max_attempts: u32::from(new.attempts) + 1, ..Spec::default() };
        (spec.attempt_timeout, spec.heartbeat_timeout) = (new.timeouts.0.map(seconds), new.timeouts.1.map(seconds));
        let retry = Retry::Delays { delays: vec![Duration::from_secs(7)], jitter: true };
        spec.retry = if new.attempts == 1 { retry } else { spec.retry };
        let mut task = NewTask {
            id: id(n),
            lane: Lane::new(queue, ["x", "y"][usize::from(new.lane) / 3]),
            scope: match new.tenant {
                0 => Scope::native(),
                1 => Arc::new(Scope { origin: "".into(), tenant: "1".into() }),
                tenant => Arc::new(Scope { origin: "dialect".into(), tenant: tenant.to_string().into() }),
            },
            payload: Bytes::from(vec![b'0' + (n % 10) as u8; usize::from(new.size)]),
            start: new.delay.map_or(Start::Now, |delay| Start::After(seconds(delay))),
            priority: new.priority.into(),
            limits: Limit::share(
                new.limits.iter().map(|(key, how)| Limit { key: gate_key(*key), bounds: bounds(*how) }),
            ),
            spec: Spec::shared(),
            deadlines: Deadlines {
                start: new.start.map(|after| Moment::After(seconds(after))),
                end: new.end.map(|after| Moment::After(seconds(after))),
            },
            unique_policy: UniquePolicy::Return,
            idempotency: None,
        };
        if let Some((key, policy, held_for)) = new.unique {
            spec.unique = Some(Unique { key: key.to_string().into(), held_for: held_for.map(seconds) });
            task.unique_policy =
                [UniquePolicy::Return, UniquePolicy::Reject, UniquePolicy::Replace][usize::from(policy)];
        }
        if let Some((key, body)) = new.idempotency {
            task.idempotency = Some(Idempotency { key: key.to_string().into(), fingerprint: body.into() });
        }
        if let Some((which, body)) = new.same_id {
            spec.fingerprint = Some(body.into());
            // Of tasks queued in the same moment a shared store puts the least id first, and SQLite and the model the one
            // that came first: there an id of a task that never was, or is no more, may not come late.
            let taken = self.known.get(usize::from(which) % self.known.len().max(1));
            let is_telling = |id: &&TaskId| !self.in_order || self.telling.contains(id);
            if let Some(taken) = taken.filter(is_telling) {
                task.id = *taken;
            }
        }
        if new.calls_back() {
            let url = "https://example.org/".into();
            spec.callback = Some(Arc::new(Callback { url, events: Events::default(), secret: None }));
        }
        task.spec = Spec::share(spec);
        self.known.push(task.id);
        task
    }

    fn set_record(&mut self, set: &Set) -> SetRecord {
        let kind = if set.which == 0 { Kind::Key } else { Kind::Schedule };
        let then: Vec<NewTask> = set.then.iter().map(|new| self.task(new)).collect();
        let id = Uuid::from_u128(set.which.into());
        let there = self.records.get(&(kind, id)).copied();
        let seconds = |n: u8| beginning().plus(Duration::from_secs(n.into()));
        let to = set.to.map(|(tenant, name)| Content {
            tenant: tenant.to_string().into(),
            name: (name > 0).then(|| name.to_string().into()),
            due: set.due.map(seconds),
            body: format!("{{\"n\":{}}}", self.drawn).into(),
        });
        let came = then.first().map_or(Came::Missed, |task| Came::Made(task.id));
        let slots = if set.to.is_some() { vec![(seconds(set.slot), came)] } else { Vec::new() };
        let seen = if set.has_seen { there } else { Some(there.unwrap_or(0) + 1) };
        SetRecord { then, slots, ..SetRecord::new(kind, id, seen, to) }
    }

    pub fn lease_at(&self, which: u8) -> Option<&Leased> {
        // Mostly of the last ones, whose leases may still hold.
        let back = usize::from(which) % self.leased.len().clamp(1, 12);
        self.leased.iter().rev().nth(back)
    }

    pub fn key(&self, which: u8) -> Option<LeaseKey> {
        self.lease_at(which).map(Leased::key)
    }

    pub fn settlement(&mut self, which: u8, report: &Report, then: Option<&New>) -> Option<Settlement> {
        let then = then.map(|new| self.task(new)).into_iter().collect();
        let random = mix(3, self.draw());
        let leased = self.lease_at(which)?;
        let outcome = match report {
            Report::Success(size) => Outcome::Succeeded(Bytes::from(vec![b'1'; usize::from(*size)])),
            Report::Failure(kind, retryable, after) => Outcome::Failed {
                failure: Failure {
                    retryable: *retryable,
                    ..Failure::new(FailureKind::ALL[usize::from(*kind)], "broken")
                },
                retry_after: after.map(|after| Duration::from_secs(after.into())),
            },
            Report::Snooze(after) => Outcome::Snoozed(Duration::from_secs((*after).into())),
            Report::Release => Outcome::Released,
            Report::Cancelled => Outcome::Cancelled,
        };
        let decision = settle::decide(&leased.facts, outcome, "w", random);
        Some(Settlement { key: leased.key(), facts: leased.facts.clone(), decision, then })
    }

    pub fn request(&mut self, limit: u8, lanes: u8, length: u8) -> LeaseRequest {
        let only = |types: &[&str]| TypeFilter::Only(types.iter().map(|it| (*it).into()).collect());
        let lanes = match lanes {
            0 => vec![LaneFilter { queue: None, types: TypeFilter::Any }],
            1 => vec![LaneFilter { queue: Some("a".into()), types: only(&["x"]) }],
            2 => vec![
                LaneFilter { queue: Some("b".into()), types: only(&["x", "y"]) },
                LaneFilter { queue: Some("a".into()), types: only(&["y"]) },
            ],
            3 => vec![LaneFilter { queue: Some("~s".into()), types: TypeFilter::Any }],
            _ => vec![LaneFilter { queue: None, types: only(&["y"]) }],
        };
        let seed = mix(5, self.draw());
        let length = Duration::from_secs(length.into());
        let home = if seed.is_multiple_of(3) { Home::InServer } else { Home::Apart };
        LeaseRequest {
            worker: format!("w{limit}").into(),
            lanes: lanes.into(),
            limit: limit.into(),
            length,
            seed,
            home,
        }
    }

    pub fn add(&mut self, batch: &mut Batch, command: &Command) {
        match command {
            Command::Accept(tasks) => {
                let tasks = tasks.iter().map(|new| self.task(new)).collect();
                batch.accept.push(Submission { tasks });
            }
            Command::Lease { limit, lanes, length } => batch.lease.push(self.request(*limit, *lanes, *length)),
            Command::Report(which, report, then) => {
                batch.settle.extend(self.settlement(*which, report, then.as_ref()));
            }
            Command::Renew(which) => batch.renew.extend(self.key(*which)),
            Command::Progress(which, percent) => {
                let progress = percent.map(|it| Progress { percent: Some(it.into()), ..Progress::default() });
                batch.progress.extend(self.key(*which).map(|key| (key, progress)));
            }
            Command::Grace(which) => batch.grace.extend(self.key(*which)),
            Command::Log(which, from, many) => {
                let level = Level::ALL[usize::from(*from) % Level::ALL.len()];
                let after = Duration::from_millis(u64::from(*many) * 700);
                let line = |n| Line { n, level, message: format!("line {n}"), fields: None, after };
                let lines = (0..u64::from(*many)).map(|it| line(u64::from(*from) + it)).collect();
                batch.logs.extend(self.key(*which).map(|key| (key, lines)));
            }
            Command::Checkpoint(which, name, size) => {
                let data = Bytes::from(vec![b'1'; usize::from(*size)]);
                let checkpoint = Checkpoint { name: name.to_string().into(), data };
                batch.checkpoints.extend(self.key(*which).map(|key| (key, checkpoint)));
            }
            Command::Hand(which, hand, after) => {
                let hand = match hand {
                    0 | 1 => Hand::Cancel,
                    2 | 3 => Hand::Retry,
                    4 => Hand::Reschedule(Start::After(Duration::from_secs((*after).into()))),
                    5 => Hand::Delete,
                    _ => Hand::Hide,
                };
                let back = usize::from(*which) % self.known.len().clamp(1, 20);
                batch.hand.extend(self.known.iter().rev().nth(back).map(|id| (*id, hand)));
            }
            Command::Control(queue, state) => {
                let queue = ["a", "b", "~s", "new"][usize::from(*queue)];
                batch.control.push((queue.into(), QueueState::ALL[usize::from(*state)]));
            }
            Command::Gate(which, how) => batch.gate.push(set_gate(*which, *how)),
            Command::Record(set) => batch.record.push(self.set_record(set)),
            Command::Subscribe(which) => batch.subscriptions = subscriptions(*which),
            Command::Promote(most) => batch.promote = (*most).into(),
            Command::Rescue(most) => batch.rescue = (*most).into(),
            // A shared store sweeps by ids. Here only those of deliveries tell their moment, so they come last, whenever
            // they were made.
            Command::Sweep(..) if self.in_order && self.delivers => {}
            Command::Sweep(limit, how) => batch.sweep = Some(sweep(*limit, *how)),
        }
    }
}

fn sweep(limit: u8, how: u8) -> Sweep {
    let short = Duration::from_secs(20);
    let retention = match how {
        0 => Retention { succeeded: short, failed: short, cancelled: short, ..Retention::default() },
        1 => Retention { most: 5, ..Retention::default() },
        _ => Retention::default(),
    };
    Sweep { retention, limit: limit.into(), disk: (how == 2).then_some((9, 10)) }
}

fn subscriptions(which: u8) -> Option<Arc<Subscriptions>> {
    match which {
        0 => Subscriptions::of([endpoint(1, None)]),
        1 => Subscriptions::of([endpoint(1, None), endpoint(2, Some("1"))]),
        _ => Subscriptions::of([endpoint(3, Some("2"))]),
    }
}

fn gate_key(n: u8) -> Box<str> {
    format!("k{n}").into()
}

fn bounds(how: u8) -> Bounds {
    let count = u32::from(how);
    match how {
        0..4 => Bounds { max_running: Some(count + 1), rate: None },
        4 | 5 => Bounds { max_running: None, rate: Some(Rate { count: count - 3, per: Duration::from_secs(9) }) },
        _ => Bounds::default(),
    }
}

fn set_gate(which: u8, how: u8) -> SetGate {
    let of = |tenant: &str, n| GateName::Key { tenant: tenant.into(), key: gate_key(n) };
    let name = match which {
        0 => GateName::Queue("a".into()),
        1 => GateName::Type("x".into()),
        2 => of(EVERY_TENANT, 0),
        3 => of("1", 0),
        n => of("", n - 4),
    };
    let by = if how < 8 { SetBy::Config } else { SetBy::Operator };
    SetGate { name, by, bounds: (!how.is_multiple_of(8)).then(|| bounds(how % 8 - 1)) }
}
