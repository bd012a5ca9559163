use tasklane_core::accept::{Start, UniquePolicy};
use tasklane_core::error::HandError;
use tasklane_core::hand::Hand;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::ports::store::{Hidden, TaskFilter};
use tasklane_core::queue::Counted;
use tasklane_core::settle::Settled;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Task, Unique};

use super::world::{SECOND, World, ids, spec, success};

pub async fn cancel_before_the_start(world: World) {
    let tasks: Vec<_> = (0..3).map(|_| world.task("t")).collect();
    let all: Vec<_> = tasks.iter().map(|task| task.id).collect();
    world.submit(tasks).await.unwrap();
    let task = world.hand(all[1], Hand::Cancel).await.unwrap();
    assert_eq!((task.facts.state, task.reason), (State::Cancelled, Reason::Cancelled));
    assert_eq!(task, world.get(all[1]).await);
    assert_eq!(ids(&world.lease(9).await), [all[0], all[2]]);
}

pub async fn cancel_while_running(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    let before = world.events().await.len();
    let task = world.hand(id, Hand::Cancel).await.unwrap();
    assert_eq!((task.facts.state, task.facts.cancel_requested), (State::Running, true));
    assert_eq!(task.payload, leased.payload);
    assert_eq!(world.hand(id, Hand::Cancel).await.unwrap(), world.get(id).await);
    assert_eq!(world.events().await.len(), before, "a wish is no transition");
    assert_eq!(world.report(&leased, Outcome::Cancelled).await, Settled::Held);
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.facts.spent), (State::Cancelled, 0));
}

pub async fn retry_keeps_the_history(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    world.report(&leased, Outcome::failed(FailureKind::Permanent, "no")).await;
    world.advance(SECOND);
    let task = world.hand(id, Hand::Retry).await.unwrap();
    assert_eq!((task.facts.state, task.reason, task.facts.spent), (State::Queued, Reason::Retried, 0));
    assert_eq!((task.facts.attempt, task.finished_at), (1, None));
    let attempts = world.store.attempts(id).await.unwrap().unwrap();
    assert_eq!((attempts.len(), attempts[0].reason), (1, Some(Reason::Permanent)));
    let again = world.lease(1).await.remove(0);
    assert_eq!(again.facts.attempt, 2);
    world.report(&again, success("1")).await;
    assert_eq!(world.store.attempts(id).await.unwrap().unwrap().len(), 2);
}

pub async fn retry_needs_its_unique_key(world: World) {
    let unique = || {
        let mut task = world.task("t");
        task.spec = spec(|spec| spec.unique = Some(Unique { key: "u".into(), held_for: None }));
        task.unique_policy = UniquePolicy::Reject;
        task
    };
    let first = world.accept(unique()).await.id;
    world.hand(first, Hand::Cancel).await.unwrap();
    let second = world.accept(unique()).await.id;
    assert_eq!(world.hand(first, Hand::Retry).await, Err(HandError::UniqueHeld { task: second }));
    world.hand(second, Hand::Cancel).await.unwrap();
    world.hand(first, Hand::Retry).await.unwrap();
    let refused = world.submit(vec![unique()]).await.unwrap_err().refusal;
    assert_eq!(refused, tasklane_core::error::Refusal::UniqueHeld { task: first });
}

pub async fn reschedule_moves(world: World) {
    let tasks = vec![world.task("t"), world.task("t")];
    let all: Vec<_> = tasks.iter().map(|task| task.id).collect();
    world.submit(tasks).await.unwrap();
    let task = world.hand(all[0], Hand::Reschedule(Start::After(4 * SECOND))).await.unwrap();
    assert_eq!((task.facts.state, task.facts.run_at), (State::Scheduled, Some(world.store.now().plus(4 * SECOND))));
    let task = world.hand(all[0], Hand::Reschedule(Start::After(2 * SECOND))).await.unwrap();
    assert_eq!(task.reason, Reason::Rescheduled);
    world.advance(2 * SECOND);
    assert_eq!(world.promote(9).await, 1);
    assert_eq!(ids(&world.lease(9).await), [all[1], all[0]], "its place is that of now");
}

pub async fn delete_forgets(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    world.report(&leased, success("1")).await;
    let task = world.hand(id, Hand::Delete).await.unwrap();
    assert_eq!((task.facts.id, task.facts.state), (id, State::Succeeded));
    assert_eq!(world.find(id).await, None);
    assert_eq!(world.store.attempts(id).await.unwrap(), None);
    assert_eq!(world.hand(id, Hand::Delete).await, Err(HandError::NotFound));
    assert_eq!(world.store.stats().await.unwrap().counts.total(), 0);
}

pub async fn what_the_state_forbids(world: World) {
    let id = world.accept(world.task("t")).await.id;
    let refused = |state, wanted| Err(HandError::InvalidTransition { state, wanted });
    assert_eq!(world.hand(id, Hand::Retry).await, refused(State::Queued, "retried"));
    assert_eq!(world.hand(id, Hand::Delete).await, refused(State::Queued, "deleted"));
    let leased = world.lease(1).await.remove(0);
    assert_eq!(world.hand(id, Hand::Reschedule(Start::Now)).await, refused(State::Running, "rescheduled"));
    world.report(&leased, success("1")).await;
    assert_eq!(world.hand(id, Hand::Cancel).await, refused(State::Succeeded, "cancelled"));
    assert_eq!(world.hand(id, Hand::Retry).await, refused(State::Succeeded, "retried"));
    assert_eq!(world.hand(world.task("t").id, Hand::Cancel).await, Err(HandError::NotFound));
}

pub async fn a_hidden_task_is_gone_but_for_lists_that_ask(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    world.report(&leased, success("[1,2]")).await;
    let before = (world.events().await.len(), world.get(id).await);
    world.advance(SECOND);
    let task = world.hand(id, Hand::Hide).await.unwrap();
    assert_eq!(task.hidden_at, Some(world.store.now()));
    assert_eq!(Task { hidden_at: None, ..task.clone() }, before.1, "nothing else changes");
    assert_eq!(world.events().await.len(), before.0, "to be hidden is no transition");
    assert_eq!(world.find(id).await, None);
    assert_eq!(world.store.attempts(id).await.unwrap(), None);
    assert_eq!(world.store.standing(id, 9).await.unwrap(), None);
    for hand in [Hand::Hide, Hand::Delete, Hand::Retry, Hand::Cancel] {
        assert_eq!(world.hand(id, hand).await, Err(HandError::NotFound), "{hand:?}");
    }
    let other = world.accept(world.task("t")).await.id;
    for (hidden, shown) in [(Hidden::Without, vec![other]), (Hidden::With, vec![other, id]), (Hidden::Only, vec![id])] {
        let page = world.store.list(TaskFilter { hidden, ..TaskFilter::default() }, None, 9).await.unwrap();
        assert_eq!(page.tasks.iter().map(|it| it.facts.id).collect::<Vec<_>>(), shown, "{hidden:?}");
        page.tasks.iter().filter(|it| it.facts.id == id).for_each(|it| assert_eq!(*it, task));
    }
    let counts = world.store.stats().await.unwrap().counts;
    assert_eq!((counts.of(State::Succeeded), counts.of(Counted::Deleted(State::Succeeded))), (0, 1));
    assert_eq!(world.store.queues(Some("q".into())).await.unwrap()[0].counts, counts);
}

pub async fn only_what_is_final_can_be_hidden(world: World) {
    let id = world.accept(world.task("t")).await.id;
    let refused = |state| Err(HandError::InvalidTransition { state, wanted: "deleted" });
    assert_eq!(world.hand(id, Hand::Hide).await, refused(State::Queued));
    let leased = world.lease(1).await.remove(0);
    assert_eq!(world.hand(id, Hand::Hide).await, refused(State::Running));
    world.report(&leased, Outcome::failed(FailureKind::Permanent, "no")).await;
    let task = world.hand(id, Hand::Hide).await.unwrap();
    assert_eq!(task.failure.unwrap().message, "no");
    assert_eq!(world.hand(world.task("t").id, Hand::Hide).await, Err(HandError::NotFound));
}
