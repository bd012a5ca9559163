//! Webhooks: what is told whoever commits it, and that gates say what their endpoints do.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "other tests need the rest")]
mod world;

use std::collections::BTreeMap;

use tasklane_core::accept::{Start, Submission};
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{Content, Kind, SetRecord};
use tasklane_core::state::State;
use tasklane_core::task::Scope;
use tasklane_core::webhook::EVENT_LABEL;
use tasklane_core::webhook::endpoint::{Endpoint, EndpointId, Format, Heard, MAX_RUNNING, Order};
use tasklane_core::webhook::event::{EventName, Events, Filter};
use tasklane_core::webhook::secret::Secret;
use tasklane_engine::{DeliveryQuery, Engine, Hook, NewEndpoint, WebhookError};
use tokio::time::sleep;
use uuid::Uuid;
use world::{SECOND, World};

fn new(tenant: Option<&str>) -> NewEndpoint {
    let order = Order {
        url: "https://example.org/hook".into(),
        description: "".into(),
        events: Events::of(EventName::all()),
        filter: Filter::default(),
        headers: BTreeMap::new(),
        format: Format::default(),
        max_running: MAX_RUNNING,
    };
    NewEndpoint { tenant: tenant.map(Box::from), order, secret: None }
}

async fn make(engine: &Engine) -> Hook {
    engine.make_endpoint(new(None)).await.unwrap().0
}

#[tokio::test(start_paused = true)]
async fn what_came_due_while_no_server_ran_is_told_by_the_next() {
    let other = World::new();
    let NewEndpoint { order, .. } = new(None);
    let endpoint = Endpoint::new(None, order, Secret::of(&[1; 32]).unwrap(), other.engine.now());
    let body = serde_json::to_string(&endpoint).unwrap().into();
    let content = Content { tenant: "".into(), name: None, due: None, body };
    let id = Uuid::from_u128(1);
    let due = other.new_task(|it| it.start = Start::At(other.engine.now().plus(10 * SECOND)));
    let there = Batch {
        record: vec![SetRecord::new(Kind::Endpoint, id, None, Some(content))],
        accept: vec![Submission { tasks: vec![due] }],
        ..Batch::default()
    };
    let world = World::found(there, 20 * SECOND).await;
    sleep(2 * SECOND).await;
    let page = world.engine.deliveries(EndpointId(id), DeliveryQuery::default(), None, 10).await.unwrap();
    let told: Vec<_> = page.tasks.iter().map(|it| &*it.facts.spec.labels[EVENT_LABEL]).collect();
    assert_eq!(told, ["task.queued"]);
}

#[tokio::test(start_paused = true)]
async fn a_gate_says_what_its_endpoint_does_whoever_changed_it_meanwhile() {
    let ([one, other], _bus) = World::several();
    let hook = make(&one.engine).await;
    let (id, gate) = (hook.id, hook.endpoint.gate(hook.id));
    let (first, second) = (&one.engine, &other.engine);
    let most = async || first.gate(gate.clone()).await.unwrap().unwrap().gate.bounds.max_running;
    for round in 1..20 {
        let narrow = |it: &Order| Order { max_running: round, ..it.clone() };
        // Whichever of two is written last, the other read what was before.
        let (disabled, narrowed) = match round % 2 {
            0 => tokio::join!(first.disable_endpoint(id), second.change_endpoint(id, narrow)),
            _ => {
                let (narrowed, disabled) = tokio::join!(second.change_endpoint(id, narrow), first.disable_endpoint(id));
                (disabled, narrowed)
            }
        };
        assert!(disabled.unwrap().endpoint.disabled.is_some() && narrowed.is_ok());
        assert_eq!(most().await, Some(0), "{round}");
        first.enable_endpoint(id).await.unwrap();
        assert_eq!(most().await, Some(round), "{round}");
    }
    // More of them than a change is tried again.
    let heard = (0..64).map(|round| {
        let engine = [&one, &other][round % 2].engine.clone();
        tokio::spawn(async move { engine.endpoint_port().heard(id, [Heard::Badly, Heard::Well][round / 32]).await })
    });
    for heard in heard.collect::<Vec<_>>() {
        heard.await.unwrap();
    }
    let endpoint = one.engine.endpoint(id).await.unwrap().unwrap().endpoint;
    assert_eq!(most().await, endpoint.bounds().max_running);
    let (removed, _) = tokio::join!(one.engine.remove_endpoint(id), other.engine.disable_endpoint(id));
    removed.unwrap();
    assert!(one.engine.gate(gate).await.unwrap().is_none_or(|it| it.gate.bounds.max_running.is_none()));
}

#[tokio::test(start_paused = true)]
async fn nobody_has_more_than_so_many() {
    let engine = &World::new().engine;
    for _ in 0..limit::ENDPOINTS_OF_ONE {
        engine.make_endpoint(new(Some("acme"))).await.unwrap();
    }
    let one_more = engine.make_endpoint(new(Some("acme"))).await;
    assert!(matches!(one_more, Err(WebhookError::TooManyOfOne(limit::ENDPOINTS_OF_ONE))));
    engine.make_endpoint(new(Some("other"))).await.unwrap();
    make(engine).await;
}

#[tokio::test(start_paused = true)]
async fn a_tenant_takes_no_more_than_its_part() {
    let world = World::new();
    let (hook, _) = world.engine.make_endpoint(new(Some("acme"))).await.unwrap();
    world.submit_with(|new| new.scope = Scope::of(Some("acme"))).await;
    let query = DeliveryQuery { state: Some(State::Queued), ..DeliveryQuery::default() };
    let page = world.engine.deliveries(hook.id, query, None, 10).await.unwrap();
    let keys = [format!("~webhook/{}", hook.id.0).into(), "~webhooks".into()];
    assert_eq!(*page.tasks[0].facts.gates, keys);
}
