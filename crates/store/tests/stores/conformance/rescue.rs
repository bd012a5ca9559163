use tasklane_core::accept::{Deadlines, Moment};
use tasklane_core::hand::Hand;
use tasklane_core::outcome::FailureKind;
use tasklane_core::ports::store::Batch;
use tasklane_core::state::{Reason, State};

use super::world::{LEASE, SECOND, World, ids, spec};

pub async fn a_lost_lease_queues_again(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    world.accept(world.task("t")).await;
    let rank = world.get(id).await.rank;
    world.advance(LEASE - SECOND);
    let answers = world.commit(Batch { rescue: 9, ..Batch::default() }).await;
    assert_eq!((answers.rescue, answers.next_due), (0, Some(SECOND)));
    world.advance(SECOND);
    assert_eq!(world.rescue(9).await, 1);
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.reason, task.facts.spent), (State::Queued, Reason::LeaseLost, 1));
    assert_eq!((task.rank, task.failure.as_ref().unwrap().kind), (rank, FailureKind::LeaseLost));
    assert_eq!(world.lease(1).await[0].facts.id, id, "it keeps its place");
    assert_eq!(world.store.attempts(id).await.unwrap().unwrap().len(), 2);
}

pub async fn three_lost_leases_quarantine(world: World) {
    let mut task = world.task("t");
    task.spec = spec(|spec| spec.max_attempts = 9);
    let id = world.run(task).await.facts.id;
    let mut states = Vec::new();
    for _ in 0..3 {
        world.advance(LEASE);
        assert_eq!(world.rescue(9).await, 1);
        states.push(world.get(id).await.facts.state);
        world.advance(3600 * SECOND);
        world.promote(9).await;
        world.lease(1).await;
    }
    assert_eq!(states, [State::Queued, State::Retrying, State::Failed]);
    let task = world.get(id).await;
    assert_eq!((task.reason, task.quarantined, task.facts.spent), (Reason::CrashLoop, true, 3));
    let message = task.failure.unwrap().message;
    assert!(
        message.starts_with("worker w1 ") && message.contains("(quarantined after 3 attempts in a row"),
        "{message}"
    );
    let task = world.hand(id, Hand::Retry).await.unwrap();
    assert_eq!((task.quarantined, task.facts.crashes), (false, 0));
}

pub async fn a_slow_attempt_times_out(world: World) {
    let mut task = world.task("t");
    task.spec = spec(|spec| spec.attempt_timeout = Some(5 * SECOND));
    let leased = world.run(task).await;
    world.advance(4 * SECOND);
    world.commit(Batch { renew: vec![leased.key()], ..Batch::default() }).await;
    world.advance(SECOND);
    assert_eq!(world.rescue(9).await, 1);
    let task = world.get(leased.facts.id).await;
    assert_eq!((task.facts.state, task.failure.unwrap().kind), (State::Retrying, FailureKind::Timeout));
}

pub async fn a_silent_handler_times_out(world: World) {
    let mut task = world.task("t");
    task.spec = spec(|spec| spec.heartbeat_timeout = Some(5 * SECOND));
    let leased = world.run(task).await;
    let sign = || Batch { renew: vec![leased.key()], progress: vec![(leased.key(), None)], ..Batch::default() };
    world.advance(4 * SECOND);
    world.commit(sign()).await;
    world.advance(4 * SECOND);
    assert_eq!(world.rescue(9).await, 0, "it gave a sign four seconds ago");
    world.commit(Batch { renew: vec![leased.key()], ..Batch::default() }).await;
    world.advance(SECOND);
    assert_eq!(world.rescue(9).await, 1, "a renewal is no sign of the handler");
}

pub async fn a_cancelled_task_ends_with_its_grace(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    world.hand(id, Hand::Cancel).await.unwrap();
    world.advance(SECOND);
    world.commit(Batch { grace: vec![leased.key()], ..Batch::default() }).await;
    world.advance(9 * SECOND);
    assert_eq!(world.rescue(9).await, 0);
    world.advance(SECOND);
    assert_eq!(world.rescue(9).await, 1);
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.reason), (State::Cancelled, Reason::Cancelled));
}

pub async fn a_deadline_ends_a_running_task(world: World) {
    let mut task = world.task("t");
    task.deadlines = Deadlines { start: None, end: Some(Moment::After(7 * SECOND)) };
    let leased = world.run(task).await;
    world.advance(7 * SECOND);
    assert_eq!((world.promote(9).await, world.rescue(9).await), (0, 1));
    let task = world.get(leased.facts.id).await;
    assert_eq!((task.facts.state, task.reason), (State::Failed, Reason::Deadline));
}

pub async fn a_bounded_step_leaves_the_rest(world: World) {
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(world.run(world.task("t")).await.facts.id);
        world.advance(SECOND);
    }
    world.advance(LEASE);
    for expected in [2, 2, 1, 0] {
        assert_eq!(world.rescue(2).await, expected);
    }
    assert_eq!(ids(&world.lease(9).await), all);
}
