//! T32: every operation of the document, called with every kind of key, on things of its own and of others. What the document
//! says a key must be is what it must be; a foreign thing is not there; and who may do it gets beyond the door.
//!
//! Seen red: with routes that forget whose their task is.

use serde_json::{Value, json};

use crate::keys::Holder;
use crate::world::{Reply, World};

/// A kind of key, and what the document's roles mean for it.
struct Kind {
    name: &'static str,
    scopes: &'static [&'static str],
    tenant: Option<&'static str>,
}

const KINDS: [Kind; 8] = [
    Kind { name: "submits", scopes: &["submit"], tenant: None },
    Kind { name: "reads", scopes: &["read"], tenant: None },
    Kind { name: "works", scopes: &["work"], tenant: None },
    Kind { name: "administers", scopes: &["admin"], tenant: None },
    Kind { name: "acme submits", scopes: &["submit"], tenant: Some("acme") },
    Kind { name: "acme reads", scopes: &["read"], tenant: Some("acme") },
    Kind { name: "acme administers", scopes: &["admin"], tenant: Some("acme") },
    Kind { name: "zeta administers", scopes: &["admin"], tenant: Some("zeta") },
];

/// What there is of acme's.
struct Things {
    task: String,
    schedule: String,
    key: String,
    webhook: String,
    delivery: String,
}

async fn things(master: &Holder<'_>) -> Things {
    let id = |of: &Value| of["id"].as_str().unwrap().to_owned();
    let task = json!({ "type": "demo", "queue": "q", "tenant": "acme", "limits": [{ "key": "k", "max_running": 1 }] });
    let task = master.submit(&task).await;
    let schedule = json!({ "name": "s", "every": "1h", "task": { "type": "demo", "tenant": "acme" } });
    let schedule = id(&master.post("/v1/schedules", &schedule).await.expect(201).json());
    let key = json!({ "name": "thing", "scopes": ["read"], "tenant": "acme" });
    let webhook = json!({ "url": "https://example.org/", "tenant": "acme" });
    let webhook = id(&master.post("/v1/webhooks", &webhook).await.expect(201).json());
    let delivery = id(&master.call("POST", &format!("/v1/webhooks/{webhook}:test"), "").await.expect(200).json());
    Things { task, schedule, webhook, delivery, key: id(&master.post("/v1/keys", &key).await.expect(201).json()) }
}

/// A path with what it names filled in; whether that is acme's.
fn filled(path: &str, things: &Things) -> (String, bool) {
    let Things { task, schedule, key, webhook, delivery } = things;
    let names = [
        ("{task}", task.as_str(), true),
        ("{schedule}", schedule, true),
        ("{webhook}", webhook, true),
        ("{key}", key, true),
        ("{gate}", "key:k?tenant=acme", true),
        ("{queue}", "q", false),
        ("{type}", "demo", false),
        ("{asset}", "docs.js", false),
        ("{code}", "invalid", false),
    ];
    match names.iter().find(|it| path.contains(it.0)) {
        Some((hole, name, is_own)) => (path.replace(hole, name).replace("{delivery}", delivery), *is_own),
        None => (path.to_owned(), false),
    }
}

/// What to send: enough for the operation to do something.
fn body(method: &str, path: &str) -> String {
    let body = match (method, path) {
        ("post", "/v1/tasks") => json!({ "type": "demo" }),
        ("post", "/v1/tasks:batch") => json!([{ "type": "demo" }]),
        ("post", "/v1/tasks:bulk") => json!({ "filter": { "state": "failed" }, "action": "retry" }),
        ("post", "/v1/leases") => json!({ "worker": "w", "lanes": [{ "types": ["*"] }], "limit": 0 }),
        ("post", "/v1/reports") => json!({ "worker": "w" }),
        ("post", "/v1/schedules") => json!({ "name": "n", "every": "1h", "task": { "type": "demo" } }),
        ("post", "/v1/schedules:preview") => json!({ "every": "1h" }),
        ("post", "/v1/webhooks") => json!({ "url": "https://example.org/" }),
        ("post", "/v1/keys") => json!({ "name": "n", "scopes": ["read"] }),
        ("put" | "patch", _) => json!({}),
        _ => return String::new(),
    };
    body.to_string()
}

/// Every operation: method, path, and what a key must be, if it must be anything.
fn operations() -> Vec<(String, String, Option<Vec<String>>)> {
    let document = tasklane_api::openapi::document();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let roles = operation["security"][0]["bearer"].as_array();
            let roles = roles.map(|it| it.iter().map(|it| it.as_str().unwrap().to_owned()).collect());
            all.push((method.clone(), path.clone(), roles));
        }
    }
    all
}

/// What the door makes of a call.
#[derive(Debug, PartialEq)]
enum Door {
    Shut,
    NotThere,
    Open,
}

fn door(reply: &Reply) -> Door {
    match reply.status.as_u16() {
        403 => Door::Shut,
        404 => Door::NotThere,
        _ => Door::Open,
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_lets_in_who_the_document_says() {
    let operations = operations();
    assert!(operations.len() >= 72, "{}", operations.len());
    for (method, path, roles) in &operations {
        let (verb, roles) = (method.to_uppercase(), roles.as_deref());
        assert_eq!(roles.is_none(), !path.starts_with("/v1/") && path != "/metrics", "{path}");
        let Some(roles) = roles.filter(|_| path != "/metrics") else { continue };
        let looks = method == "get" || path.ends_with(":preview");
        let enough: &[&str] = if looks { &["read", "admin"] } else { &["submit", "work", "admin"] };
        assert!(enough.contains(&&*roles[0]), "{verb} {path} needs {roles:?}");
        for kind in &KINDS {
            let world = World::new();
            let master = world.master().await;
            let things = things(&master).await;
            let (at, is_acmes) = filled(path, &things);
            let mut new = json!({ "name": "kind", "scopes": kind.scopes });
            if let Some(tenant) = kind.tenant {
                new["tenant"] = json!(tenant);
            }
            let (_, holder) = master.make(&new).await;
            let is_stream = at.ends_with("/events");
            let reply = match is_stream {
                true => unended(&holder, &at).await,
                false => holder.call(&verb, &at, &body(method, path)).await,
            };
            let told = format!("{} {verb} {at}: {} {}", kind.name, reply.status, reply.text());
            assert_ne!(reply.status, 401, "{told}");
            assert!(!reply.status.is_server_error(), "{told}");
            let has_scope = kind.scopes.contains(&"admin") || kind.scopes.contains(&&*roles[0]);
            let is_enough = has_scope && (kind.tenant.is_none() || !roles.contains(&"all_tenants".to_owned()));
            let expected = match (is_enough, is_acmes && kind.tenant == Some("zeta")) {
                (false, _) => Door::Shut,
                (true, true) => Door::NotThere,
                (true, false) => Door::Open,
            };
            assert_eq!(door(&reply), expected, "{told}");
        }
        nobody(&verb, path, &body(method, path)).await;
    }
}

/// Who has no key, one that nobody made, or one that was revoked, hears nothing but that.
async fn nobody(verb: &str, path: &str, sent: &str) {
    let world = World::new();
    let master = world.master().await;
    let things = things(&master).await;
    let (at, _) = filled(path, &things);
    let (made, revoked) = master.make(&json!({ "name": "r", "scopes": ["admin"] })).await;
    master.call("POST", &format!("/v1/keys/{}:revoke", made["id"].as_str().unwrap()), "").await.expect(200);
    let mut unknown = master.key.clone();
    unknown.replace_range(99.., if unknown.ends_with('0') { "1" } else { "0" });
    for key in [String::new(), unknown, revoked.key] {
        world.with_key(key).call(verb, &at, sent).await.problem(401, "unauthorized");
    }
}

/// The head of a stream that does not end.
async fn unended(holder: &Holder<'_>, path: &str) -> Reply {
    let bearer = format!("Bearer {}", holder.key);
    let (status, headers) = holder.world.head("GET", path, &[("authorization", &bearer)]).await;
    Reply { status, headers, body: Vec::new().into() }
}
