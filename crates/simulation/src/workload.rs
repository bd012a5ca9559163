//! What callers submit: tasks with and without delays, deadlines, timeouts, unique keys, ids of their own.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::accept::{Deadlines, Idempotency, Moment, NewTask, Start, UniquePolicy, fingerprint};
use tasklane_core::gate::{Bounds, Limit, Rate};
use tasklane_core::retry::Retry;
use tasklane_core::task::{Lane, Scope, Spec, TaskId, Unique};
use uuid::{Builder, Uuid};

use crate::dice::Dice;

/// The queues there are.
pub const QUEUES: &[&str] = &["a", "b"];

/// Task number `number`, submitted at `now` of the simulated world.
pub fn task(dice: &Dice, now: Duration, number: u64) -> NewTask {
    let sometimes = |per_mille, from, to| dice.chance(per_mille).then(|| dice.millis(from, to));
    let retry = Retry::Delays { delays: vec![dice.millis(0, 1_000), dice.millis(0, 3_000)], jitter: dice.chance(500) };
    let spec = Spec {
        max_attempts: 1 + dice.below(6) as u32,
        retry,
        attempt_timeout: sometimes(150, 1_000, 6_000),
        heartbeat_timeout: sometimes(100, 1_000, 4_000),
        unique: dice.chance(100).then(|| Unique { key: (*dice.pick(&["k", "l", "m"])).into(), held_for: None }),
        ..Spec::default()
    };
    let start = sometimes(250, 0, 5_000).map_or(Start::Now, Start::After);
    let deadlines = Deadlines {
        start: sometimes(50, 1_000, 20_000).map(Moment::After),
        end: sometimes(50, 5_000, 40_000).map(Moment::After),
    };
    let task = NewTask {
        id: TaskId(Uuid::nil()),
        lane: Lane::new(dice.pick::<&str>(QUEUES), dice.pick::<&str>(&["x", "y"])),
        scope: Scope::native(),
        payload: number.to_string().into(),
        start,
        priority: dice.below(3) as i32 - 1,
        limits: limits(dice),
        spec: Arc::new(spec),
        deadlines,
        unique_policy: *dice.pick(&[UniquePolicy::Return, UniquePolicy::Reject, UniquePolicy::Replace]),
        idempotency: None,
    };
    with_a_name(dice, now, number, task)
}

/// Two of five tasks pass gates, one or two of three.
fn limits(dice: &Dice) -> Arc<[Limit]> {
    let rate = Rate { count: 2, per: Duration::from_secs(3) };
    let gates = [
        ("one", Bounds { max_running: Some(1), rate: None }),
        ("two", Bounds { max_running: Some(2), rate: None }),
        ("seldom", Bounds { max_running: Some(3), rate: Some(rate) }),
    ];
    let many = if dice.chance(400) { 1 + dice.below(2) } else { 0 };
    Limit::share((0..many).map(|_| {
        let (key, bounds) = *dice.pick(&gates);
        Limit { key: key.into(), bounds }
    }))
}

/// So that it may be submitted again: an id of the caller's own, or an idempotency key.
fn with_a_name(dice: &Dice, now: Duration, number: u64, mut task: NewTask) -> NewTask {
    let fingerprint = fingerprint(&task);
    if dice.chance(600) {
        let mut random = [0; 10];
        dice.fill(&mut random);
        let millis = 1_700_000_000_000 + now.as_millis() as u64;
        task.id = TaskId(Builder::from_unix_timestamp_millis(millis, &random).into_uuid());
        Arc::make_mut(&mut task.spec).fingerprint = Some(fingerprint);
    } else {
        task.idempotency = Some(Idempotency { key: format!("number {number}").into(), fingerprint });
    }
    task
}
