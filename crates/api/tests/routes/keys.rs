//! Keys: how they are made and ended, and what each lets its holder do.

use std::time::Duration;

use serde_json::{Value, json};
use tasklane_api::{CallLimits, Hosts, Options, SetKeys};
use tasklane_core::key::Digest;

use crate::world::{JSON, Reply, Stream, World};

const SET: &str = "a secret of an operator that has more than 32 characters";

/// Whoever calls with this key.
pub struct Holder<'w> {
    pub world: &'w World,
    pub key: String,
}

impl World {
    pub fn with_key(&self, key: impl Into<String>) -> Holder<'_> {
        Holder { world: self, key: key.into() }
    }

    /// The first key: one for everything.
    pub async fn master(&self) -> Holder<'_> {
        let made = self.post("/v1/keys", &json!({ "name": "master", "scopes": ["admin"] })).await.expect(201).json();
        self.with_key(made["key"].as_str().unwrap())
    }
}

impl<'w> Holder<'w> {
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        let bearer = format!("Bearer {}", self.key);
        let headers = [JSON, ("authorization", &*bearer)];
        let headers = if body.is_empty() { &headers[1..] } else { &headers[..] };
        self.world.call(method, path, headers, body.to_owned()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, &body.to_string()).await
    }

    pub async fn stream(&self, path: &str) -> Stream {
        self.world.stream(path, &[("x-api-key", &self.key)]).await
    }

    pub async fn make(&self, new: &Value) -> (Value, Holder<'w>) {
        let made = self.post("/v1/keys", new).await.expect(201).json();
        let key = made["key"].as_str().unwrap().to_owned();
        (made, Holder { world: self.world, key })
    }

    pub async fn submit(&self, task: &Value) -> String {
        self.post("/v1/tasks", task).await.expect(201).json()["id"].as_str().unwrap().to_owned()
    }
}

fn key(name: &str, scopes: &[&str], tenant: Option<&str>) -> Value {
    let mut new = json!({ "name": name, "scopes": scopes });
    if let Some(tenant) = tenant {
        new["tenant"] = json!(tenant);
    }
    new
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn from_the_first_key_on_every_call_needs_one() {
    let world = World::new();
    world.submit(&json!({ "type": "demo" })).await;
    world.post("/v1/keys", &key("k", &["read"], None)).await.problem(409, "last_master_key");
    world.post("/v1/keys", &key("k", &["admin"], Some("acme"))).await.problem(409, "last_master_key");
    let master = world.master().await;
    assert!(master.key.starts_with("tl_") && master.key.len() == 100, "{}", master.key.len());
    let refused = world.get("/v1/tasks").await;
    assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"tasklane\"");
    refused.problem(401, "unauthorized");
    world.get("/tasks").await.expect(401);
    for open in ["/", "/health", "/ready", "/metrics", "/docs", "/openapi.json", "/openapi/atropos.json"] {
        world.get(open).await.expect(200);
    }
    master.get("/v1/tasks").await.expect(200);
    world.call("GET", "/v1/tasks", &[("x-api-key", &master.key)], "").await.expect(200);
    // Who has a key may call the server by any name.
    let headers = [("x-api-key", &*master.key), ("host", "tasks.example")];
    world.call("GET", "/v1/tasks", &headers, "").await.expect(200);
    let (bearer, odd) = (format!("Bearer {}0", master.key), "Bearer \u{fe}");
    for wrong in [bearer.as_str(), "Bearer x", "Basic abc", odd] {
        world.call("GET", "/v1/tasks", &[("authorization", wrong)], "").await.problem(401, "unauthorized");
    }
    world.get("/v1/nothing").await.problem(404, "not_found");
}

#[tokio::test(start_paused = true)]
async fn keys_of_settings_open_everything_and_close_the_door() {
    let keys = SetKeys { admins: [Digest::of(SET)].into(), any: true, close_metrics: true };
    let world = World::with_options(Options { keys, hosts: Hosts::Loopback, ..Options::default() });
    world.get("/v1/tasks").await.problem(401, "unauthorized");
    let operator = world.with_key(SET);
    operator.get("/v1/tasks").await.expect(200);
    world.get("/metrics").await.problem(401, "unauthorized");
    operator.get("/metrics").await.expect(200);
    // Somebody else opens everything, so the first key need not.
    let (made, reader) = operator.make(&key("r", &["read"], None)).await;
    reader.get("/v1/tasks").await.expect(200);
    reader.post("/v1/tasks", &json!({ "type": "demo" })).await.problem(403, "forbidden");
    operator.post(&format!("/v1/keys/{}:revoke", made["id"].as_str().unwrap()), &json!({})).await.expect(200);
    reader.get("/v1/tasks").await.problem(401, "unauthorized");
    world.with_key(&SET[..40]).get("/v1/tasks").await.problem(401, "unauthorized");
    // Such keys close the door without opening it.
    let keys = SetKeys { any: true, ..SetKeys::default() };
    let world = World::with_options(Options { keys, ..Options::default() });
    world.get("/v1/tasks").await.problem(401, "unauthorized");
}

#[tokio::test(start_paused = true)]
async fn a_key_is_made_listed_rotated_revoked_and_forgotten() {
    let world = World::new();
    let master = world.master().await;
    let mut new = key("k", &["submit", "read"], Some("acme"));
    (new["user"], new["expires_at"]) = (json!("ada"), json!("2023-12-01T00:00:00Z"));
    let (made, holder) = master.make(&new).await;
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    let shown = master.get(&path).await.expect(200);
    assert!(!shown.text().contains(&holder.key) && shown.json()["key"].is_null());
    assert_eq!(shown.json()["user"], "ada");
    master.post("/v1/keys", &new).await.problem(409, "name_taken");
    let names = |page: Value| page["items"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(master.get("/v1/keys").await.expect(200).json()), ["master", "k"]);
    assert_eq!(names(master.get("/v1/keys?tenant=acme").await.expect(200).json()), ["k"]);
    assert_eq!(names(master.get("/v1/keys?name=master").await.expect(200).json()), ["master"]);

    let rotated = master.post(&format!("{path}:rotate"), &json!({ "overlap": "1h" })).await.expect(200).json();
    let again = world.with_key(rotated["key"].as_str().unwrap());
    assert_eq!(rotated["old_until"], "2023-11-14T23:13:20Z");
    holder.get("/v1/tasks").await.expect(200);
    again.get("/v1/tasks").await.expect(200);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    holder.get("/v1/tasks").await.problem(401, "unauthorized");
    again.get("/v1/tasks").await.expect(200);

    master.call("DELETE", &path, "").await.problem(409, "key_in_use");
    let revoked = master.call("POST", &format!("{path}:revoke"), "").await.expect(200).json();
    assert!(revoked["revoked_at"].is_string());
    again.get("/v1/tasks").await.problem(401, "unauthorized");
    master.call("POST", &format!("{path}:rotate"), "").await.problem(409, "key_revoked");
    master.call("DELETE", &path, "").await.expect(200);
    master.get(&path).await.problem(404, "key_not_found");

    let own = master.get("/v1/keys?name=master").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    master.call("POST", &format!("/v1/keys/{own}:revoke"), "").await.problem(409, "last_master_key");
    let (_, short) =
        master.make(&json!({ "name": "e", "scopes": ["read"], "expires_at": "2023-11-14T23:14:00Z" })).await;
    short.get("/v1/tasks").await.expect(200);
    tokio::time::sleep(Duration::from_secs(60)).await;
    short.get("/v1/tasks").await.problem(401, "unauthorized");
}

#[tokio::test(start_paused = true)]
async fn a_tenants_key_reaches_that_tenants_things_alone() {
    let world = World::new();
    let master = world.master().await;
    let (_, acme) = master.make(&key("a", &["submit", "read"], Some("acme"))).await;
    let (_, zeta) = master.make(&key("z", &["submit", "read", "admin"], Some("zeta"))).await;
    let own = acme.submit(&json!({ "type": "demo" })).await;
    assert_eq!(acme.get(&format!("/v1/tasks/{own}")).await.expect(200).json()["tenant"], "acme");
    let nobodys = master.submit(&json!({ "type": "demo" })).await;
    acme.post("/v1/tasks", &json!({ "type": "demo", "tenant": "zeta" })).await.problem(403, "forbidden");
    let lists = [(&acme, vec![&*own]), (&zeta, vec![]), (&master, vec![&*nobodys, &*own])];
    for (who, sees) in lists {
        assert_eq!(ids(&who.get("/v1/tasks").await.expect(200).json()), sees);
    }
    acme.get("/v1/tasks?tenant=zeta").await.problem(403, "forbidden");
    for id in [&own, &nobodys] {
        for rest in ["", "/result", "/attempts", "/logs", "/logs?follow", "/events", "/why"] {
            zeta.get(&format!("/v1/tasks/{id}{rest}")).await.problem(404, "task_not_found");
        }
        for action in [":cancel", ":retry", ":rerun", ":reschedule"] {
            zeta.call("POST", &format!("/v1/tasks/{id}{action}"), "").await.problem(404, "task_not_found");
        }
        zeta.call("DELETE", &format!("/v1/tasks/{id}"), "").await.problem(404, "task_not_found");
    }
    let batch = json!([{ "type": "demo" }, { "type": "demo", "tenant": "zeta" }]);
    let refused = acme.post("/v1/tasks:batch", &batch).await.problem(403, "forbidden");
    assert_eq!(refused["errors"][0]["path"], "/1");
    let each = acme.post("/v1/tasks:batch?atomic=false", &batch).await.expect(200).json();
    assert_eq!(each["tasks"][1]["error"]["code"], "forbidden");
    let filter = json!({ "filter": { "state": "queued" }, "action": "cancel" });
    let bulk = zeta.post("/v1/tasks:bulk", &filter).await.expect(201).json();
    assert_eq!((&bulk["tenant"], &bulk["payload"]["filter"]["tenant"]), (&json!("zeta"), &json!("zeta")));
    acme.post("/v1/tasks:bulk", &filter).await.problem(403, "forbidden");
    // What an admin had done is not done again by who may only submit.
    let (_, submits) = master.make(&key("s", &["submit"], None)).await;
    let bulk = master.post("/v1/tasks:bulk", &filter).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    for action in [":cancel", ":retry", ":rerun", ":reschedule"] {
        submits.call("POST", &format!("/v1/tasks/{bulk}{action}"), "").await.problem(403, "forbidden");
    }
    master.call("POST", &format!("/v1/tasks/{bulk}:rerun"), "").await.problem(403, "forbidden");
    master.call("POST", &format!("/v1/tasks/{bulk}:cancel"), "").await.expect(200);
    for everybodys in ["/v1/queues", "/v1/types", "/v1/workers", "/v1/stats"] {
        zeta.get(everybodys).await.problem(403, "forbidden");
    }
    // Its keys grant no more than it does.
    let (made, second) = zeta.make(&json!({ "name": "y", "scopes": ["read"] })).await;
    assert_eq!(made["tenant"], "zeta");
    second.post("/v1/keys", &key("x", &["read"], None)).await.problem(403, "forbidden");
    zeta.post("/v1/keys", &key("x", &["read"], Some("acme"))).await.problem(403, "forbidden");
    assert_eq!(zeta.get("/v1/keys").await.json()["items"].as_array().unwrap().len(), 2);
    let of_acme = master.get("/v1/keys?name=a").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    zeta.get(&format!("/v1/keys/{of_acme}")).await.problem(404, "key_not_found");
    zeta.call("POST", &format!("/v1/keys/{of_acme}:revoke"), "").await.problem(404, "key_not_found");
}

#[tokio::test(start_paused = true)]
async fn schedules_and_gates_are_a_tenants_own() {
    let world = World::new();
    let master = world.master().await;
    let (_, acme) = master.make(&key("a", &["admin"], Some("acme"))).await;
    let (_, zeta) = master.make(&key("z", &["admin"], Some("zeta"))).await;
    let new =
        json!({ "name": "s", "every": "1h", "task": { "type": "demo", "limits": [{ "key": "k", "max_running": 1 }] } });
    let schedule = acme.post("/v1/schedules", &new).await.expect(201).json();
    assert_eq!(schedule["task"]["tenant"], "acme");
    zeta.post("/v1/schedules", &new).await.expect(201);
    assert_eq!(ids(&acme.get("/v1/schedules").await.json()), [schedule["id"].as_str().unwrap()]);
    let path = format!("/v1/schedules/{}", schedule["id"].as_str().unwrap());
    for rest in ["", "/preview", "/runs"] {
        zeta.get(&format!("{path}{rest}")).await.problem(404, "schedule_not_found");
    }
    for action in [":run", ":pause", ":resume"] {
        zeta.call("POST", &format!("{path}{action}"), "").await.problem(404, "schedule_not_found");
    }
    zeta.call("PATCH", &path, "{}").await.problem(404, "schedule_not_found");
    zeta.call("DELETE", &path, "").await.problem(404, "schedule_not_found");
    let stolen = json!({ "task": { "type": "demo", "tenant": "zeta" } });
    acme.call("PATCH", &path, &stolen.to_string()).await.problem(403, "forbidden");
    let changed = acme.call("PATCH", &path, r#"{"task":{"type":"other"}}"#).await.expect(200).json();
    assert_eq!(changed["task"]["tenant"], "acme");

    for who in [&acme, &zeta] {
        who.submit(&json!({ "type": "demo", "limits": [{ "key": "k", "max_running": 1 }] })).await;
    }
    master.call("PUT", "/v1/gates/queue:default", r#"{"max_running":5}"#).await.expect(200);
    let gates = acme.get("/v1/gates").await.expect(200).json();
    assert_eq!((gates["items"].as_array().unwrap().len(), &gates["items"][0]["tenant"]), (1, &json!("acme")));
    acme.get("/v1/gates/key:k").await.expect(200);
    for foreign in ["queue:default", "type:demo", "key:k?tenant=zeta", "key:k?tenant=*"] {
        acme.get(&format!("/v1/gates/{foreign}")).await.problem(404, "gate_not_found");
        acme.call("PUT", &format!("/v1/gates/{foreign}"), "{}").await.problem(404, "gate_not_found");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_of_others_in_reasons_and_streams() {
    let world = World::new();
    let master = world.master().await;
    let (_, acme) = master.make(&key("a", &["submit", "read"], Some("acme"))).await;
    let mut all = acme.stream("/v1/events").await;
    for _ in 0..3 {
        master.submit(&json!({ "type": "demo", "tenant": "zeta" })).await;
    }
    let own = acme.submit(&json!({ "type": "demo" })).await;
    let event = all.next().await.unwrap();
    assert_eq!(event.data["task"], json!(own));
    let foreign = world.call("GET", "/v1/events?tenant=zeta", &[("x-api-key", &acme.key)], "").await;
    foreign.problem(403, "forbidden");
    master.call("PUT", "/v1/gates/type:demo", r#"{"max_running":1}"#).await.expect(200);
    let wish = json!({ "worker": "w", "lanes": [{ "types": ["*"] }], "limit": 1 });
    let leased = master.post("/v1/leases", &wish).await.expect(200).json();
    let holder = leased["tasks"][0]["id"].as_str().unwrap();
    let waiting = acme.submit(&json!({ "type": "demo" })).await;
    let why = acme.get(&format!("/v1/tasks/{waiting}/why")).await.expect(200).text();
    assert!(!why.contains(holder) && !why.contains("1 do"), "{why}");
    assert!(master.get(&format!("/v1/tasks/{waiting}/why")).await.expect(200).text().contains(holder));
}

#[tokio::test(start_paused = true)]
async fn what_is_open_ends_with_its_key() {
    let world = World::new();
    let master = world.master().await;
    let (made, holder) = master.make(&key("k", &["read", "work"], None)).await;
    let mut stream = holder.stream("/v1/events").await;
    let lease = json!({ "worker": "w", "lanes": [{ "types": ["*"] }], "limit": 1, "wait": "30s" });
    let revoke = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        master.call("POST", &format!("/v1/keys/{}:revoke", made["id"].as_str().unwrap()), "").await.expect(200);
    };
    let began = tokio::time::Instant::now();
    let (waited, ()) = tokio::join!(holder.post("/v1/leases", &lease), revoke);
    waited.problem(401, "unauthorized");
    assert_eq!(stream.next().await, None);
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn work_is_leased_of_the_lanes_of_the_key() {
    let world = World::new();
    let master = world.master().await;
    let mut new = key("w", &["work"], None);
    new["lanes"] = json!([{ "queue": "mail", "types": ["*"] }]);
    let (_, worker) = master.make(&new).await;
    for queue in ["mail", "other"] {
        master.submit(&json!({ "type": "demo", "queue": queue })).await;
    }
    let wish = |lanes: Value| json!({ "worker": "w", "lanes": lanes, "limit": 5 });
    let leased = worker.post("/v1/leases", &wish(json!([{ "types": ["*"] }]))).await.expect(200).json();
    let queues: Vec<_> = leased["tasks"].as_array().unwrap().iter().map(|it| it["queue"].clone()).collect();
    assert_eq!(queues, ["mail"]);
    let other = wish(json!([{ "queue": "other", "types": ["demo"] }]));
    worker.post("/v1/leases", &other).await.problem(403, "forbidden");
    worker.post("/v1/reports", &json!({ "worker": "w", "want": other })).await.problem(403, "forbidden");
    // A lease is of all tenants, so no key of one gets it, an admin's neither.
    let (_, acme) = master.make(&key("acme", &["admin"], Some("acme"))).await;
    acme.post("/v1/leases", &wish(json!([{ "types": ["*"] }]))).await.problem(403, "forbidden");
    master.post("/v1/keys", &key("t", &["work", "admin"], Some("acme"))).await.problem(422, "not_supported");
    // What one key got under a name is not repeated for another.
    let mut named = wish(json!([{ "queue": "other", "types": ["*"] }]));
    named["request"] = json!("r");
    let got = master.post("/v1/leases", &named).await.expect(200).json();
    assert_eq!(got["tasks"].as_array().unwrap().len(), 1);
    let again = master.post("/v1/leases", &named).await.expect(200).json();
    assert_eq!(again["tasks"][0]["lease"], got["tasks"][0]["lease"]);
    let mut stolen = wish(json!([{ "types": ["*"] }]));
    stolen["request"] = json!("r");
    worker.post("/v1/leases", &stolen).await.expect(204);
    let refused = master.post("/v1/keys", &key("t", &["work"], Some("acme"))).await.problem(422, "not_supported");
    assert_eq!(refused["errors"][0]["path"], "/tenant");
}

#[tokio::test(start_paused = true)]
async fn a_key_calls_as_often_as_its_rate_lets_it() {
    let world = World::new();
    let master = world.master().await;
    let mut new = key("r", &["read"], None);
    new["rate"] = json!({ "count": 3, "per": "1h" });
    let (_, holder) = master.make(&new).await;
    for _ in 0..3 {
        holder.get("/v1/tasks").await.expect(200);
    }
    let refused = holder.get("/v1/tasks").await;
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 1000);
    assert_eq!(refused.header("ratelimit-policy"), "\"caller\";q=3");
    refused.problem(429, "rate_limited");
    master.get("/v1/tasks").await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_caller_has_so_many_calls_under_way() {
    let limits = CallLimits { rate: None, at_once: Some(2) };
    let world = World::with_options(Options { limits, ..Options::default() });
    let master = world.master().await;
    let wish = json!({ "worker": "w", "lanes": [{ "types": ["*"] }], "limit": 1, "wait": "10s" });
    let third = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        master.get("/v1/tasks").await
    };
    let (first, second, third) =
        tokio::join!(master.post("/v1/leases", &wish), master.post("/v1/leases", &wish), third);
    first.expect(204);
    second.expect(204);
    assert_eq!(third.header("retry-after"), "1");
    third.problem(429, "too_many_calls");
    master.get("/v1/tasks").await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn an_atropos_client_with_a_tenants_key_sees_that_tenants_tasks() {
    let world = World::new();
    let master = world.master().await;
    let (_, acme) = master.make(&key("a", &["submit", "read"], Some("acme"))).await;
    let (_, zeta) = master.make(&key("z", &["submit", "read"], Some("zeta"))).await;
    let new = json!({ "task_type": "data_processing", "parameters": {} });
    let task = acme.post("/tasks", &new).await.expect(200).json();
    let id = task["id"].as_str().unwrap();
    acme.get(&format!("/tasks/{id}/status")).await.expect(200);
    zeta.get(&format!("/tasks/{id}/status")).await.expect(404);
    zeta.call("DELETE", &format!("/tasks/{id}"), "").await.expect(404);
    for (who, total) in [(&acme, 1), (&zeta, 0), (&master, 1)] {
        let list = who.get("/tasks").await.expect(200).json();
        assert_eq!((&list["total_tasks"], list["tasks"].as_array().unwrap().len()), (&json!(total), total));
    }
    assert!(world.get("/tasks").await.expect(401).json()["detail"].is_string());
}

#[tokio::test(start_paused = true)]
async fn what_is_changed_is_noted_with_who_and_from_where() {
    let world = World::new();
    world.submit(&json!({ "type": "demo" })).await;
    world.act("/v1/queues/default:pause").await.expect(200);
    let master = world.master().await;
    let (made, acme) = master.make(&key("a", &["admin"], Some("acme"))).await;
    let new = json!({ "name": "s", "every": "1h", "task": { "type": "demo" } });
    let schedule = acme.post("/v1/schedules", &new).await.expect(201).json();
    let path = format!("/v1/schedules/{}", schedule["id"].as_str().unwrap());
    acme.call("PATCH", &path, r#"{"every":"2h"}"#).await.expect(200);
    acme.call("DELETE", &path, "").await.expect(200);
    master.call("PUT", "/v1/gates/queue:q", r#"{"max_running":5}"#).await.expect(200);
    master.call("PUT", "/v1/gates/queue:q", r#"{"max_running":6}"#).await.expect(200);
    master.call("DELETE", "/v1/gates/queue:q", "").await.expect(200);
    let bulk = json!({ "filter": { "state": "failed" }, "action": "retry" });
    master.post("/v1/tasks:bulk", &bulk).await.expect(201);
    let mut dry = bulk.clone();
    dry["dry_run"] = json!(true);
    master.post("/v1/tasks:bulk", &dry).await.expect(201);
    acme.post("/v1/queues/q:pause", &json!({})).await.problem(403, "forbidden");
    world.with_key("x").get("/v1/tasks").await.problem(401, "unauthorized");
    world.get("/v1/tasks").await.problem(401, "unauthorized");
    let of_acme = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    master.call("POST", &format!("{of_acme}:rotate"), "").await.expect(200);
    // What is noted of refusals is noted by and by.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let log = master.get("/v1/audit").await.expect(200).json();
    let told: Vec<String> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["who"].as_str().unwrap(), it["action"].as_str().unwrap()))
        .collect();
    let (mut refused, told): (Vec<_>, Vec<_>) = told.into_iter().partition(|it| it.ends_with("refused"));
    refused.sort();
    assert_eq!(refused, ["a access.refused", "nobody access.refused"]);
    let expected = [
        "master key.rotated",
        "master tasks.changed",
        "master gate.removed",
        "master gate.set",
        "master gate.set",
        "a schedule.removed",
        "a schedule.changed",
        "a schedule.made",
        "master key.made",
        "nobody key.made",
        "nobody queue.controlled",
    ];
    assert_eq!(told, expected);
    assert!(!log.to_string().contains("tl_"), "a secret is in the log");
}

#[tokio::test(start_paused = true)]
async fn a_line_of_the_log_tells_what_was_before_and_after() {
    let world = World::new();
    world.submit(&json!({ "type": "demo" })).await;
    world.act("/v1/queues/default:pause").await.expect(200);
    let master = world.master().await;
    master.make(&key("a", &["admin"], Some("acme"))).await;
    let new = json!({ "name": "s", "every": "1h", "task": { "type": "demo" } });
    let schedule = master.post("/v1/schedules", &new).await.expect(201).json();
    let path = format!("/v1/schedules/{}", schedule["id"].as_str().unwrap());
    master.call("PATCH", &path, r#"{"every":"2h"}"#).await.expect(200);
    master.call("PUT", "/v1/gates/queue:q", r#"{"max_running":5}"#).await.expect(200);
    master.call("PUT", "/v1/gates/queue:q", r#"{"max_running":6}"#).await.expect(200);
    let log = master.get("/v1/audit").await.expect(200).json();
    let of = |action: &str| {
        let mut all = log["items"].as_array().unwrap().iter().filter(|it| it["action"] == action);
        all.next().unwrap().clone()
    };
    let set = of("gate.set");
    assert_eq!((&set["before"], &set["after"]), (&json!({ "max_running": 5 }), &json!({ "max_running": 6 })));
    let changed = of("schedule.changed");
    assert_eq!(
        (&changed["target"], &changed["before"]["every"], &changed["after"]["every"]),
        (&json!("s"), &json!("1h"), &json!("2h"))
    );
    let paused = of("queue.controlled");
    assert_eq!((&paused["target"], &paused["after"]), (&json!("default"), &json!({ "state": "paused" })));
    let made = of("key.made");
    assert_eq!(made["after"], json!({ "scopes": ["admin"], "tenant": "acme" }));
    let page = master.get("/v1/audit?limit=1").await.expect(200).json();
    let next = master.get(&format!("/v1/audit?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_ne!(page["items"][0]["id"], next["items"][0]["id"]);
}

#[tokio::test(start_paused = true)]
async fn a_tenants_admin_sees_the_log_of_that_tenant() {
    let world = World::new();
    let master = world.master().await;
    let (_, acme) = master.make(&key("a", &["admin"], Some("acme"))).await;
    let new = json!({ "name": "s", "every": "1h", "task": { "type": "demo" } });
    acme.post("/v1/schedules", &new).await.expect(201);
    master.post("/v1/schedules", &new).await.expect(201);
    let log = acme.get("/v1/audit").await.expect(200).json();
    let told: Vec<_> = log["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["schedule.made", "key.made"]);
    acme.get("/v1/audit?tenant=zeta").await.problem(403, "forbidden");
}
