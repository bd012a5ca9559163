//! The same random batches of every verb, with time passing and the store being opened anew, go through the model and
//! through each database. Every answer and, at the end, every task, attempt, event and count must be the same; and what happens
//! on the way keeps core's laws.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tasklane_core::accept::{Deadlines, Idempotency, Moment, NewTask, Start, Submission, UniquePolicy};
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::event::{Position, Transition};
use tasklane_core::hand::Hand;
use tasklane_core::lease::{LaneFilter, LeaseKey, LeaseRequest, Leased, TypeFilter, mix};
use tasklane_core::log::{Level, Line};
use tasklane_core::outcome::{Failure, FailureKind, Outcome};
use tasklane_core::ports::store::{Answers, Batch, EventPage, Hidden, LogQuery, Store, Sweep, TaskFilter};
use tasklane_core::queue::QueueState;
use tasklane_core::retention::Retention;
use tasklane_core::retry::Retry;
use tasklane_core::settle::{self, Settlement};
use tasklane_core::state::{Reason, State, permits};
use tasklane_core::task::{Lane, Progress, Scope, Spec, TaskId, Unique};
use tasklane_store::memory::MemoryStore;
use tasklane_store::postgres::{self, PostgresStore};
use tasklane_store::promote::{self, Replace};
use tasklane_store::sqlite::{Options, SqliteStore};
use tasklane_testkit::{self as testkit, ManualClock};

use crate::commands::{Command, New, Report, Step, step};
use crate::conformance::world::{beginning, id};

/// A database that is held against the model.
enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(String),
}

impl Database {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    fn postgres() -> Self {
        Self::Postgres(testkit::postgres::fresh_schema_name())
    }

    async fn open(&self, clock: &Arc<ManualClock>) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(dir) => {
                let options = Options { reserve_bytes: 1 << 12, ..Options::new(dir.path(), clock.clone()) };
                SqliteStore::open(options).unwrap()
            }
            Self::Postgres(schema) => PostgresStore::open(in_schema(schema, clock)).await.unwrap(),
        }
    }
}

fn in_schema(schema: &str, clock: &Arc<ManualClock>) -> postgres::Options {
    let time = postgres::Whose::Given(clock.clone());
    let url = testkit::postgres::shared().url();
    postgres::Options { schema: schema.into(), time, ..postgres::Options::new(url, clock.clone()) }
}

/// Both stores, and what a caller would remember.
struct Pair {
    clock: Arc<ManualClock>,
    database: Database,
    model: Arc<MemoryStore>,
    store: Arc<dyn Store>,
    drawn: u64,
    known: Vec<TaskId>,
    leased: Vec<Leased>,
    states: BTreeMap<TaskId, (State, u32)>,
    last: Position,
    /// Ids come in the order of acceptance.
    in_order: bool,
    /// Tasks whose ids may come again, as they are still there when they do.
    telling: BTreeSet<TaskId>,
    /// The event log was left behind, where it stood here.
    left: Option<Position>,
}

impl Pair {
    async fn new(database: Database) -> Self {
        let clock = ManualClock::at(beginning());
        let (model, store) = (MemoryStore::new(clock.clone()), database.open(&clock).await);
        let (known, leased, states) = (Vec::new(), Vec::new(), BTreeMap::new());
        let (in_order, telling, last) = (store.is_shared(), BTreeSet::new(), Position(0));
        Self { clock, database, model, store, drawn: 0, known, leased, states, last, in_order, telling, left: None }
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    fn task(&mut self, new: &New) -> NewTask {
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
        task.spec = Spec::share(spec);
        self.known.push(task.id);
        task
    }

    fn lease_at(&self, which: u8) -> Option<&Leased> {
        // Mostly of the last ones, whose leases may still hold.
        let back = usize::from(which) % self.leased.len().clamp(1, 12);
        self.leased.iter().rev().nth(back)
    }

    fn key(&self, which: u8) -> Option<LeaseKey> {
        self.lease_at(which).map(Leased::key)
    }

    fn settlement(&mut self, which: u8, report: &Report, then: Option<&New>) -> Option<Settlement> {
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
        let decision = settle::decide(&leased.facts, outcome, random);
        Some(Settlement { key: leased.key(), facts: leased.facts.clone(), decision, then })
    }

    fn request(&mut self, limit: u8, lanes: u8, length: u8) -> LeaseRequest {
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
        LeaseRequest { worker: format!("w{limit}").into(), lanes: lanes.into(), limit: limit.into(), length, seed }
    }

    fn add(&mut self, batch: &mut Batch, command: &Command) {
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
            Command::Promote(most) => batch.promote = (*most).into(),
            Command::Rescue(most) => batch.rescue = (*most).into(),
            Command::Sweep(limit, how) => {
                let short = Duration::from_secs(20);
                let retention = match how {
                    0 => Retention { succeeded: short, failed: short, cancelled: short, ..Retention::default() },
                    1 => Retention { most: 5, ..Retention::default() },
                    _ => Retention::default(),
                };
                let disk = (*how == 2).then_some((9, 10));
                batch.sweep = Some(Sweep { retention, limit: (*limit).into(), disk });
            }
        }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Pass(ms) => self.clock.advance(Duration::from_millis((*ms).into())),
            Step::Reopen => {
                self.store.close().await;
                self.store = self.database.open(&self.clock).await;
                self.model.reopened();
            }
            Step::Commit(commands) => {
                self.telling = self.stay(commands).await;
                let mut twice = [Batch::default(), Batch::default()];
                let (drawn, known) = (self.drawn, self.known.clone());
                for batch in &mut twice {
                    (self.drawn, self.known) = (drawn, known.clone());
                    batch.seed = mix(9, drawn);
                    commands.iter().for_each(|command| self.add(batch, command));
                }
                let [one, other] = twice;
                let looks_ahead = !self.store.is_shared() || one.promote + one.rescue > 0;
                let model = self.model.commit(one).await.unwrap();
                let store = self.store.commit(other).await.unwrap();
                self.laws(&model);
                if looks_ahead {
                    wakes_in_time(&model, &store);
                }
                self.same(model, store);
            }
        }
    }

    /// Tasks that are there and that these commands do not remove before they accept anything.
    async fn stay(&self, commands: &[Command]) -> BTreeSet<TaskId> {
        if commands.iter().any(|command| matches!(command, Command::Hand(_, 5, _))) {
            return BTreeSet::new();
        }
        let there = self.model.tasks(self.known.clone()).await.unwrap();
        there.iter().flatten().map(|task| task.facts.id).collect()
    }

    /// Nothing happens that the table forbids, and everything that happens follows from what was before.
    fn laws(&mut self, answers: &Answers) {
        for event in &answers.transitions {
            let Transition { task, from, to, reason, attempt, .. } = event;
            assert!(permits(*from, *to, *reason), "{event:?} is not in the table");
            let before = self.states.insert(*task, (*to, *attempt));
            assert_eq!(
                *from,
                before.map(|(state, _)| state).filter(|_| from.is_some()),
                "{event:?} comes from elsewhere"
            );
            let last = before.map_or(0, |(_, attempt)| attempt);
            let expected = if *reason == Reason::Leased { last + 1 } else { last };
            assert!(*attempt == expected || from.is_none(), "{event:?} after attempt {last}");
            assert!(
                !from.is_some_and(State::is_final) || *reason == Reason::Retried,
                "{event:?}: final without a hand"
            );
        }
        for leased in answers.lease.iter().flatten() {
            assert_eq!(self.states[&leased.facts.id], (State::Running, leased.facts.attempt));
            assert!(leased.facts.spent < leased.facts.spec.max_attempts, "{leased:?} is beyond its attempts");
        }
    }

    fn same(&mut self, mut model: Answers, mut store: Answers) {
        by_task(&mut model.transitions);
        by_task(&mut store.transitions);
        let (mut shown, mut other) = (Vec::new(), Vec::new());
        for (answers, shown) in [(&model, &mut shown), (&store, &mut other)] {
            shown.push(format!("{:#?}", (&answers.renew, &answers.progress, &answers.grace, &answers.settle)));
            shown.push(format!("{:#?}", (&answers.logs, &answers.checkpoints)));
            shown.push(format!("{:#?}", &answers.hand));
            shown.push(format!("{:#?}", &answers.accept));
            shown.push(format!("{:#?}", (answers.promote, answers.rescue, answers.sweep)));
            shown.push(format!("{:#?}", &answers.lease));
            shown.push(format!("{:#?}", &answers.transitions));
        }
        for (model, store) in shown.iter().zip(&other) {
            assert_eq!(model, store, "the model's answer is on the left");
        }
        self.last = store.position;
        self.leased.extend(model.lease.into_iter().flatten());
    }

    /// The whole log, once it shows the last commit: a shared store shows one when those that began before it have ended.
    async fn all_events(&self) -> EventPage {
        loop {
            let page = self.store.events(Position(0), 9999).await.unwrap();
            if page.next >= self.last {
                return page;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The embedded store becomes a database, and is none any more.
    async fn promote(&mut self) {
        self.store.close().await;
        let schema = testkit::postgres::fresh_schema_name();
        let to = in_schema(&schema, &self.clock);
        let (dir, clock) = (self.directory().to_owned(), self.clock.clone());
        let options = promote::Options { dir, clock, to: to.clone(), replace: Replace::No };
        promote::promote(options, |_| ()).await.unwrap();
        assert!(SqliteStore::open(Options::new(self.directory(), self.clock.clone())).is_err());
        self.database = Database::Postgres(schema);
        self.store = self.database.open(&self.clock).await;
        self.model.reopened();
        self.left = Some(self.last);
        let followed = self.store.events(self.last, 9).await.unwrap();
        assert!(followed.reset && followed.next > self.last, "{followed:?}");
        let anew = self.store.events(followed.next, 9).await.unwrap();
        assert!(!anew.reset && anew.events.is_empty(), "{anew:?}");
    }

    fn directory(&self) -> &std::path::Path {
        match &self.database {
            Database::Sqlite(dir) => dir.path(),
            Database::Postgres(_) => panic!("it has no directory"),
        }
    }

    /// The database finds nothing wrong with itself.
    async fn is_sound(&self) {
        if let Database::Postgres(schema) = &self.database {
            let report = postgres::check(&in_schema(schema, &self.clock)).await.unwrap();
            assert_eq!(report.problems, Vec::<String>::new());
        }
    }

    async fn same_in_the_end(&self) {
        self.is_sound().await;
        let ids: Vec<TaskId> = self.known.clone();
        let (model, store): (&dyn Store, &dyn Store) = (&*self.model, &*self.store);
        let (ours, theirs) = (model.tasks(ids.clone()).await.unwrap(), store.tasks(ids.clone()).await.unwrap());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "the model's task is on the left");
            let within = |task: &tasklane_core::task::Task| task.facts.spent <= task.facts.spec.max_attempts;
            assert!(ours.as_ref().is_none_or(within));
        }
        for id in ids {
            assert_eq!(model.attempts(id).await.unwrap(), store.attempts(id).await.unwrap());
            let query = LogQuery { level: Level::Info, limit: 7, ..LogQuery::default() };
            assert_eq!(model.logs(id, query).await.unwrap(), store.logs(id, query).await.unwrap());
            assert_eq!(model.standing(id, 3).await.unwrap(), store.standing(id, 3).await.unwrap());
        }
        for state in State::ALL.iter().copied().map(Some).chain([None]) {
            let filter = || TaskFilter { state, ..TaskFilter::default() };
            let pages = (model.list(filter(), None, 7).await.unwrap(), store.list(filter(), None, 7).await.unwrap());
            assert_eq!(pages.0, pages.1);
        }
        for hidden in [Hidden::With, Hidden::Only] {
            for origin in [None, Some("".into()), Some("dialect".into())] {
                let filter = || TaskFilter { hidden, origin: origin.clone(), ..TaskFilter::default() };
                let ours = model.list(filter(), None, 7).await.unwrap();
                assert_eq!(ours, store.list(filter(), None, 7).await.unwrap());
            }
        }
        for (origin, tenant) in [("", None), ("dialect", None), ("dialect", Some("2".into()))] {
            let ours = model.counts(origin.into(), tenant.clone()).await.unwrap();
            assert_eq!(ours, store.counts(origin.into(), tenant).await.unwrap());
        }
        for name in [None, Some("~s".into()), Some("new".into())] {
            assert_eq!(model.queues(name.clone()).await.unwrap(), store.queues(name).await.unwrap());
        }
        assert_eq!(model.stats().await.unwrap().counts, store.stats().await.unwrap().counts);
        if self.left.is_none() {
            self.same_events().await;
        }
    }

    async fn same_events(&self) {
        let ours = self.model.events(Position(0), 9999).await.unwrap();
        let theirs = self.all_events().await;
        assert_eq!(of_commits(&ours), of_commits(&theirs));
        assert!(theirs.commits.is_sorted_by_key(|(position, _)| *position));
        let lengths = |page: &EventPage| page.commits.iter().map(|(_, events)| *events).collect::<Vec<_>>();
        assert_eq!(lengths(&ours), lengths(&theirs), "each commit is one of the log");
    }
}

/// A store may say a moment that is too early: then nothing is found to be due, and it knows better.
fn wakes_in_time(model: &Answers, store: &Answers) {
    assert!(store.next_due <= model.next_due || model.next_due.is_none(), "nobody would wake in time");
    assert!(store.next_due.is_some() || model.next_due.is_none(), "nobody would wake at all");
}

/// Between tasks of one commit there is no order, only between what happens to one.
fn by_task(transitions: &mut [Transition]) {
    transitions.sort_by_key(|it| it.task);
}

/// What each commit did.
fn of_commits(page: &EventPage) -> Vec<Vec<Transition>> {
    let mut events = page.events.iter().cloned();
    let commit = |many: &usize| {
        let mut events: Vec<Transition> = events.by_ref().take(*many).collect();
        by_task(&mut events);
        events
    };
    page.commits.iter().map(|(_, many)| many).map(commit).collect()
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_answers_as_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        hold_together(Database::sqlite(), &steps);
    }

    #[test]
    fn postgres_answers_as_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        hold_together(Database::postgres(), &steps);
    }

    #[test]
    fn a_promoted_store_goes_on_as_the_model(
        before in proptest::collection::vec(step(), 1..60),
        after in proptest::collection::vec(step(), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new(Database::sqlite()).await;
            pair.in_order = true;
            for step in &before {
                pair.step(step).await;
            }
            pair.promote().await;
            pair.same_in_the_end().await;
            for step in &after {
                pair.step(step).await;
            }
            pair.same_in_the_end().await;
            pair.store.close().await;
        });
    }
}

fn hold_together(database: Database, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new(database).await;
        for step in steps {
            pair.step(step).await;
        }
        pair.same_in_the_end().await;
        pair.step(&Step::Reopen).await;
        pair.same_in_the_end().await;
        pair.store.close().await;
    });
}
