use tasklane_core::hand::Hand;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::store::{Batch, Sweep};
use tasklane_core::retention::Retention;
use tasklane_core::task::TaskId;

use super::world::{SECOND, World, success};

async fn finished(world: &World, outcome: Outcome) -> TaskId {
    let leased = world.run(world.task("t")).await;
    world.report(&leased, outcome).await;
    leased.facts.id
}

async fn sweep(world: &World, retention: &Retention, limit: usize) -> usize {
    let sweep = Some(Sweep { retention: retention.clone(), limit, disk: None });
    world.commit(Batch { sweep, ..Batch::default() }).await.sweep
}

pub async fn final_tasks_go_after_their_time(world: World) {
    let retention = Retention { succeeded: 5 * SECOND, failed: 10 * SECOND, ..Retention::default() };
    let good = finished(&world, success("1")).await;
    let bad = finished(&world, Outcome::failed(FailureKind::Permanent, "no")).await;
    assert_eq!(sweep(&world, &retention, 100).await, 0);
    world.advance(5 * SECOND);
    assert_eq!(sweep(&world, &retention, 100).await, 1);
    assert!(world.find(good).await.is_none() && world.find(bad).await.is_some());
    world.advance(5 * SECOND);
    assert_eq!(sweep(&world, &retention, 100).await, 1);
    assert_eq!(world.store.stats().await.unwrap().counts.total(), 0);
    assert_eq!(world.store.queues(Some("q".into())).await.unwrap().len(), 1, "a queue stays");
}

pub async fn too_many_final_tasks_go_oldest_first(world: World) {
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(finished(&world, success("1")).await);
    }
    let retention = Retention { most: 4, ..Retention::default() };
    assert_eq!(sweep(&world, &retention, 100).await, 2);
    let left: Vec<_> = world.store.tasks(all).await.unwrap().iter().map(Option::is_some).collect();
    assert_eq!(left, [false, false, true, true, true, true]);
    let crowded = Sweep { retention: Retention::default(), limit: 3, disk: Some((81, 100)) };
    let swept = world.commit(Batch { sweep: Some(crowded), ..Batch::default() }).await.sweep;
    assert_eq!(swept, 3, "a crowded disk costs a step's worth of final tasks, however young");
}

pub async fn hidden_tasks_go_too(world: World) {
    let hidden = finished(&world, success("1")).await;
    world.hand(hidden, Hand::Hide).await.unwrap();
    let retention = Retention { succeeded: 5 * SECOND, ..Retention::default() };
    assert_eq!(sweep(&world, &retention, 100).await, 0);
    world.advance(5 * SECOND);
    assert_eq!(sweep(&world, &retention, 100).await, 1);
    assert_eq!(world.store.stats().await.unwrap().counts.total(), 0);
    world.hand(finished(&world, success("1")).await, Hand::Hide).await.unwrap();
    assert_eq!(sweep(&world, &Retention { most: 0, ..retention }, 100).await, 1, "they count among the final ones");
}

pub async fn a_step_is_bounded(world: World) {
    for _ in 0..5 {
        finished(&world, success("1")).await;
    }
    world.advance(SECOND);
    let retention = Retention { succeeded: SECOND, ..Retention::default() };
    let mut swept = Vec::new();
    for _ in 0..5 {
        swept.push(sweep(&world, &retention, 2).await);
    }
    assert_eq!(swept.iter().sum::<usize>(), 5);
    assert!(swept.iter().all(|it| *it <= 2), "{swept:?}");
}

pub async fn nothing_unfinished_goes(world: World) {
    world.accept(world.task("t")).await;
    world.run(world.task("t")).await;
    let mut later = world.task("t");
    later.start = tasklane_core::accept::Start::After(3600 * SECOND);
    world.accept(later).await;
    world.advance(365 * 24 * 3600 * SECOND);
    let retention = Retention { succeeded: SECOND, most: 0, ..Retention::default() };
    assert_eq!(sweep(&world, &retention, 100).await, 0);
    assert_eq!(world.store.stats().await.unwrap().counts.total(), 3);
}
