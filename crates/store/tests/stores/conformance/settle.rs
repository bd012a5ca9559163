use std::time::Duration;

use bytes::Bytes;
use tasklane_core::hand::Hand;
use tasklane_core::lease::Leased;
use tasklane_core::outcome::{FailureKind, Outcome};
use tasklane_core::settle::Settled;
use tasklane_core::state::{Reason, State};

use super::world::{SECOND, World, ids, spec, success};

pub async fn a_success_is_kept(world: World) {
    let leased = world.run(world.task("t")).await;
    world.advance(SECOND);
    assert_eq!(world.report(&leased, success("{\"ok\":true}")).await, Settled::Held);
    let task = world.get(leased.facts.id).await;
    assert_eq!((task.facts.state, task.reason, task.facts.spent), (State::Succeeded, Reason::Succeeded, 1));
    assert_eq!((task.result.as_deref(), &task.payload), (Some(&b"{\"ok\":true}"[..]), &leased.payload));
    assert_eq!((task.finished_at, task.facts.lease), (Some(world.store.now()), None));
    assert_eq!(task.worker.as_deref(), Some("w1"));
    assert_eq!(world.events().await.last().unwrap().reason, Reason::Succeeded);
    assert_eq!(world.rescue(9).await, 0);
}

pub async fn failure_retries_then_fails(world: World) {
    let mut task = world.task("t");
    task.spec = spec(|spec| spec.max_attempts = 2);
    let first = world.run(task).await;
    let id = first.facts.id;
    assert_eq!(world.fail(&first).await, Settled::Held);
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.reason, task.facts.spent), (State::Retrying, Reason::AttemptFailed, 1));
    world.advance(Duration::from_secs(3600));
    world.promote(9).await;
    let second = world.lease(1).await.remove(0);
    assert_eq!((second.facts.attempt, second.facts.spent), (2, 1));
    world.report(&second, Outcome::failed(FailureKind::Killed, "killed")).await;
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.reason, task.facts.spent), (State::Failed, Reason::AttemptsSpent, 2));
    assert!(task.quarantined, "the last attempt killed its worker");
    let failure = task.failure.unwrap();
    let message = "killed (worker w1; quarantined as the last attempt it had ended like this)";
    assert_eq!((failure.kind, &*failure.message), (FailureKind::Killed, message));
}

pub async fn snoozed_and_released_cost_nothing(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    world.report(&leased, Outcome::Snoozed(5 * SECOND)).await;
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.reason, task.facts.spent), (State::Scheduled, Reason::Snoozed, 0));
    world.advance(5 * SECOND);
    assert_eq!(world.promote(9).await, 1);
    let again = world.lease(1).await.remove(0);
    world.report(&again, Outcome::Released).await;
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.reason, task.facts.attempt), (State::Queued, Reason::Released, 2));
    assert_eq!(task.facts.spent, 0);
}

pub async fn the_same_report_twice_is_silent(world: World) {
    let leased = world.run(world.task("t")).await;
    let settlement = world.settlement(&leased, Outcome::failed(FailureKind::Error, "x"));
    assert_eq!(world.settle(settlement.clone()).await, Settled::Held);
    let before = world.get(leased.facts.id).await;
    assert_eq!(world.settle(settlement.clone()).await, Settled::Repeated);
    assert_eq!(world.report(&leased, success("1")).await, Settled::Lost, "that is another outcome");
    assert_eq!(world.get(leased.facts.id).await, before);
    world.advance(3600 * SECOND);
    world.promote(1).await;
    assert_eq!(world.settle(settlement.clone()).await, Settled::Repeated);
    world.lease(1).await;
    assert_eq!(world.settle(settlement).await, Settled::Lost, "the next attempt has begun");
}

pub async fn a_late_report_is_lost(world: World) {
    let leased = world.run(world.task("t")).await;
    world.advance(30 * SECOND);
    assert_eq!(world.rescue(9).await, 1);
    assert_eq!(world.report(&leased, success("1")).await, Settled::Lost);
    let again = world.lease(1).await.remove(0);
    assert_eq!(again.facts.id, leased.facts.id);
    assert_eq!(world.report(&leased, success("1")).await, Settled::Lost);
    assert_eq!(world.report(&again, success("2")).await, Settled::Held);
    let stranger = world
        .settlement(&Leased { facts: world.task("t").into_task(world.store.now()).facts, ..again }, Outcome::Released);
    assert_eq!(world.settle(stranger).await, Settled::Lost);
}

pub async fn a_cancelled_success_keeps_its_result_in_the_attempt(world: World) {
    let leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    world.hand(id, Hand::Cancel).await.unwrap();
    // The reporter's facts are those of before the cancellation.
    let settlement = world.settlement(&leased, success("42"));
    assert_eq!(world.settle(settlement.clone()).await, Settled::Held);
    let task = world.get(id).await;
    assert_eq!((task.facts.state, task.reason, task.result), (State::Cancelled, Reason::Cancelled, None));
    let attempts = world.store.attempts(id).await.unwrap().unwrap();
    assert_eq!((attempts.len(), attempts[0].result.as_deref()), (1, Some("42")));
    assert_eq!(world.settle(settlement.clone()).await, Settled::Repeated);
    let mut knowing = leased.clone();
    knowing.facts.cancel_requested = true;
    assert_eq!(world.report(&knowing, success("42")).await, Settled::Repeated);
}

pub async fn followers_are_accepted_only_where_it_held(world: World) {
    let leased = world.run(world.task("t")).await;
    let mut settlement = world.settlement(&leased, success("1"));
    settlement.then = vec![world.task_in("~callbacks", "call"), world.task("next")];
    let followers: Vec<_> = settlement.then.iter().map(|task| task.id).collect();
    assert_eq!(world.settle(settlement).await, Settled::Held);
    assert_eq!(ids(&world.lease(9).await), [followers[1]]);
    assert_eq!(world.get(followers[0]).await.facts.state, State::Queued);
    let mut late = world.settlement(&leased, Outcome::Released);
    late.then = vec![world.task("never")];
    let never = late.then[0].id;
    assert_eq!(world.settle(late).await, Settled::Lost);
    assert_eq!(world.find(never).await, None);
}

pub async fn results_of_any_size(world: World) {
    for length in [0_usize, 1, 8, 9, 100, 255, 256, 257, 5000, 1 << 20] {
        let leased = world.run(world.task("t")).await;
        let result = Bytes::from(vec![b'7'; length]);
        world.report(&leased, Outcome::Succeeded(result.clone())).await;
        assert_eq!(world.get(leased.facts.id).await.result, Some(result), "{length} bytes");
    }
}

pub async fn attempts_never_repeat(world: World) {
    let mut leased = world.run(world.task("t")).await;
    let id = leased.facts.id;
    for attempt in 1..=5 {
        assert_eq!(leased.facts.attempt, attempt);
        world.report(&leased, Outcome::failed(FailureKind::Permanent, "no")).await;
        world.hand(id, Hand::Retry).await.unwrap();
        leased = world.lease(1).await.remove(0);
    }
    let attempts = world.store.attempts(id).await.unwrap().unwrap();
    assert_eq!(attempts.iter().map(|it| it.attempt).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
}
