//! How far a strand was taken is noted first, and its rows are cut later: what the file says in between.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tasklane_core::accept::{NewTask, Start, UniquePolicy};
use tasklane_core::hand::Hand;
use tasklane_core::lease::Leased;
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::store::{Batch, Sweep};
use tasklane_core::retention::Retention;
use tasklane_core::state::State;
use tasklane_core::task::{TaskId, Unique};
use tasklane_store::sqlite::{self, DATABASE};
use tasklane_testkit::ManualClock;

use crate::conformance::world::{SECOND, World, beginning, ids, spec, success};
use crate::{key, limited, open, open_at, rows};

/// What the rows of the strands say, whatever was taken.
fn takeable(dir: &Path) -> Vec<Vec<u8>> {
    let db = Connection::open(dir.join(DATABASE)).unwrap();
    let mut find = db.prepare("SELECT seqs FROM takeable ORDER BY lane, urgency, rank, first").unwrap();
    find.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn is_sound(dir: &Path) {
    assert_eq!(sqlite::check(&dir.join(DATABASE)).unwrap().problems, [""; 0]);
}

/// So many tasks without keys and so many that name one, in turn, as they are to be leased; all of one moment.
async fn accept_both(world: &World, many: usize) -> Vec<TaskId> {
    let both = (0..many).flat_map(|_| [world.task("t"), limited(world, 99)]);
    world.submit(both.collect()).await.unwrap().iter().map(|it| it.id).collect()
}

/// The same, each in a moment of its own.
async fn accept_both_by_and_by(world: &World, many: usize) -> Vec<TaskId> {
    let mut all = Vec::new();
    for _ in 0..many {
        for task in [world.task("t"), limited(world, 99)] {
            all.push(world.accept(task).await.id);
            world.advance(SECOND);
        }
    }
    all
}

/// Two strands, of each of which a few were leased.
async fn taken_in_part(world: &World, dir: &Path) -> (Vec<TaskId>, Vec<Leased>) {
    let all = accept_both(world, 8).await;
    let leased = world.lease(6).await;
    assert_eq!((rows(dir, "cuts"), takeable(dir).len()), (2, 2));
    (all, leased)
}

#[tokio::test]
async fn the_first_few_that_are_taken_leave_the_rows_alone() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    world.submit((0..40).map(|_| world.task("t")).collect()).await.unwrap();
    let whole = takeable(dir.path());
    for _ in 0..15 {
        world.lease(1).await;
        assert_eq!((takeable(dir.path()), rows(dir.path(), "cuts")), (whole.clone(), 1));
    }
    world.lease(1).await;
    assert!(takeable(dir.path()) != whole && rows(dir.path(), "cuts") == 0, "the sixteenth cuts them");
    world.lease(20).await;
    assert_eq!(rows(dir.path(), "cuts"), 0, "many are cut at once");
    world.lease(2).await;
    assert_eq!((takeable(dir.path()).len(), rows(dir.path(), "cuts")), (1, 1));
    world.lease(2).await;
    assert_eq!((takeable(dir.path()).len(), rows(dir.path(), "cuts")), (0, 0), "what is emptied is cut");
    is_sound(dir.path());
}

#[tokio::test]
async fn what_was_taken_is_not_taken_again_after_a_start() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(beginning()));
    let mut world = open_at(dir.path(), &clock);
    let mut all = accept_both(&world, 6).await;
    world.advance(SECOND);
    all.extend(accept_both_by_and_by(&world, 6).await);
    let mut leased = Vec::new();
    for left in [19, 14, 9, 4] {
        leased.extend(ids(&world.lease(5).await));
        assert_eq!(rows(dir.path(), "cuts"), 2);
        world.store.close().await;
        is_sound(dir.path());
        world = open_at(dir.path(), &clock);
        assert_eq!(world.store.stats().await.unwrap().counts.of(State::Queued), left);
        assert_eq!(world.store.gate(key()).await.unwrap().unwrap().gate.waiting, left.div_ceil(2));
        assert_eq!(world.store.standing(all[23], 99).await.unwrap().unwrap().ahead, Some(left - 1));
        let queue = world.store.queues(Some("q".into())).await.unwrap().remove(0);
        assert_eq!(queue.next, Some(all[leased.len()]));
    }
    // One at a time reads a strand again and again.
    for _ in 0..4 {
        leased.extend(ids(&world.lease(1).await));
        is_sound(dir.path());
    }
    assert_eq!(leased, all);
    assert_eq!((rows(dir.path(), "takeable"), rows(dir.path(), "cuts")), (0, 0));
}

#[tokio::test]
async fn what_comes_before_what_was_taken_by_a_server_that_was_killed() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = open(dir.path());
    let (all, leased) = taken_in_part(&world, dir.path()).await;
    for file in [DATABASE, "tasklane.db-wal"] {
        fs::copy(dir.path().join(file), other.path().join(file)).unwrap();
    }
    let after = open_at(other.path(), &ManualClock::at(world.store.now()));
    for back in [&leased[3], &leased[0]] {
        after.report(back, Outcome::Released).await;
    }
    assert_eq!(rows(other.path(), "cuts"), 0, "the rows are cut before anything is written");
    is_sound(other.path());
    let urgent = after.accept(NewTask { id: TaskId::from_bytes([9; 16]), priority: 1, ..after.task("t") }).await.id;
    assert_eq!(ids(&after.lease(99).await), [&[urgent, all[0], all[3]], &all[6..]].concat());
    is_sound(other.path());
}

#[tokio::test]
async fn what_stands_behind_what_was_taken_is_moved_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let world = open(dir.path());
    let unique = || {
        let spec = spec(|spec| spec.unique = Some(Unique { key: "u".into(), held_for: None }));
        NewTask { spec, unique_policy: UniquePolicy::Replace, ..world.task("t") }
    };
    let (all, _) = taken_in_part(&world, dir.path()).await;
    let replaced = world.accept(unique()).await.id;
    for (at, hand) in [(6, Hand::Cancel), (9, Hand::Cancel), (8, Hand::Reschedule(Start::After(SECOND)))] {
        world.hand(all[at], hand).await.unwrap();
        is_sound(dir.path());
    }
    assert_eq!(world.accept(unique()).await.id, replaced);
    assert_eq!(rows(dir.path(), "cuts"), 2, "what goes behind it cuts nothing");
    is_sound(dir.path());
    world.advance(SECOND);
    world.promote(9).await;
    assert_eq!(world.store.standing(replaced, 99).await.unwrap().unwrap().ahead, Some(7));
    let first = world.lease(2).await;
    assert_eq!(ids(&first), [all[7], all[10]]);
    is_sound(dir.path());
    for id in all[11..].iter().chain([&all[8], &replaced]) {
        world.hand(*id, Hand::Cancel).await.unwrap();
        is_sound(dir.path());
    }
    assert_eq!((rows(dir.path(), "takeable"), rows(dir.path(), "cuts")), (0, 0));
    assert!(world.lease(9).await.is_empty());
}

#[tokio::test]
async fn a_strand_that_is_numbered_anew_begins_with_nothing_taken() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(beginning()));
    let world = open_at(dir.path(), &clock);
    let number = || {
        let db = Connection::open(dir.path().join(DATABASE)).unwrap();
        db.query_row("SELECT no FROM strands", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let old = world.submit((0..4).map(|_| limited(&world, 9)).collect()).await.unwrap();
    let first = number();
    for leased in world.lease(2).await {
        world.report(&leased, success("1")).await;
    }
    assert_eq!(rows(dir.path(), "cuts"), 1);
    for left in &old[2..] {
        world.hand(left.id, Hand::Cancel).await.unwrap();
    }
    assert_eq!(rows(dir.path(), "cuts"), 0);
    world.advance(SECOND);
    for _ in 0..2 {
        let retention = Retention { succeeded: SECOND, cancelled: SECOND, ..Retention::default() };
        let sweep = Some(Sweep { retention, limit: 9, disk: None });
        world.commit(Batch { sweep, ..Batch::default() }).await;
    }
    assert_eq!((rows(dir.path(), "tasks"), rows(dir.path(), "strands")), (0, 0));
    world.store.close().await;
    let world = open_at(dir.path(), &clock);
    let new: Vec<_> = (100..104).map(|n| NewTask { id: crate::id(n), ..limited(&world, 9) }).collect();
    let new: Vec<_> = world.submit(new).await.unwrap().iter().map(|it| it.id).collect();
    assert_eq!(number(), first);
    assert_eq!(ids(&world.lease(3).await), new[..3]);
    is_sound(dir.path());
}

#[tokio::test]
async fn check_finds_a_wrong_cut() {
    let spoil = [
        "DELETE FROM cuts WHERE lane = 0",
        "UPDATE cuts SET seq = seq + 2 WHERE lane = 0",
        "UPDATE cuts SET seq = seq - 2 WHERE lane = 0",
        "UPDATE cuts SET urgency = 1 WHERE lane > 0",
        "UPDATE cuts SET lane = 7 WHERE lane = 0",
        "INSERT INTO cuts VALUES (7, 0, 0, 1)",
    ];
    for sql in spoil {
        let dir = tempfile::tempdir().unwrap();
        let world = open(dir.path());
        taken_in_part(&world, dir.path()).await;
        world.store.close().await;
        is_sound(dir.path());
        let path = dir.path().join(DATABASE);
        assert_eq!(Connection::open(&path).unwrap().execute(sql, []).unwrap(), 1);
        assert!(!sqlite::check(&path).unwrap().is_sound(), "{sql}");
    }
}

#[tokio::test]
async fn a_backup_knows_how_far_strands_were_taken() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = open(dir.path());
    let (all, _) = taken_in_part(&world, dir.path()).await;
    let (copy, new) = (other.path().join("copy"), other.path().join("new"));
    sqlite::backup(&dir.path().join(DATABASE), &copy).unwrap();
    sqlite::restore(&copy, &new).unwrap();
    let restored = open_at(&new, &world.clock);
    assert_eq!(ids(&restored.lease(99).await), all[6..]);
    is_sound(&new);
}
