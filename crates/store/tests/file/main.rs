//! What only a file can show: who may open it, what it survives, and how damage is found.
#![allow(clippy::unwrap_used)]

#[path = "../stores/conformance/mod.rs"]
#[allow(dead_code, reason = "only its world is used here")]
mod conformance;
mod cuts;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use conformance::world::{LEASE, SECOND, World, beginning, id, spec, success};
use rusqlite::Connection;
use tasklane_core::accept::{NewTask, UniquePolicy};
use tasklane_core::error::{Refusal, StoreError};
use tasklane_core::gate::{Bounds, GateName, Limit, SetBy, SetGate};
use tasklane_core::hand::Hand;
use tasklane_core::lease::{Home, LeaseRequest};
use tasklane_core::ports::clock::Clock;
use tasklane_core::ports::store::{Batch, Store, Sweep};
use tasklane_core::retention::Retention;
use tasklane_core::settle::Settled;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::Unique;
use tasklane_store::sqlite::{self, BackupError, DATABASE, Migrate, OpenError, Options, RestoreError, SqliteStore};
use tasklane_testkit::ManualClock;

fn options(dir: &Path, clock: Arc<ManualClock>) -> Options {
    Options { reserve_bytes: 1 << 12, ..Options::new(dir, clock) }
}

fn open_at(dir: &Path, clock: &Arc<ManualClock>) -> World {
    let store = SqliteStore::open(options(dir, clock.clone())).unwrap();
    World::new(store, clock.clone(), ())
}

fn open(dir: &Path) -> World {
    open_at(dir, &ManualClock::at(beginning()))
}

fn refusal(dir: &Path) -> OpenError {
    let opened = SqliteStore::open(options(dir, ManualClock::at(beginning())));
    opened.err().expect("it is not to be opened")
}

/// A closed database with a finished and a queued task.
async fn closed(dir: &Path) -> (World, tasklane_core::task::TaskId, tasklane_core::task::TaskId) {
    let world = open(dir);
    let done = world.run(world.task("t")).await;
    world.report(&done, success("\"the result\"")).await;
    let queued = world.accept(world.task("t")).await.id;
    world.store.close().await;
    (world, done.facts.id, queued)
}

/// Flips a bit of the only place where these bytes stand in the file.
fn flip(dir: &Path, bytes: &[u8]) {
    let path = dir.join(DATABASE);
    let mut file = fs::read(&path).unwrap();
    let places: Vec<usize> = file.windows(bytes.len()).enumerate().filter(|it| it.1 == bytes).map(|it| it.0).collect();
    assert_eq!(places.len(), 1, "the bytes are to stand in one place");
    file[places[0]] ^= 1;
    fs::write(path, file).unwrap();
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    assert!(matches!(refusal(dir.path()), OpenError::Locked(_)));
    world.store.close().await;
    open(dir.path());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path()).await;
    Connection::open(dir.path().join(DATABASE)).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refusal = refusal(dir.path());
    assert!(matches!(refusal, OpenError::Newer { found: 99, .. }), "{refusal}");
    assert!(matches!(sqlite::check(&dir.path().join(DATABASE)), Err(OpenError::Newer { .. })));
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_left_alone() {
    for damage in [vec![0; 8192], b"hello".to_vec(), b"SQLite format 3\0 and then nothing of the kind".to_vec()] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(DATABASE);
        fs::write(&path, &damage).unwrap();
        let refusal = refusal(dir.path());
        assert!(matches!(refusal, OpenError::Damaged { .. }), "{refusal}");
        assert_eq!(fs::read(&path).unwrap(), damage);
    }
    let dir = tempfile::tempdir().unwrap();
    Connection::open(dir.path().join(DATABASE)).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::Damaged { .. }));
}

#[tokio::test]
async fn a_cut_off_or_scribbled_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path()).await;
    let path = dir.path().join(DATABASE);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::Damaged { .. }));
    let mut zeroed = whole.clone();
    zeroed[..100].fill(0);
    fs::write(&path, &zeroed).unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::Damaged { .. }));
    let mut scribbled = whole.clone();
    scribbled[4096..].fill(0x41);
    fs::write(&path, &scribbled).unwrap();
    assert!(matches!(refusal(dir.path()), OpenError::Damaged { .. }));
    fs::write(&path, &whole).unwrap();
    open(dir.path());
}

#[tokio::test]
async fn an_older_schema_waits_for_leave() {
    let dir = tempfile::tempdir().unwrap();
    let forbidden = Options { migrate: Migrate::No, ..options(dir.path(), ManualClock::at(beginning())) };
    SqliteStore::open(forbidden).unwrap().close().await;
}

#[tokio::test]
async fn a_file_of_the_first_schema_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let (world, done, queued) = closed(dir.path()).await;
    drop(world);
    let db = Connection::open(dir.path().join(DATABASE)).unwrap();
    db.execute_batch(
        "DROP INDEX tasks_origin; ALTER TABLE tasks DROP COLUMN origin;
         ALTER TABLE leases DROP COLUMN inside; DROP TABLE logs; DROP TABLE checkpoints; DROP TABLE strands; DROP TABLE gates;
         DROP TABLE turns; DROP TABLE cuts; DROP TABLE records; DROP TABLE records_versions; DROP TABLE schedule_slots;
         ALTER TABLE lanes DROP COLUMN shared;
         DELETE FROM migrations WHERE name != '0001_tasks'; PRAGMA user_version = 1",
    )
    .unwrap();
    // As it was written before the deleted were counted: a number for each of ten states.
    db.execute("UPDATE counters SET counts = substr(counts, 1, 10)", ()).unwrap();
    drop(db);
    let world = open(dir.path());
    assert!(world.find(done).await.is_some() && world.find(queued).await.is_some());
    assert_eq!(world.store.stats().await.unwrap().counts.total(), 2);
    let hidden = world.hand(done, Hand::Hide).await.unwrap();
    assert!(hidden.hidden_at.is_some());
    world.store.close().await;
    let world = open(dir.path());
    let counts = world.store.stats().await.unwrap().counts;
    assert_eq!((counts.of(State::Succeeded), counts.deleted(), counts.of(State::Queued)), (0, 1, 1));
    assert_eq!(world.find(done).await, None);
    assert_eq!(sqlite::check(&dir.path().join(DATABASE)).unwrap().problems, [""; 0]);
}

#[tokio::test]
async fn leases_count_anew_after_a_start() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(beginning()));
    let world = open_at(dir.path(), &clock);
    let request = LeaseRequest { length: 3600 * SECOND, ..world.request(1) };
    world.accept(world.task("t")).await;
    let long = world.lease_as(request).await.remove(0);
    let short = world.run(world.task("t")).await;
    world.store.close().await;
    world.advance(10 * LEASE);
    let world = open_at(dir.path(), &clock);
    assert_eq!(world.rescue(9).await, 0);
    let until = |task: tasklane_core::task::Task| task.facts.lease.unwrap().until;
    assert_eq!(until(world.get(short.facts.id).await), world.store.now().plus(LEASE));
    assert_eq!(until(world.get(long.facts.id).await), world.store.now().plus(60 * SECOND));
    assert_eq!(world.report(&short, success("1")).await, Settled::Held);
    world.advance(60 * SECOND);
    assert_eq!(world.rescue(9).await, 1);
    assert_eq!(world.report(&long, success("1")).await, Settled::Lost);
}

#[tokio::test]
async fn a_server_that_was_killed_has_lost_nothing() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = open(dir.path());
    let done = world.run(world.task("t")).await;
    world.report(&done, success("1")).await;
    let running = world.run(world.task("t")).await;
    let queued = world.accept(world.task("t")).await.id;
    // What a killed server leaves is what its files hold at that moment.
    for file in [DATABASE, "tasklane.db-wal"] {
        fs::copy(dir.path().join(file), other.path().join(file)).unwrap();
    }
    let after = open(other.path());
    assert_eq!(after.get(done.facts.id).await, world.get(done.facts.id).await);
    assert_eq!(after.get(running.facts.id).await.facts.attempt, 1);
    assert_eq!(after.report(&running, success("1")).await, Settled::Held);
    assert_eq!(after.lease(9).await[0].facts.id, queued);
    assert_eq!(after.store.stats().await.unwrap().counts.total(), 3);
    after.store.close().await;
    assert_eq!(sqlite::check(&other.path().join(DATABASE)).unwrap().problems, [""; 0]);
}

#[tokio::test]
async fn a_clock_set_back_a_day_changes_nothing() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(beginning()));
    let world = open_at(dir.path(), &clock);
    world.accept(world.task("t")).await;
    let before = world.store.now();
    clock.set_wall(beginning().minus(Duration::from_secs(24 * 3600)));
    assert_eq!(world.store.now(), before);
    world.store.close().await;
    let store = SqliteStore::open(options(dir.path(), clock.clone())).unwrap();
    let behind = store.stats().await.unwrap().clock_behind;
    assert_eq!((store.now(), behind), (before, Duration::from_secs(24 * 3600)));
    assert!(clock.wall() < store.now());
}

#[tokio::test]
async fn a_flipped_bit_in_a_payload_is_never_served() {
    let dir = tempfile::tempdir().unwrap();
    let (world, _, queued) = closed(dir.path()).await;
    let payload = b"{\"n\":4}";
    flip(dir.path(), payload);
    drop(world);
    let report = sqlite::check(&dir.path().join(DATABASE)).unwrap();
    assert!(report.problems[0].contains("does not match its checksum"), "{report:?}");
    let world = open(dir.path());
    assert!(matches!(world.store.tasks(vec![queued]).await, Err(StoreError::Damaged(_))));
    let answers = world.commit(Batch { lease: vec![world.request(9)], ..Batch::default() }).await;
    assert!(answers.lease[0].is_empty());
    let event = &answers.transitions[0];
    assert_eq!((event.task, event.to, event.reason), (queued, State::Failed, Reason::Damaged));
}

#[tokio::test]
async fn a_flipped_bit_in_a_result_is_never_served() {
    let dir = tempfile::tempdir().unwrap();
    let (_, done, queued) = closed(dir.path()).await;
    flip(dir.path(), b"the result");
    assert!(!sqlite::check(&dir.path().join(DATABASE)).unwrap().is_sound());
    let world = open(dir.path());
    assert!(matches!(world.store.tasks(vec![done]).await, Err(StoreError::Damaged(_))));
    assert_eq!(world.get(queued).await.facts.state, State::Queued);
}

#[tokio::test]
async fn check_finds_what_does_not_fit() {
    let spoil = [
        "DELETE FROM takeable",
        "UPDATE counters SET counts = zeroblob(10)",
        "INSERT INTO due VALUES (1, zeroblob(16), 1)",
        "UPDATE tasks SET head = zeroblob(112) WHERE seq = 1",
        "UPDATE tasks SET id = zeroblob(16) WHERE seq = 1",
    ];
    for sql in spoil {
        let dir = tempfile::tempdir().unwrap();
        closed(dir.path()).await;
        let path = dir.path().join(DATABASE);
        let report = sqlite::check(&path).unwrap();
        assert!(report.is_sound() && report.tasks == 2, "{report:?}");
        assert_eq!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 1);
        assert!(!sqlite::check(&path).unwrap().is_sound(), "{sql}");
    }
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_restored() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = open(dir.path());
    let running = world.run(world.task("t")).await;
    world.accept(world.task("t")).await;
    let (path, copy) = (dir.path().join(DATABASE), other.path().join("copy"));
    sqlite::backup(&path, &copy).unwrap();
    assert!(matches!(sqlite::backup(&path, &copy), Err(BackupError::Exists(_))));
    world.accept(world.task("t")).await;
    assert!(matches!(sqlite::restore(&copy, dir.path()), Err(RestoreError::Open(OpenError::Locked(_)))));
    world.store.close().await;
    assert!(matches!(sqlite::restore(&copy, dir.path()), Err(RestoreError::NotEmpty { tasks: 3, .. })));
    let new = other.path().join("new");
    assert_eq!(sqlite::restore(&copy, &new).unwrap(), 2);
    let restored = open(&new);
    assert_eq!(restored.get(running.facts.id).await.facts.state, State::Running);
    assert_eq!(restored.lease(9).await.len(), 1);
    assert_eq!(sqlite::stats(&new.join(DATABASE)).unwrap().counts.of(State::Running), 2);
}

#[tokio::test]
async fn a_damaged_backup_is_not_restored() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    closed(dir.path()).await;
    flip(dir.path(), b"the result");
    let restored = sqlite::restore(&dir.path().join(DATABASE), other.path());
    assert!(matches!(restored, Err(RestoreError::Damaged { .. })), "{restored:?}");
    assert!(!other.path().join(DATABASE).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_callers_share_commits_and_get_their_own_answers() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    let (store, commits) = (world.store.clone(), world.store.stats().await.unwrap().commits);
    let tasks: Vec<_> = (0..200).map(|_| world.task("t")).collect();
    let batch = |task| {
        let accept = vec![tasklane_core::accept::Submission { tasks: vec![task] }];
        Batch { accept, ..Batch::default() }
    };
    // All are asked for before any is awaited, so most of them wait while the first is on its way to the disk.
    let asked: Vec<_> = tasks.iter().cloned().map(|task| store.commit(batch(task))).collect();
    for (asked, task) in asked.into_iter().zip(&tasks) {
        let answers = asked.await.unwrap();
        assert_eq!(answers.accept[0].as_ref().unwrap()[0].id, task.id);
        assert_eq!((answers.accept.len(), answers.transitions.len()), (1, 1));
        assert_eq!(answers.transitions[0].task, task.id);
    }
    let stats = store.stats().await.unwrap();
    assert_eq!(stats.counts.of(State::Queued), 200);
    assert!(stats.commits - commits < 200, "every caller paid for a commit of its own");
}

#[tokio::test]
async fn a_unique_key_holds_again_after_a_start_and_a_retry() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    let unique = |world: &World, n| {
        let spec = spec(|spec| spec.unique = Some(Unique { key: "k".into(), held_for: None }));
        NewTask { id: id(n), spec, unique_policy: UniquePolicy::Reject, ..world.task("t") }
    };
    let first = world.accept(unique(&world, 100)).await.id;
    world.hand(first, Hand::Cancel).await.unwrap();
    world.store.close().await;
    let world = open(dir.path());
    world.hand(first, Hand::Retry).await.unwrap();
    let refused = world.submit(vec![unique(&world, 101)]).await.unwrap_err().refusal;
    assert!(matches!(refused, Refusal::UniqueHeld { .. }), "two unfinished tasks hold the key: {refused:?}");
}

#[tokio::test]
async fn a_new_task_does_not_get_the_place_of_one_that_a_grant_still_names() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    let (stays, goes) = (world.accept(world.task("t")).await.id, world.accept(world.task("t")).await.id);
    let leased = world.lease(2).await;
    let last = leased.iter().find(|it| it.facts.id == goes).unwrap();
    world.report(last, success("1")).await;
    world.hand(goes, Hand::Delete).await.unwrap();
    world.store.close().await;
    let world = open(dir.path());
    let new = world.accept(NewTask { id: id(100), ..world.task("t") }).await.id;
    world.store.close().await;
    let world = open(dir.path());
    assert_eq!(world.get(new).await.facts.state, State::Queued);
    assert_eq!(world.get(stays).await.facts.state, State::Running);
    assert_eq!(world.lease(9).await.iter().map(|it| it.facts.id).collect::<Vec<_>>(), [new]);
}

#[tokio::test]
async fn what_ran_in_the_server_is_cut_off_by_its_end_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(beginning());
    let mut world = open_at(dir.path(), &clock);
    let mut task = world.task("t");
    task.spec = spec(|spec| spec.max_attempts = 9);
    let id = world.accept(task).await.id;
    let inside = |world: &World| LeaseRequest { home: Home::InServer, ..world.request(1) };
    assert_eq!(world.lease_as(inside(&world)).await[0].facts.id, id);
    let apart = world.run(world.task("t")).await.facts.id;
    for spent in 1..5 {
        world.store.close().await;
        world = open_at(dir.path(), &clock);
        assert_eq!(world.rescue(9).await, 1, "at once");
        let task = world.get(id).await;
        assert_eq!((task.facts.state, task.reason), (State::Queued, Reason::LeaseLost));
        assert_eq!((task.facts.spent, task.facts.crashes, task.quarantined), (spent, 0, false));
        assert_eq!(task.failure.unwrap().message, "the server that ran it ended");
        assert_eq!(world.get(apart).await.facts.state, State::Running);
        assert_eq!(world.lease_as(inside(&world)).await[0].facts.id, id);
    }
}

/// A task that names a key.
fn limited(world: &World, most: u32) -> NewTask {
    let bounds = Bounds { max_running: Some(most), rate: None };
    NewTask { limits: Limit::share([Limit { key: "k".into(), bounds }]), ..world.task("t") }
}

fn key() -> GateName {
    GateName::Key { tenant: "".into(), key: "k".into() }
}

/// Rows of a table.
fn rows(dir: &Path, table: &str) -> u32 {
    let db = Connection::open(dir.join(DATABASE)).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn gates_and_what_waits_for_them_are_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    for _ in 0..3 {
        world.accept(limited(&world, 1)).await;
    }
    let running = world.lease(9).await;
    world.store.close().await;
    assert_eq!(sqlite::check(&dir.path().join(DATABASE)).unwrap().problems, Vec::<String>::new());
    let again = open_at(dir.path(), &ManualClock::at(world.store.now()));
    let gate = again.store.gate(key()).await.unwrap().unwrap().gate;
    assert_eq!((gate.running, gate.waiting, gate.bounds.max_running), (1, 2, Some(1)));
    assert!(again.lease(9).await.is_empty());
    assert_eq!(again.settle(world.settlement(&running[0], success("1"))).await, Settled::Held);
    assert_eq!(again.lease(9).await.len(), 1);
}

#[tokio::test]
async fn a_gate_is_forgotten_with_the_last_task_that_named_it() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    let sweep = async || {
        let retention = Retention { succeeded: SECOND, ..Retention::default() };
        let sweep = Some(Sweep { retention, limit: 9, disk: None });
        world.commit(Batch { sweep, ..Batch::default() }).await;
    };
    let first = world.run(limited(&world, 2)).await;
    let second = world.run(limited(&world, 2)).await;
    world.report(&first, success("1")).await;
    world.advance(SECOND);
    sweep().await;
    sweep().await;
    assert_eq!(world.store.gate(key()).await.unwrap().unwrap().gate.running, 1, "a task is left that names it");
    world.report(&second, success("1")).await;
    world.advance(SECOND);
    sweep().await;
    sweep().await;
    assert_eq!(world.store.gate(key()).await.unwrap(), None);
    assert_eq!((rows(dir.path(), "strands"), rows(dir.path(), "gates")), (0, 0));
    let anew = world.run(limited(&world, 3)).await;
    let gate = world.store.gate(key()).await.unwrap().unwrap();
    assert_eq!((gate.gate.bounds.max_running, gate.holders[0].0), (Some(3), anew.facts.id));
    let operator = SetGate { name: key(), by: SetBy::Operator, bounds: Some(gate.gate.bounds) };
    world.commit(Batch { gate: vec![operator], ..Batch::default() }).await;
    world.report(&anew, success("1")).await;
    world.advance(SECOND);
    sweep().await;
    sweep().await;
    assert_eq!((rows(dir.path(), "strands"), rows(dir.path(), "gates")), (0, 1), "what an operator said stays");
}
