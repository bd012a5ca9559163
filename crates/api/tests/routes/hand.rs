//! Actions by hand.

use serde_json::json;

use crate::world::{JSON, World, demo};

#[tokio::test(start_paused = true)]
async fn an_action_answers_with_the_task_after_it() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let act = async |action: &str| world.act(&format!("/v1/tasks/{id}%3A{action}")).await;
    assert_eq!(act("cancel").await.expect(200).json()["state"], "cancelled");
    let problem = act("cancel").await.problem(409, "invalid_transition");
    assert!(problem["detail"].as_str().unwrap().contains("cancelled"), "the state is not named: {problem}");
    assert_eq!(act("retry").await.expect(200).json()["state"], "queued");
    act("retry").await.problem(409, "invalid_transition");
    let rerun = act("rerun").await.expect(200).json();
    assert_eq!((&rerun["rerun_of"], &rerun["state"]), (&json!(id), &json!("queued")));
}

#[tokio::test(start_paused = true)]
async fn an_action_takes_its_own_members_alone() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    for action in ["cancel", "retry", "rerun"] {
        let path = format!("/v1/tasks/{id}:{action}");
        world.post(&path, &json!({ "nope": 1 })).await.problem(422, "invalid");
        world.post(&path, &json!([])).await.problem(422, "invalid");
        world.call("POST", &path, &[JSON], "{").await.problem(400, "malformed_json");
        world.act(&format!("{path}?nope=1")).await.problem(422, "invalid");
    }
    assert_eq!(world.task(&id).await["state"], "queued");
    world.post(&format!("/v1/tasks/{id}:cancel"), &json!({})).await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn reschedule_moves_the_time() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let path = format!("/v1/tasks/{id}:reschedule");
    let task = world.post(&path, &json!({ "delay": "1h" })).await.expect(200).json();
    assert_eq!((&task["state"], &task["reason"]), (&json!("scheduled"), &json!("rescheduled")));
    assert_eq!(
        world.post(&path, &json!({ "run_at": "2020-01-01T00:00:00Z" })).await.expect(200).json()["state"],
        "queued"
    );
    world.post(&path, &json!({ "delay": "1h" })).await.expect(200);
    assert_eq!(world.act(&path).await.expect(200).json()["state"], "queued", "without a time: now");
    for wrong in
        [json!({ "delay": "soon" }), json!({ "nope": 1 }), json!({ "delay": "1s", "run_at": "2040-01-01T00:00:00Z" })]
    {
        world.post(&path, &wrong).await.problem(422, "invalid");
    }
    world.lease(1).await;
    world.post(&path, &json!({ "delay": "1h" })).await.problem(409, "invalid_transition");
}

#[tokio::test(start_paused = true)]
async fn only_a_final_task_is_deleted() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    let path = format!("/v1/tasks/{id}");
    world.call("DELETE", &path, &[], "").await.problem(409, "invalid_transition");
    world.act(&format!("{path}:cancel")).await.expect(200);
    assert_eq!(world.call("DELETE", &path, &[], "").await.expect(200).json()["id"], json!(id));
    world.get(&path).await.problem(404, "task_not_found");
    world.call("DELETE", &path, &[], "").await.problem(404, "task_not_found");
}

#[tokio::test(start_paused = true)]
async fn a_retry_by_hand_needs_its_unique_key() {
    let world = World::new();
    let task = json!({ "type": "demo", "unique": { "key": "k", "policy": "reject" } });
    let first = world.submit(&task).await;
    world.act(&format!("/v1/tasks/{first}:cancel")).await.expect(200);
    world.submit(&task).await;
    world.act(&format!("/v1/tasks/{first}:retry")).await.problem(409, "unique_held");
}
