//! What goes wrong below becomes a problem, and the next request is served.

use serde_json::json;
use tasklane_core::error::StoreError;

use crate::world::{Mood, World, demo};

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_says_when_to_come_again() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    world.store.be(Mood::Failing(StoreError::Away("gone".into())));
    let wish = json!({ "worker": "w", "lanes": [{ "types": ["*"] }], "limit": 1 });
    for (path, body) in [("/v1/tasks", demo()), ("/v1/tasks:batch", json!([demo()])), ("/v1/leases", wish)] {
        let reply = world.post(path, &body).await;
        assert_eq!(reply.header("retry-after"), "1", "{path}");
        reply.problem(503, "store_away");
    }
    for path in ["", "/result", "/attempts", "/why"] {
        world.get(&format!("/v1/tasks/{id}{path}")).await.problem(503, "store_away");
    }
    world.get("/v1/tasks").await.problem(503, "store_away");
    world.get("/v1/queues").await.problem(503, "store_away");
    world.get("/ready").await.problem(503, "not_ready");
    world.get("/health").await.expect(200);
    world.store.be(Mood::Well);
    world.task(&id).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_and_a_damaged_store_are_named() {
    let world = World::new();
    world.store.be(Mood::Failing(StoreError::DiskFull));
    let reply = world.post("/v1/tasks", &demo()).await;
    assert_eq!(reply.header("retry-after"), "5");
    reply.problem(507, "disk_full");
    world.store.be(Mood::Failing(StoreError::Damaged("page 7".into())));
    let problem = world.get("/v1/tasks").await.problem(500, "store_damaged");
    assert!(!problem.to_string().contains("page 7"), "what is damaged is for the log");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_problem_of_one_request() {
    let world = World::new();
    world.store.be(Mood::Panicking);
    world.get("/v1/tasks").await.problem(500, "internal");
    world.store.be(Mood::Well);
    world.get("/v1/tasks").await.expect(200);
}
