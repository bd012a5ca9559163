//! PgBouncer in transaction mode: every verb by a connection that changes with each transaction.

use std::sync::Arc;

use bytes::Bytes;
use tasklane_core::accept::{NewTask, Submission, UniquePolicy};
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::hand::Hand;
use tasklane_core::log::{Level, Line};
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::store::{Batch, LogQuery, Sweep};
use tasklane_core::queue::QueueState;
use tasklane_core::retention::Retention;
use tasklane_core::settle::Settled;
use tasklane_core::state::State;
use tasklane_core::task::Progress;
use tasklane_store::postgres::{OpenError, Pooler};
use tasklane_testkit::postgres::{self, Bouncer};

use crate::world::{SECOND, World, spec, success};
use crate::{open_with, works};

async fn through(bouncer: &Bouncer, pooler: Pooler) -> Result<World, OpenError> {
    let schema = postgres::fresh_schema_name();
    let change = |it: &mut tasklane_store::postgres::Options| (it.schema, it.pooler) = (schema.into(), pooler);
    open_with(&bouncer.address().url(), change).await
}

fn keyed(world: &World) -> NewTask {
    let unique = |it: &mut tasklane_core::task::Spec| {
        it.unique = Some(tasklane_core::task::Unique { key: "one".into(), held_for: None });
    };
    NewTask { spec: spec(unique), unique_policy: UniquePolicy::Return, ..world.task("t") }
}

/// Says, keeps and renews; then ends in `outcome`.
async fn attempt(world: &World, outcome: Outcome) -> State {
    let leased = world.run(world.task("t")).await;
    let key = leased.key();
    let line = Line { n: 0, level: Level::Info, message: "m".into(), fields: None, after: SECOND };
    let progress = Progress { percent: Some(50.0), ..Progress::default() };
    let answers = world
        .commit(Batch {
            renew: vec![key],
            progress: vec![(key, Some(progress))],
            logs: vec![(key, vec![line])],
            checkpoints: vec![(key, Checkpoint { name: "c".into(), data: Bytes::from_static(b"1") })],
            ..Batch::default()
        })
        .await;
    assert_eq!((answers.renew, answers.progress), (vec![true], vec![true]));
    assert_eq!(world.report(&leased, outcome).await, Settled::Held);
    let query = LogQuery { limit: 9, ..LogQuery::default() };
    assert_eq!(world.store.logs(key.id, query).await.unwrap().unwrap().lines.len(), 1);
    world.get(key.id).await.facts.state
}

async fn road(world: &World) {
    let first = world.accept(keyed(world)).await;
    assert_eq!(world.accept(keyed(world)).await.id, first.id);
    world.hand(first.id, Hand::Cancel).await.unwrap();
    assert_eq!(attempt(world, success("1")).await, State::Succeeded);
    assert_eq!(attempt(world, Outcome::failed(FailureKind::Permanent, "no")).await, State::Failed);
    assert_eq!(attempt(world, Outcome::Snoozed(SECOND)).await, State::Scheduled);
    assert_eq!(attempt(world, Outcome::failed(FailureKind::Error, "again")).await, State::Retrying);
    world.advance(3600 * SECOND);
    assert_eq!(world.promote(9).await, 2);
    assert_eq!(world.lease(9).await.len(), 2);
    world.advance(3600 * SECOND);
    assert_eq!(world.rescue(9).await, 2);
    world.control("other", QueueState::Paused).await;
    let retention = Retention { succeeded: SECOND, ..Retention::default() };
    let sweep = Some(Sweep { retention, limit: 99, disk: None });
    assert_eq!(world.commit(Batch { sweep, ..Batch::default() }).await.sweep, 1);
    assert_eq!(world.store.queues(None).await.unwrap().len(), 2);
    assert!(world.events().await.len() > 10);
    assert_eq!(world.store.stats().await.unwrap().counts.total(), 4);
}

/// Many commits at once: all of them find a connection in time.
async fn crowd(world: &World) {
    let store = Arc::clone(&world.store);
    let commits: Vec<_> = (0..100)
        .map(|_| {
            let submission = Submission { tasks: vec![world.task("many")] };
            let batch = Batch { accept: vec![submission], lease: vec![world.request(1)], ..Batch::default() };
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(batch).await.unwrap().lease[0].len() })
        })
        .collect();
    let mut leased = 0;
    for commit in commits {
        leased += commit.await.unwrap();
    }
    assert!(leased > 0);
    leased += world.lease(200).await.len();
    assert!(leased >= 100, "{leased}");
}

async fn all_through(connections: usize) {
    let bouncer = Bouncer::before(postgres::shared(), connections, "");
    let world = through(&bouncer, Pooler::Transaction).await.unwrap_or_else(|why| panic!("{why}\n{}", bouncer.log()));
    road(&world).await;
    crowd(&world).await;
    let two = through(&bouncer, Pooler::Transaction).await.unwrap();
    tokio::join!(crowd(&world), crowd(&two));
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_goes_through_a_pooler() {
    all_through(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_goes_through_a_pooler_of_two() {
    all_through(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_nobody_told_of_is_named() {
    let bouncer = Bouncer::before(postgres::shared(), 2, "");
    let error = match through(&bouncer, Pooler::None).await {
        Ok(world) => return works(&world).await,
        Err(error) => error,
    };
    assert!(matches!(error, OpenError::Refused(_)), "{error}");
    assert!(error.to_string().contains("store.database_pooler"), "{error}");
}
