//! The same random batches of every verb, with time passing and the store being opened anew, go through the model and
//! through each database. Every answer and, at the end, every task, attempt, event and count must be the same; and what happens
//! on the way keeps core's laws.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use proptest::prelude::*;
use tasklane_core::event::{Position, Transition};
use tasklane_core::fair::Fairness;
use tasklane_core::lease::mix;
use tasklane_core::log::Level;
use tasklane_core::ports::records::Records;
use tasklane_core::ports::store::{Answers, Batch, EventPage, Hidden, LogQuery, Store, TaskFilter};
use tasklane_core::queue::Queue;
use tasklane_core::record::{Kind, Order, RecordQuery, RecordSet};
use tasklane_core::state::{Reason, State, permits};
use tasklane_core::task::TaskId;
use tasklane_core::webhook;
use tasklane_store::postgres::{self};
use tasklane_store::promote::{self, Replace};
use tasklane_store::sqlite::{self, DATABASE, Options, SqliteStore};
use tasklane_testkit::{self as testkit};
use uuid::Uuid;

use crate::commands::{Command, New, Report, Step, step};
use crate::gated::Told;
use crate::pair::{Database, Pair, in_schema};

impl Pair {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Pass(ms) => self.clock.advance(Duration::from_millis((*ms).into())),
            Step::Reopen => {
                if !matches!(self.database, Database::Model(_)) {
                    self.store.close().await;
                }
                self.store = self.database.open(&self.clock).await;
                self.model.reopened();
            }
            Step::Commit(commands) => Box::pin(self.commit(commands)).await,
        }
    }

    /// The same to both.
    async fn commit(&mut self, commands: &[Command]) {
        self.telling = self.stay(commands).await;
        let mut twice = [Batch::default(), Batch::default()];
        let (drawn, known) = (self.drawn, self.known.clone());
        self.commits += 1;
        self.delivers |= commands.iter().any(Command::delivers);
        for batch in &mut twice {
            (self.drawn, self.known) = (drawn, known.clone());
            batch.seed = mix(9, self.commits);
            // Ids are drawn in the order of acceptance: what follows a settlement comes before what follows a record, and
            // that before the submits.
            let station = |command: &Command| match command {
                Command::Accept(_) => 2,
                Command::Record(_) => 1,
                _ => 0,
            };
            for at in 0..=2 {
                commands.iter().filter(|it| station(it) == at).for_each(|it| self.add(batch, it));
            }
        }
        let [one, other] = twice;
        let told = Told::of(&one);
        let sets: Vec<_> = one.record.iter().map(|it| (it.kind, it.id, it.to.is_some())).collect();
        let looks_ahead = !self.store.is_shared() || one.promote + one.rescue > 0;
        let model = self.model.commit(one).await.unwrap();
        let store = self.store.commit(other).await.unwrap();
        self.laws(&model);
        self.gate_laws(told, &model).await;
        if looks_ahead {
            wakes_in_time(&model, &store);
        }
        self.learn(sets, &model);
        self.same(model, store);
        self.forget_gates().await;
    }

    /// The versions that records have now.
    fn learn(&mut self, sets: Vec<(Kind, Uuid, bool)>, answers: &Answers) {
        for ((kind, id, stays), set) in sets.into_iter().zip(&answers.record) {
            match set {
                RecordSet::Held(version) if stays => drop(self.records.insert((kind, id), *version)),
                RecordSet::Held(_) => drop(self.records.remove(&(kind, id))),
                RecordSet::Changed | RecordSet::NameTaken => {}
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
            shown.push(format!("{:#?}", (&answers.hand, &answers.gate, &answers.record)));
            shown.push(format!("{:#?}", &answers.accept));
            shown.push(format!("{:#?}", (answers.promote, answers.rescue, answers.sweep)));
            shown.push(format!("{:#?}", &answers.lease));
            shown.push(format!("{:#?}", &answers.transitions));
        }
        for (model, store) in shown.iter().zip(&other) {
            assert_eq!(model, store, "the model's answer is on the left");
        }
        for (lane, more) in &model.opened {
            let told = store.opened.iter().find(|it| it.0 == *lane).map_or(0, |it| it.1);
            assert!(told >= *more, "{lane:?}: {told} are told and {more} can start");
        }
        self.last = store.position;
        self.leased.extend(model.lease.into_iter().flatten());
    }

    /// The store may forget gates that only tasks spoke of that it no longer keeps.
    async fn forget_gates(&self) {
        let (ours, theirs) = (self.model.gates(None, 99).await.unwrap(), self.store.gates(None, 99).await.unwrap());
        let gone = ours.into_iter().filter(|ours| theirs.iter().all(|it| it.name != ours.name));
        for gate in gone {
            let filter = || TaskFilter { hidden: Hidden::With, ..TaskFilter::default() };
            let kept = self.model.list(filter(), None, 9999).await.unwrap().tasks;
            let is_named = kept.iter().any(|task| task.facts.passes().any(|name| name == gate.name));
            assert!(!is_named && self.model.forget_gate(&gate.name), "{gate:?} was forgotten");
        }
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
            Database::Sqlite(dir, _) => dir.path(),
            Database::Postgres(_) | Database::Model(_) => panic!("it has no directory"),
        }
    }

    /// The database finds nothing wrong with itself.
    async fn is_sound(&self) {
        let problems = match &self.database {
            Database::Sqlite(dir, _) => sqlite::check(&dir.path().join(DATABASE)).unwrap().problems,
            Database::Postgres(schema) => postgres::check(&in_schema(schema, &self.clock)).await.unwrap().problems,
            Database::Model(_) => Vec::new(),
        };
        assert_eq!(problems, Vec::<String>::new());
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
        let told = || TaskFilter { queue: Some(webhook::QUEUE.into()), ..TaskFilter::default() };
        assert_eq!(model.list(told(), None, 999).await.unwrap(), store.list(told(), None, 999).await.unwrap());
        // Of those of one moment a shared store may put another first.
        let counts = |queues: Vec<Queue>| queues.first().map(|it| it.counts);
        let [ours, theirs] = [model, store].map(|it| it.queues(Some(webhook::QUEUE.into())));
        assert_eq!(counts(ours.await.unwrap()), counts(theirs.await.unwrap()));
        for name in [None, Some("~s".into()), Some("new".into())] {
            assert_eq!(model.queues(name.clone()).await.unwrap(), store.queues(name).await.unwrap());
        }
        assert_eq!(model.gates(None, 99).await.unwrap(), store.gates(None, 99).await.unwrap());
        for kind in Kind::ALL {
            same_records(model.records(), store.records(), kind).await;
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

async fn same_records(model: &dyn Records, store: &dyn Records, kind: Kind) {
    let query = || RecordQuery { kind, tenant: None, name: None, order: Order::Oldest, after: None, most: 99 };
    let page = model.page(query()).await.unwrap();
    assert_eq!(page, store.page(query()).await.unwrap());
    assert_eq!(model.due(kind, 2).await.unwrap(), store.due(kind, 2).await.unwrap());
    assert_eq!(model.version(kind).await.unwrap(), store.version(kind).await.unwrap());
    for record in page {
        assert_eq!(Some(&record), store.one(kind, record.id).await.unwrap().as_ref());
        assert_eq!(model.slots(record.id, None, 3).await.unwrap(), store.slots(record.id, None, 3).await.unwrap());
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
    fn the_model_keeps_the_laws_of_gates(steps in proptest::collection::vec(step(), 1..60)) {
        hold_together(Database::Model(OnceLock::new()), &steps);
    }

    #[test]
    fn sqlite_answers_as_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        hold_together(Database::sqlite(Fairness::default()), &steps);
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
            let mut pair = Pair::new(Database::sqlite(Fairness::default())).await;
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

/// A task of nobody's in this lane, with no wishes.
fn new(lane: u8) -> New {
    New {
        lane,
        tenant: 0,
        priority: 0,
        delay: None,
        end: None,
        start: None,
        unique: None,
        idempotency: None,
        same_id: None,
        attempts: 0,
        timeouts: (None, None),
        size: 0,
        limits: Vec::new(),
    }
}

/// It is accepted before what is submitted in the same commit, and the least id of a moment stands first.
#[test]
fn what_follows_a_settlement_has_the_lesser_id() {
    let report = Command::Report(0, Report::Success(0), Some(new(2)));
    let steps = [
        Step::Commit(vec![Command::Accept(vec![new(3)]), Command::Lease { limit: 1, lanes: 2, length: 1 }]),
        Step::Commit(vec![Command::Accept(vec![new(2)]), report]),
    ];
    hold_together(Database::postgres(), &steps);
}

/// Who was told of one that could start is told again when two can, on every store.
#[test]
fn a_rate_that_was_half_used_tells_when_all_of_it_is_there() {
    let steps = || {
        [
            Step::Commit(vec![Command::Gate(1, 6)]),
            Step::Commit(vec![Command::Accept(vec![new(1), new(1), new(0)])]),
            Step::Commit(vec![Command::Lease { limit: 1, lanes: 1, length: 1 }]),
            Step::Commit(vec![Command::Report(0, Report::Success(0), None)]),
            Step::Pass(9000),
            Step::Commit(vec![Command::Promote(1)]),
        ]
    };
    hold_together(Database::sqlite(Fairness::default()), &steps());
    hold_together(Database::postgres(), &steps());
}

/// Who was told of all there is when other bounds came to hold is not told again of what came by time before.
#[test]
fn what_came_by_time_is_told_with_other_bounds() {
    let of = |lane, bounds| New { limits: vec![(2, bounds)], ..new(lane) };
    let lease = |lanes| Step::Commit(vec![Command::Lease { limit: 1, lanes, length: 1 }]);
    let steps = || {
        [
            Step::Commit(vec![Command::Accept(vec![of(1, 4), of(0, 6)])]),
            lease(1),
            Step::Pass(9000),
            Step::Commit(vec![Command::Accept(vec![of(4, 5)])]),
            lease(4),
            Step::Commit(vec![Command::Promote(1)]),
        ]
    };
    hold_together(Database::sqlite(Fairness::default()), &steps());
    hold_together(Database::postgres(), &steps());
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
