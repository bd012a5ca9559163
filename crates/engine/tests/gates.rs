//! Gates by configuration and by hand, and what `/metrics` says of them.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests need the rest")]
mod world;

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::gate::{Bounds, GateName, Limit, SetBy};
use tasklane_core::task::Scope;
use world::World;

fn queue(name: &str) -> GateName {
    GateName::Queue(name.into())
}

fn key(tenant: &str, key: &str) -> GateName {
    GateName::Key { tenant: tenant.into(), key: key.into() }
}

fn running(most: u32) -> Bounds {
    Bounds { max_running: Some(most), rate: None }
}

/// Every gate in its order: whose word holds, and what it says.
async fn said(world: &World) -> Vec<(GateName, SetBy, Option<u32>)> {
    let gates = world.engine.gates(None, 1_000).await.unwrap();
    gates.into_iter().map(|it| (it.name, it.set_by, it.bounds.max_running)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_configuration_is_what_it_says_but_where_an_operator_spoke() {
    let world = World::new();
    let first = vec![(queue("a"), running(1)), (queue("b"), running(2)), (key("*", "k"), running(3))];
    world.engine.configure_gates(first).await.unwrap();
    world.engine.set_gate(queue("b"), running(9)).await.unwrap();
    world.engine.set_gate(queue("mine"), running(8)).await.unwrap();
    let again = world.again();
    let second = vec![(queue("b"), running(4)), (GateName::Type("t".into()), running(5))];
    again.engine.configure_gates(second).await.unwrap();
    let expected = [
        (queue("b"), SetBy::Operator, Some(9)),
        (queue("mine"), SetBy::Operator, Some(8)),
        (GateName::Type("t".into()), SetBy::Config, Some(5)),
    ];
    assert_eq!(said(&again).await, expected);
    world.again().engine.configure_gates(vec![]).await.unwrap();
    assert_eq!(said(&world).await, expected[..2]);
}

#[tokio::test(start_paused = true)]
async fn what_callers_name_stands_in_no_configurations_way() {
    let world = World::new();
    for n in 0..450 {
        let limits = Limit::share([Limit { key: format!("user:{n}").into(), bounds: running(1) }]);
        world.submit_with(|new| new.limits = limits).await;
    }
    world.engine.configure_gates(vec![(key("*", "user:7"), running(3))]).await.unwrap();
    assert_eq!(world.engine.gate(key("", "user:7")).await.unwrap().unwrap().gate.bounds, running(3));
    world.engine.configure_gates(vec![]).await.unwrap();
    assert_eq!(world.engine.gate(key("*", "user:7")).await.unwrap(), None, "it stands behind many others");
    assert_eq!(said(&world).await.len(), 450);
}

#[tokio::test(start_paused = true)]
async fn metrics_name_what_is_configured_and_no_callers_key() {
    let world = World::new();
    world.engine.configure_gates(vec![(queue("default"), running(1)), (key("*", "smtp"), running(5))]).await.unwrap();
    for (tenant, named) in [("acme", "smtp"), ("umbrella", "smtp"), ("acme", "user:7")] {
        let limits = Limit::as_they_are(&[named.into()]);
        let scope = Arc::new(Scope { tenant: tenant.into(), ..Scope::default() });
        world.submit_with(|new| (new.limits, new.scope) = (limits, scope)).await;
    }
    assert!(world.lease_one(Duration::ZERO).await.is_some());
    let text = world.engine.metrics().await;
    let told: Vec<_> = text.lines().filter(|it| it.starts_with("tasklane_gate")).collect();
    let expected = [
        "tasklane_gates 5.0",
        "tasklane_gate_slots_regained 0.0",
        "tasklane_gate_running{gate=\"queue:default\"} 1.0",
        "tasklane_gate_running{gate=\"key:smtp\"} 1.0",
        "tasklane_gate_waiting{gate=\"queue:default\"} 2.0",
        "tasklane_gate_waiting{gate=\"key:smtp\"} 1.0",
        "tasklane_gate_full{gate=\"queue:default\"} 1.0",
        "tasklane_gate_full{gate=\"key:smtp\"} 0.0",
    ];
    let missing: Vec<_> = expected.iter().filter(|it| !told.contains(it)).collect();
    assert!(missing.is_empty() && told.len() == expected.len(), "{missing:?} in {told:?}");
}
