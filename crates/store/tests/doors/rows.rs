//! Rows that others hold, and rows that cannot be read: neither stands in anybody else's way.

use tasklane_core::lease::{Home, LeaseRequest};
use tasklane_core::outcome::FailureKind;
use tasklane_core::state::{Reason, State};
use tasklane_store::postgres::OpenError;
use tasklane_testkit::postgres;
use tokio_postgres::NoTls;

use crate::world::{LEASE, SECOND, World};
use crate::{open, open_with, refusal};

/// The world on a database of its own, and that one's address.
async fn alone(database: &str) -> (World, String) {
    let url = postgres::shared().database(database);
    (open(&url).await.unwrap(), url)
}

async fn three_lanes(world: &World, each: usize) {
    for queue in ["a", "b", "c"] {
        let tasks = (0..each).map(|_| world.task_in(queue, "t")).collect();
        world.submit(tasks).await.unwrap();
    }
}

#[tokio::test]
async fn what_stands_behind_rows_that_others_hold_is_found() {
    let (world, url) = alone("held").await;
    three_lanes(&world, 100).await;
    let (other, running) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(running);
    // More of each lane than are looked at for so small a lease at first.
    let hold = "BEGIN; SELECT 1 FROM tasklane.tasks WHERE (lane, id) IN (
        SELECT lane, id FROM (SELECT lane, id, row_number() OVER (PARTITION BY lane ORDER BY place, id) n FROM tasklane.tasks) t
        WHERE n <= 90) FOR UPDATE";
    other.batch_execute(hold).await.unwrap();
    assert_eq!(world.lease(3).await.len(), 3);
    assert_eq!(world.lease(100).await.len(), 27, "all that nobody holds");
    assert_eq!(world.lease(3).await.len(), 0);
    other.batch_execute("ROLLBACK").await.unwrap();
    // Nobody tells that they are free again: a look at the whole lanes finds them, as one after a failed commit is.
    let again = open(&url).await.unwrap();
    assert_eq!(again.lease(300).await.len(), 270);
}

#[tokio::test]
async fn a_lane_is_not_thought_empty_for_what_others_hold_before_its_end() {
    let (world, url) = alone("before").await;
    world.accept(world.task("t")).await;
    assert_eq!(
        (world.lease(1).await.len(), world.lease(1).await.len()),
        (1, 0),
        "from here on the lane is known to be empty"
    );
    let tasks = (0..300).map(|_| tasklane_core::accept::NewTask { priority: 1, ..world.task("t") }).collect();
    world.submit(tasks).await.unwrap();
    let (other, running) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(running);
    let hold = "BEGIN; SELECT 1 FROM tasklane.tasks WHERE id IN (
        SELECT id FROM tasklane.tasks WHERE place IS NOT NULL ORDER BY urgency, place, id LIMIT 199) FOR UPDATE";
    other.batch_execute(hold).await.unwrap();
    assert_eq!((world.lease(100).await.len(), world.lease(100).await.len()), (100, 1));
    other.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn a_waiting_row_that_cannot_be_read_keeps_what_stands_there_and_frees_its_key() {
    let (world, url) = alone("waiting").await;
    let unique = |it: &mut tasklane_core::task::Spec| {
        it.unique = Some(tasklane_core::task::Unique { key: "one".into(), held_for: None });
    };
    let keyed = || tasklane_core::accept::NewTask { spec: crate::world::spec(unique), ..world.task("t") };
    let later = tasklane_core::accept::NewTask { start: tasklane_core::accept::Start::After(SECOND), ..keyed() };
    let id = world.accept(later).await.id;
    let sql = |statement: &str| postgres::shared().sql_in(&url, statement).unwrap();
    sql("UPDATE tasklane.tasks SET spec = '{'");
    world.advance(SECOND);
    assert_eq!(world.promote(9).await, 1);
    assert_eq!(sql("SELECT state, spec FROM tasklane.tasks"), format!("{}|{{", State::Queued.code()));
    assert!(world.accept(keyed()).await.existing, "it still holds its key");
    assert_eq!(world.lease(9).await.len(), 0);
    assert_eq!(sql("SELECT state, spec FROM tasklane.tasks"), format!("{}|{{", State::Failed.code()));
    let next = world.accept(keyed()).await;
    assert!(!next.existing && next.id != id, "the key is free");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_alone() {
    let (world, url) = alone("unreadable").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        let mut task = world.task("t");
        task.spec = crate::world::spec(|it| it.max_attempts = 9);
        ids.push(world.accept(task).await.id);
    }
    let strike = |n: usize, what: &str| {
        let update = format!("UPDATE tasklane.tasks SET {what} WHERE id = '{}'", ids[n].0);
        postgres::shared().sql_in(&url, &update).unwrap();
    };
    strike(0, "spec = '{'");
    strike(1, "reason = 99");
    strike(2, "payload = 'x'");
    strike(3, "failure = '[]'");
    let leased = world.lease(9).await;
    assert_eq!(leased.iter().map(|it| it.facts.id).collect::<Vec<_>>(), ids[4..]);
    for id in &ids[..4] {
        let states =
            postgres::shared().sql_in(&url, &format!("SELECT state, reason FROM tasklane.tasks WHERE id = '{}'", id.0));
        assert_eq!(states.unwrap(), format!("{}|{}", State::Failed.code(), Reason::Damaged.code()));
    }
    let failure = |n: usize| {
        let failure = format!("SELECT failure FROM tasklane.tasks WHERE id = '{}'", ids[n].0);
        postgres::shared().sql_in(&url, &failure).unwrap()
    };
    assert!(failure(0).contains("its options cannot be read"), "{}", failure(0));
    // Those whose payload and options are sound can be read again, with what was wrong.
    assert_eq!(world.get(ids[3]).await.failure.unwrap().kind, FailureKind::Permanent);
    for n in [0, 2] {
        assert!(world.store.tasks(vec![ids[n]]).await.is_err(), "nobody is given what is not what was accepted");
        let facts = world.store.facts(vec![ids[n], ids[4]]).await.unwrap();
        assert!(facts.iter().all(Option::is_some), "what decides about others can be read");
    }
}

#[tokio::test]
async fn a_schema_is_named_so_that_no_name_is_cut_off() {
    let named = async |name: &str| match open_with(&postgres::shared().url(), |it| it.schema = name.into()).await {
        Ok(world) => {
            world.accept(world.task("t")).await;
            postgres::shared().sql(&format!("DROP SCHEMA {name} CASCADE"));
            Ok(())
        }
        Err(error) => Err(error),
    };
    named(&format!("_{}", "a".repeat(56))).await.unwrap();
    for name in [&*"a".repeat(58), "1a", "a-b", "A", ""] {
        assert!(matches!(named(name).await, Err(OpenError::Url(_))), "{name}");
    }
    assert!(matches!(refusal("postgres://[").await, OpenError::Url(_)));
}

#[tokio::test]
async fn what_ran_in_a_server_that_is_silent_is_no_crash_and_what_ran_in_none_is() {
    let (one, url) = alone("cut_off").await;
    let mut task = one.task("t");
    task.spec = crate::world::spec(|it| it.max_attempts = 9);
    let id = one.accept(task).await.id;
    let other = open(&url).await.unwrap();
    let sql = |statement: &str| postgres::shared().sql_in(&url, statement).unwrap();
    for (n, (home, silent, crashes)) in
        [(Home::InServer, true, 0), (Home::InServer, false, 1), (Home::Apart, true, 2)].into_iter().enumerate()
    {
        sql("DELETE FROM tasklane.servers");
        one.rescue(1).await;
        let server = sql("SELECT id FROM tasklane.servers");
        other.rescue(1).await;
        assert_eq!(one.lease_as(LeaseRequest { home, ..one.request(1) }).await[0].facts.id, id);
        // As if they had been in touch a minute from now, so that nothing is an outage however long this takes.
        sql("UPDATE tasklane.servers SET seen = seen + 60000000");
        if silent {
            sql(&format!("UPDATE tasklane.servers SET seen = seen - 70000000 WHERE id = {server}"));
        }
        one.advance(LEASE);
        other.advance(LEASE);
        assert_eq!(other.rescue(9).await, 1);
        let facts = other.get(id).await.facts;
        assert_eq!((facts.spent, facts.crashes), (n as u32 + 1, crashes));
        for world in [&one, &other] {
            world.advance(3600 * SECOND);
            world.promote(9).await;
        }
    }
}
