//! Gates: named by tasks, set by hand, seen wherever tasks wait for them.

use serde_json::{Value, json};

use crate::world::World;

const JSON: (&str, &str) = ("content-type", "application/json");

fn limited(limits: &Value) -> Value {
    json!({ "type": "demo", "queue": "q", "limits": limits })
}

impl World {
    async fn put(&self, path: &str, body: &Value) -> crate::world::Reply {
        self.call("PUT", path, &[JSON], body.to_string()).await
    }

    async fn delete(&self, path: &str) -> crate::world::Reply {
        self.call("DELETE", path, &[], "").await
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_name_gates_and_wait_for_them() {
    let world = World::new();
    let limits = json!([{ "key": "k", "max_running": 1 }, { "key": "open" }]);
    let first = world.submit(&limited(&limits)).await;
    let second = world.submit(&limited(&limits)).await;
    let leased = world.lease(5).await;
    assert_eq!(leased.iter().map(|it| it["id"].as_str().unwrap()).collect::<Vec<_>>(), [&*first]);
    let task = world.task(&second).await;
    assert_eq!((&task["state"], &task["reason"]), (&json!("blocked"), &json!("gate_full")));
    assert_eq!(task["limits"], json!([{ "key": "k" }, { "key": "open" }]));
    let gate = world.get("/v1/gates/key:k").await.expect(200).json();
    let holders = json!([{ "id": first, "worker": gate["holders"][0]["worker"] }]);
    let expected = json!({ "name": "key:k", "max_running": 1, "set_by": "task", "running": 1, "waiting": 1, "full": true,
        "holders": holders });
    assert_eq!(gate, expected);
    let why = world.get(&format!("/v1/tasks/{second}/why")).await.expect(200).json();
    let reason = &why["reasons"][0];
    let message = format!("the gate of key \"k\" lets at most 1 run at a time, and 1 do, such as {first}");
    assert_eq!((&reason["code"], &reason["message"]), (&json!("gate_full"), &json!(message)), "{why}");
    let blocked = world.get("/v1/tasks?state=blocked").await.expect(200).json();
    assert_eq!(blocked["items"][0]["id"], json!(second));
    let queue = world.get("/v1/queues/q").await.expect(200).json();
    assert_eq!((&queue["counts"]["blocked"], &queue["counts"]["queued"]), (&json!(1), &json!(0)));
    world.report("succeed", &leased[0], &json!({})).await;
    assert_eq!(world.lease(5).await.len(), 1, "the slot is free again");
}

#[tokio::test(start_paused = true)]
async fn an_operator_sets_and_takes_away() {
    let world = World::new();
    world.get("/v1/gates/type:demo").await.problem(404, "gate_not_found");
    let set = world.put("/v1/gates/type:demo", &json!({ "max_running": 0 })).await.expect(200).json();
    assert_eq!((&set["set_by"], &set["full"], &set["holders"]), (&json!("operator"), &json!(true), &json!([])));
    let waiting = world.submit(&json!({ "type": "demo" })).await;
    assert!(world.lease(5).await.is_empty());
    let why = world.get(&format!("/v1/tasks/{waiting}/why")).await.expect(200).json();
    assert_eq!(why["reasons"][0]["remedy"], "nothing passes it until its limit is raised");
    let queue = world.get("/v1/queues/default").await.expect(200).json();
    assert!(queue["verdict"].as_str().unwrap().starts_with("stuck: the gate of type"), "{queue}");
    let gone = world.delete("/v1/gates/type:demo").await.expect(200).json();
    assert_eq!(gone["waiting"], 1);
    world.delete("/v1/gates/type:demo").await.problem(404, "gate_not_found");
    assert_eq!(world.lease(5).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rate_says_when_it_opens() {
    let world = World::new();
    world.put("/v1/gates/queue:q", &json!({ "rate": { "count": 1, "per": "1m" } })).await.expect(200);
    let ids = [world.submit(&limited(&json!([]))).await, world.submit(&limited(&json!([]))).await];
    let leased = world.lease(5).await;
    assert_eq!(leased.len(), 1);
    world.report("succeed", &leased[0], &json!({})).await;
    let gate = world.get("/v1/gates/queue:q").await.expect(200).json();
    assert!(gate["opens_at"].is_string() && gate["full"] == true, "{gate}");
    let why = world.get(&format!("/v1/tasks/{}/why", ids[1])).await.expect(200).json();
    assert_eq!(why["reasons"][0]["opens_at"], gate["opens_at"]);
    let queue = world.get("/v1/queues/q").await.expect(200).json();
    assert_eq!(queue["limits"], json!({ "rate": { "count": 1, "per": "1m" } }));
    assert!(queue["verdict"].as_str().unwrap().starts_with("waiting: the gate of queue"), "{queue}");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(world.lease(5).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_has_its_limits_in_its_settings() {
    let world = World::new();
    let queue = world.put("/v1/queues/new", &json!({ "limits": { "max_running": 3 } })).await.expect(200).json();
    assert_eq!((&queue["name"], &queue["limits"]), (&json!("new"), &json!({ "max_running": 3 })));
    let list = world.get("/v1/queues").await.expect(200).json();
    assert_eq!(list["items"], json!([queue]));
    assert_eq!(world.put("/v1/queues/new", &json!({})).await.expect(200).json(), queue);
    let freed = world.put("/v1/queues/new", &json!({ "limits": null })).await.expect(200).json();
    assert!(freed.get("limits").is_none(), "{freed}");
    world.put("/v1/queues/~bulk", &json!({})).await.problem(404, "queue_not_found");
    world.put("/v1/queues/new", &json!({ "limit": 1 })).await.problem(422, "invalid");
}

#[tokio::test(start_paused = true)]
async fn gates_are_paged_in_their_order() {
    let world = World::new();
    let acme = json!({ "type": "demo", "tenant": "acme", "limits": [{ "key": "k" }] });
    world.submit(&acme).await;
    world.submit(&limited(&json!([{ "key": "z" }]))).await;
    for gate in ["type:demo", "queue:q", "key:k?tenant=*"] {
        world.put(&format!("/v1/gates/{gate}"), &json!({ "max_running": 9 })).await.expect(200);
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/v1/gates?limit=2{cursor}")).await.expect(200).json();
        for it in page["items"].as_array().unwrap() {
            names.push((it["name"].as_str().unwrap().to_owned(), it["tenant"].as_str().unwrap_or("").to_owned()));
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let named = [("queue:q", ""), ("type:demo", ""), ("key:z", ""), ("key:k", "*"), ("key:k", "acme")];
    assert_eq!(names, named.map(|(name, tenant)| (name.to_owned(), tenant.to_owned())));
    let stood_in = world.get("/v1/gates/key:k?tenant=acme").await.expect(200).json();
    assert_eq!((&stood_in["max_running"], &stood_in["set_by"]), (&json!(9), &json!("operator")));
    world.get("/v1/gates?cursor=n1.00").await.problem(422, "bad_cursor");
}

#[tokio::test(start_paused = true)]
async fn what_no_gate_can_be_is_named() {
    let world = World::new();
    for (limits, path) in [
        (json!([{ "max_running": 1 }]), "/limits/0/key"),
        (json!([{ "key": "k", "max_running": 0 }]), "/limits/0/max_running"),
        (json!([{ "key": "k" }, { "key": "k" }]), "/limits/1/key"),
        (json!([{ "key": "k", "rate": { "count": 1, "per": "10ms" } }]), "/limits/0/rate/per"),
        (json!([{ "key": "k", "rate": 1 }]), "/limits/0/rate"),
        (json!({}), "/limits"),
    ] {
        let problem = world.post("/v1/tasks", &limited(&limits)).await.problem(422, "invalid");
        assert_eq!(problem["errors"][0]["path"], path, "{problem}");
    }
    let eleven: Value = (0..11).map(|it| json!({ "key": format!("k{it}") })).collect();
    world.post("/v1/tasks", &limited(&eleven)).await.problem(413, "payload_too_large");
    let every = json!({ "type": "demo", "tenant": "*" });
    world.post("/v1/tasks", &every).await.problem(422, "invalid");
    for gate in ["nothing", "queue:~bulk", "type:a%20b", "queue:q?tenant=acme"] {
        world.get(&format!("/v1/gates/{gate}")).await.problem(422, "invalid");
        world.put(&format!("/v1/gates/{gate}"), &json!({})).await.problem(422, "invalid");
    }
    world.put("/v1/gates/queue:q", &json!({ "max_running": -1 })).await.problem(422, "invalid");
}
