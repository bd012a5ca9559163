use tasklane_core::accept::{Deadlines, Moment, Start};
use tasklane_core::outcome::FailureKind;
use tasklane_core::ports::store::Batch;
use tasklane_core::retry::Retry;
use tasklane_core::state::{Reason, State};

use super::world::{SECOND, World, ids, spec};

pub async fn scheduled_tasks_become_queued_when_due(world: World) {
    let mut later = world.task("t");
    later.start = Start::After(5 * SECOND);
    let later = world.accept(later).await.id;
    assert_eq!(world.promote(9).await, 0);
    world.advance(5 * SECOND);
    let answers = world.commit(Batch { promote: 9, ..Batch::default() }).await;
    assert_eq!((answers.promote, answers.next_due), (1, None));
    assert_eq!(answers.transitions[0].reason, Reason::Due);
    let task = world.get(later).await;
    assert_eq!((task.facts.state, task.facts.run_at), (State::Queued, None));
    assert_eq!((task.rank, task.queued_at), (world.store.now(), Some(world.store.now())));
    assert_eq!(ids(&world.lease(1).await), [later]);
}

pub async fn a_deadline_fails(world: World) {
    let mut task = world.task("t");
    task.deadlines = Deadlines { start: None, end: Some(Moment::After(2 * SECOND)) };
    let id = world.accept(task).await.id;
    world.advance(2 * SECOND);
    assert_eq!(world.promote(1).await, 1);
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.reason), (State::Failed, Reason::Deadline));
    assert_eq!(task.failure.unwrap().kind, FailureKind::Timeout);
    assert!(world.lease(1).await.is_empty());
}

pub async fn a_start_deadline_expires(world: World) {
    let mut task = world.task("t");
    task.deadlines = Deadlines { start: Some(Moment::After(2 * SECOND)), end: None };
    let id = world.accept(task.clone()).await.id;
    world.advance(2 * SECOND);
    assert_eq!(world.promote(1).await, 1);
    assert_eq!(world.get(id).await.facts.state, State::Expired);
    // One that had started is not touched by it.
    task.id = world.task("t").id;
    let leased = world.run(task).await;
    world.report(&leased, tasklane_core::outcome::Outcome::Released).await;
    world.advance(9 * SECOND);
    assert_eq!(world.promote(1).await, 0);
    assert_eq!(world.lease(1).await.len(), 1);
}

pub async fn a_bounded_step_leaves_the_rest(world: World) {
    let mut all = Vec::new();
    for n in 0..5_u32 {
        let mut task = world.task("t");
        task.start = Start::After((n + 1) * SECOND);
        all.push(world.accept(task).await.id);
    }
    world.advance(9 * SECOND);
    for expected in [2, 2, 1, 0] {
        assert_eq!(world.promote(2).await, expected);
        world.advance(SECOND);
    }
    assert_eq!(ids(&world.lease(9).await), all, "the longest due are promoted first");
}

pub async fn retrying_tasks_keep_their_failure(world: World) {
    let mut task = world.task("t");
    task.spec = spec(|spec| spec.retry = Retry::Delays { delays: vec![3 * SECOND], jitter: false });
    let leased = world.run(task).await;
    world.fail(&leased).await;
    let id = leased.facts.id;
    assert_eq!(world.get(id).await.facts.run_at, Some(world.store.now().plus(3 * SECOND)));
    world.advance(3 * SECOND);
    assert_eq!(world.promote(9).await, 1);
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.failure.unwrap().message.as_str()), (State::Queued, "it broke"));
}
