use std::sync::Arc;

use tasklane_core::accept::{Idempotency, NewTask, Start, UniquePolicy};
use tasklane_core::error::Refusal;
use tasklane_core::hand::Hand;
use tasklane_core::ports::store::{Batch, Sweep};
use tasklane_core::retention::Retention;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Scope, TaskId, Unique};

use super::world::{SECOND, World, spec, success};

fn with_key(mut task: NewTask, key: &str, fingerprint: u64) -> NewTask {
    task.idempotency = Some(Idempotency { key: key.into(), fingerprint });
    task
}

fn unique(mut task: NewTask, key: &str, policy: UniquePolicy) -> NewTask {
    task.spec = spec(|spec| spec.unique = Some(Unique { key: key.into(), held_for: None }));
    task.unique_policy = policy;
    task
}

fn named(mut task: NewTask, id: TaskId, fingerprint: u64) -> NewTask {
    task.id = id;
    task.spec = spec(|spec| spec.fingerprint = Some(fingerprint));
    task
}

pub async fn an_idempotency_key_answers_with_its_task(world: World) {
    let first = world.accept(with_key(world.task("t"), "k", 1)).await;
    let again = world.accept(with_key(world.task("t"), "k", 1)).await;
    assert_eq!((again.id, again.state, again.existing), (first.id, State::Queued, true));
    let leased = world.lease(5).await;
    assert_eq!(leased.len(), 1);
    assert_eq!(world.accept(with_key(world.task("t"), "k", 1)).await.state, State::Running);
}

pub async fn another_body_is_a_mismatch(world: World) {
    let first = world.accept(with_key(world.task("t"), "k", 1)).await;
    let refused = world.submit(vec![with_key(world.task("t"), "k", 2)]).await.unwrap_err();
    assert_eq!(refused.refusal, Refusal::IdempotencyMismatch { task: first.id });
}

pub async fn keys_are_of_one_tenant(world: World) {
    let of = |tenant: &str| Arc::new(Scope { origin: "".into(), tenant: tenant.into() });
    for tenant in ["a", "b"] {
        let mut task = with_key(unique(world.task("t"), "u", UniquePolicy::Reject), "k", 1);
        task.scope = of(tenant);
        assert!(!world.accept(task).await.existing, "the keys of {tenant} are its own");
    }
    let mut task = unique(world.task("t"), "u", UniquePolicy::Return);
    task.scope = Arc::new(Scope { origin: "dialect".into(), tenant: "a".into() });
    assert!(world.accept(task).await.existing, "a tenant's key is one, whatever the interface");
}

pub async fn a_given_id_is_taken_once(world: World) {
    let id = world.task("t").id;
    let first = world.accept(named(world.task("t"), id, 1)).await;
    assert_eq!((first.id, first.existing), (id, false));
    assert!(world.accept(named(world.task("t"), id, 1)).await.existing);
    let refused = world.submit(vec![named(world.task("t"), id, 2)]).await.unwrap_err();
    assert_eq!(refused.refusal, Refusal::IdTaken { task: id });
}

pub async fn unique_returns_rejects_replaces(world: World) {
    let first = world.accept(unique(world.task("t"), "u", UniquePolicy::Return)).await;
    assert!(world.accept(unique(world.task("t"), "u", UniquePolicy::Return)).await.existing);
    let refused = world.submit(vec![unique(world.task("t"), "u", UniquePolicy::Reject)]).await.unwrap_err();
    assert_eq!(refused.refusal, Refusal::UniqueHeld { task: first.id });
    let mut newer = unique(world.task("t"), "u", UniquePolicy::Replace);
    newer.start = Start::After(9 * SECOND);
    newer.payload = "{\"a much longer payload than the one before it\":true}".into();
    let payload = newer.payload.clone();
    let replaced = world.accept(newer).await;
    assert_eq!((replaced.id, replaced.state, replaced.existing), (first.id, State::Scheduled, true));
    assert!(world.lease(1).await.is_empty(), "its time has changed too");
    world.advance(9 * SECOND);
    assert_eq!(world.promote(9).await, 1);
    let leased = world.lease(1).await.remove(0);
    assert_eq!((leased.facts.id, leased.payload), (first.id, payload));
    assert!(world.events().await.iter().any(|it| it.reason == Reason::Replaced && it.from == Some(State::Queued)));
}

pub async fn a_started_task_is_not_replaced(world: World) {
    let first = world.run(unique(world.task("t"), "u", UniquePolicy::Return)).await;
    let answer = world.accept(unique(world.task("t"), "u", UniquePolicy::Replace)).await;
    assert_eq!((answer.id, answer.state), (first.facts.id, State::Running));
    assert_eq!(world.get(answer.id).await.payload, first.payload);
}

pub async fn unique_is_free_after_the_end(world: World) {
    let first = world.run(unique(world.task("t"), "u", UniquePolicy::Return)).await;
    world.report(&first, success("1")).await;
    assert!(!world.accept(unique(world.task("t"), "u", UniquePolicy::Reject)).await.existing);
}

pub async fn unique_may_be_held_longer(world: World) {
    let held = |mut task: NewTask| {
        let held_for = Some(60 * SECOND);
        task.spec = spec(|spec| spec.unique = Some(Unique { key: "u".into(), held_for }));
        task
    };
    let first = world.run(held(world.task("t"))).await;
    world.report(&first, success("1")).await;
    world.advance(59 * SECOND);
    let again = world.accept(held(world.task("t"))).await;
    assert_eq!((again.id, again.state, again.existing), (first.facts.id, State::Succeeded, true));
    world.hand(first.facts.id, Hand::Delete).await.unwrap();
    let again = world.accept(held(world.task("t"))).await;
    assert_eq!((again.id, again.state), (first.facts.id, State::Succeeded), "held also when the task is gone");
    world.advance(SECOND);
    assert!(!world.accept(held(world.task("t"))).await.existing);
}

pub async fn keys_meet_within_a_submission(world: World) {
    let tasks = vec![
        with_key(world.task("t"), "k", 1),
        with_key(world.task("t"), "k", 1),
        unique(world.task("t"), "u", UniquePolicy::Return),
        unique(world.task("t"), "u", UniquePolicy::Replace),
    ];
    let accepted = world.submit(tasks).await.unwrap();
    assert_eq!(accepted.iter().map(|it| it.existing).collect::<Vec<_>>(), [false, true, false, true]);
    assert_eq!((accepted[1].id, accepted[3].id), (accepted[0].id, accepted[2].id));
    let id = world.task("t").id;
    let twice = vec![named(world.task("t"), id, 1), named(world.task("t"), id, 2)];
    assert_eq!(world.submit(twice).await.unwrap_err().refusal, Refusal::IdTaken { task: id });
    assert_eq!(world.find(id).await, None);
}

pub async fn an_idempotency_key_is_forgotten_after_a_day(world: World) {
    world.accept(with_key(world.task("t"), "k", 1)).await;
    world.advance(24 * 3600 * SECOND - SECOND);
    assert!(world.accept(with_key(world.task("t"), "k", 1)).await.existing);
    world.advance(SECOND);
    assert!(!world.accept(with_key(world.task("t"), "k", 2)).await.existing);
}

pub async fn an_idempotency_key_outlives_its_task(world: World) {
    world.accept(with_key(world.task("t"), "k", 1)).await;
    let leased = world.lease(1).await.remove(0);
    world.report(&leased, success("1")).await;
    let retention = Retention { succeeded: SECOND, ..Retention::default() };
    world.advance(2 * SECOND);
    let sweep = Some(Sweep { retention, limit: 10, disk: None });
    assert_eq!(world.commit(Batch { sweep, ..Batch::default() }).await.sweep, 1);
    let again = world.accept(with_key(world.task("t"), "k", 1)).await;
    assert_eq!((again.id, again.state, again.existing), (leased.facts.id, State::Succeeded, true));
}
