//! Webhooks: set up, changed, rotated, disabled, removed; what was sent to them.

use serde_json::json;
use tasklane_api::{Options, Outward};
use tasklane_core::record::Kind;

use crate::world::World;

fn hook() -> serde_json::Value {
    json!({ "url": "https://example.org/hook", "events": ["task.failed"], "headers": { "Authorization": "Bearer x" } })
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_set_up_changed_and_removed() {
    let world = World::new();
    let reply = world.post("/v1/webhooks", &hook()).await.expect(201);
    let made = reply.json();
    let at = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    assert_eq!(reply.headers["location"], at);
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!((&made["format"], &made["max_running"]), (&json!("standard"), &json!(8)));
    let shown = world.get(&at).await.expect(200).json();
    assert_eq!((&shown["secret"], &shown["headers"]), (&json!(null), &json!({ "Authorization": "***" })));

    let change = json!({ "events": ["task.*"], "max_running": 3 }).to_string();
    let changed = world.call("PATCH", &at, &[("content-type", "application/json")], change).await.expect(200).json();
    assert_eq!((changed["events"].as_array().unwrap().len(), &changed["max_running"]), (10, &json!(3)));
    assert_eq!(changed["url"], made["url"], "what was not said stayed");
    let key = at.replace("/v1/webhooks/", "key:~webhook/").replace('/', "%2F");
    assert_eq!(world.get(&format!("/v1/gates/{key}")).await.expect(200).json()["max_running"], 3);

    let shown = json!({ "headers": { "Authorization": "***" } }).to_string();
    world.call("PATCH", &at, &[("content-type", "application/json")], shown).await.expect(200);
    let kept = world.records(Kind::Endpoint).await;
    assert!(kept[0].contains("Bearer x"), "what is shown may be sent back: {kept:?}");
    let other = json!({ "headers": { "X-Other": "***" } }).to_string();
    let refused = world.call("PATCH", &at, &[("content-type", "application/json")], other).await;
    assert_eq!(refused.problem(422, "invalid")["errors"][0]["path"], "/headers/X-Other");

    let rotated = world.post(&format!("{at}:rotate-secret"), &json!({ "overlap": "1h" })).await.expect(200).json();
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!(world.act(&format!("{at}:disable")).await.expect(200).json()["disabled"]["why"], "by_hand");
    assert_eq!(world.get(&format!("/v1/gates/{key}")).await.expect(200).json()["max_running"], 0);
    for (method, body) in [("PUT", r#"{"max_running":9}"#), ("DELETE", "")] {
        let headers: &[_] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
        world.call(method, &format!("/v1/gates/{key}"), headers, body).await.problem(422, "invalid");
    }
    world.act(&format!("{at}:test")).await.problem(409, "webhook_disabled");
    assert!(world.act(&format!("{at}:enable")).await.expect(200).json()["disabled"].is_null());
    assert_eq!(world.get("/v1/webhooks").await.expect(200).json()["items"].as_array().unwrap().len(), 1);
    world.call("DELETE", &at, &[], "").await.expect(200);
    world.get(&at).await.problem(404, "webhook_not_found");
    let audit = world.get("/v1/audit").await.expect(200).json();
    let told: Vec<_> = audit["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    let expected = [
        "webhook.removed",
        "webhook.changed",
        "webhook.disabled",
        "webhook.rotated",
        "webhook.changed",
        "webhook.made",
    ];
    assert_eq!(told, expected);
    assert!(!audit.to_string().contains("Bearer") && !audit.to_string().contains("whsec_"));
}

#[tokio::test(start_paused = true)]
async fn deliveries_are_listed_and_sent_again() {
    let world = World::new();
    let made =
        world.post("/v1/webhooks", &json!({ "url": "https://example.org/", "events": ["task.queued"] })).await.json();
    let at = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let tasks: Vec<_> =
        [world.submit(&json!({ "type": "t" })).await, world.submit(&json!({ "type": "t" })).await].into();
    let page = world.get(&format!("{at}/deliveries?limit=1")).await.expect(200).json();
    assert_eq!((&page["items"][0]["event"], &page["items"][0]["state"]), (&json!("task.queued"), &json!("queued")));
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("{at}/deliveries?cursor={cursor}")).await.expect(200).json();
    let mut told = [&page["items"][0]["task"], &rest["items"][0]["task"]].map(|it| it.as_str().unwrap().to_owned());
    told.sort_unstable();
    assert_eq!(told.as_slice(), tasks);
    let one = page["items"][0]["id"].as_str().unwrap();
    assert_eq!(world.get(&format!("{at}/deliveries/{one}")).await.expect(200).json()["id"], one);
    assert_eq!(world.act(&format!("{at}/deliveries/{one}:redeliver")).await.expect(200).json()["state"], "queued");
    world.get(&format!("{at}/deliveries/{}", tasks[0])).await.problem(404, "delivery_not_found");
    world.get(&format!("{at}/deliveries/x")).await.problem(404, "delivery_not_found");
    world.get("/v1/webhooks/x/deliveries").await.problem(404, "webhook_not_found");
    assert_eq!(world.get(&format!("{at}/deliveries?state=failed")).await.expect(200).json()["items"], json!([]));
    // The log of deliveries is what their queue is asked for, and no other list shows them.
    assert_eq!(world.get("/v1/tasks").await.expect(200).json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(world.get("/v1/tasks?queue=~webhook").await.expect(200).json()["items"].as_array().unwrap().len(), 2);
    let tried = world.act(&format!("{at}:test")).await.expect(200).json();
    assert_eq!((&tried["event"], &tried["task"]), (&json!("webhook.test"), &json!(null)));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_called_is_refused_where_it_is_said() {
    let outward = Outward::new(|url| if url.contains("inside") { Err("is inside".into()) } else { Ok(()) });
    let world = World::with_options(Options { outward, ..Options::default() });
    let inside = json!({ "url": "https://inside/" });
    let refused = |path: &'static str, body: serde_json::Value, at: &'static str| {
        let world = &world;
        async move {
            let problem = world.post(path, &body).await.problem(422, "invalid");
            assert_eq!(problem["errors"][0], json!({ "path": at, "message": "is inside" }), "{path}");
        }
    };
    let task = json!({ "type": "t", "callback": inside });
    refused("/v1/webhooks", inside.clone(), "/url").await;
    refused("/v1/tasks", task.clone(), "/callback/url").await;
    refused("/v1/schedules", json!({ "name": "n", "every": "1h", "task": task }), "/task/callback/url").await;
    world.post("/v1/tasks:batch", &json!([task])).await.problem(422, "invalid");
    let each = world.post("/v1/tasks:batch?atomic=false", &json!([task, { "type": "t" }])).await.expect(200).json();
    assert_eq!((&each["tasks"][0]["error"]["code"], &each["tasks"][1]["state"]), (&json!("invalid"), &json!("queued")));
    let key = json!({ "type": "t", "limits": [{ "key": "~webhook/x" }] });
    let problem = world.post("/v1/tasks", &key).await.problem(422, "invalid");
    assert_eq!(problem["errors"][0]["message"], "keys beginning with ~ are the system's own");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_shows_no_secret() {
    let world = World::new();
    let callback = json!({ "url": "https://example.org/", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" });
    let schedule = json!({ "name": "n", "every": "1h", "task": { "type": "t", "callback": callback } });
    let made = world.post("/v1/schedules", &schedule).await.expect(201);
    assert!(made.text().contains("https://example.org/") && !made.text().contains("whsec_"), "{}", made.text());
    assert!(!world.get("/v1/audit").await.text().contains("whsec_"));

    // What is shown may be sent back: it signs as before.
    let (at, task) = (format!("/v1/schedules/{}", made.json()["id"].as_str().unwrap()), &made.json()["task"]);
    let change = json!({ "task": task }).to_string();
    world.call("PATCH", &at, &[("content-type", "application/json")], change).await.expect(200);
    let kept = world.records(Kind::Schedule).await;
    assert!(kept[0].contains("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "{kept:?}");
    let noted = world.records(Kind::Audit).await.join("");
    assert!(noted.contains("example.org") && !noted.contains("whsec_"), "{noted}");
}
