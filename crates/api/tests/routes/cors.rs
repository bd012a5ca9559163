//! Which pages of other origins may call what.

use serde_json::json;
use tasklane_api::{Dialect, Hosts, Options};

use crate::world::{JSON, Reply, World};

const PAGE: &str = "http://localhost:3000";
const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

fn configured() -> World {
    World::with_options(Options { cors_origins: [APP.into()].into(), ..Options::default() })
}

async fn ask(world: &World, path: &str, origin: &str, method: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "content-type,x-mine"),
    ];
    world.call("OPTIONS", path, &headers, "").await
}

async fn get(world: &World, path: &str, origin: &str) -> Reply {
    world.call("GET", path, &[("origin", origin)], "").await
}

#[track_caller]
fn assert_open(reply: &Reply, origin: &str) {
    assert_eq!(reply.header("access-control-allow-origin"), origin, "{}", reply.text());
    assert_eq!(reply.header("vary"), "Origin");
    assert_eq!(reply.header("access-control-allow-credentials"), "", "nothing goes by cookies");
}

#[track_caller]
fn assert_closed(reply: &Reply) {
    assert!(reply.headers.keys().all(|it| !it.as_str().starts_with("access-control-")), "{:?}", reply.headers);
}

#[tokio::test(start_paused = true)]
async fn pages_of_this_machine_may_call_the_dialect_and_nothing_else() {
    let world = World::new();
    let asked = ask(&world, "/tasks", PAGE, "POST").await.expect(204);
    assert_open(&asked, PAGE);
    assert_eq!(asked.header("access-control-allow-methods"), "GET, HEAD, POST");
    assert_eq!(asked.header("access-control-allow-headers"), "content-type,x-mine");
    assert_eq!(asked.header("access-control-max-age"), "600");
    assert_eq!(ask(&world, "/tasks/x", PAGE, "DELETE").await.header("access-control-allow-methods"), "DELETE");
    let body = json!({ "task_type": "default" }).to_string();
    assert_open(&world.call("POST", "/tasks", &[JSON, ("origin", PAGE)], body).await.expect(200), PAGE);
    let list = get(&world, "/tasks", PAGE).await.expect(200);
    assert_open(&list, PAGE);
    assert!(list.header("access-control-expose-headers").contains("Link"));
    assert_open(&get(&world, "/tasks/x/status", PAGE).await.expect(404), PAGE);
    assert_open(&get(&world, "/openapi/atropos.json", "http://127.0.0.1:8080").await, "http://127.0.0.1:8080");
    assert_eq!(world.get("/tasks").await.header("vary"), "Origin", "an answer to nobody is none for everybody");

    assert_closed(&ask(&world, "/v1/tasks", PAGE, "POST").await.expect(405));
    let native = get(&world, "/v1/tasks", PAGE).await.expect(200);
    assert_closed(&native);
    assert_eq!(native.header("vary"), "");
    assert_closed(&get(&world, "/health", PAGE).await.expect(200));
}

#[tokio::test(start_paused = true)]
async fn pages_of_others_are_refused_before_anything_happens() {
    for world in [World::new(), configured()] {
        for origin in [EVIL, "null", "https://app.example.evil", "http://app.example", "https://APP.example"] {
            for path in ["/tasks", "/v1/tasks"] {
                let reply = ask(&world, path, origin, "POST").await.expect(403);
                assert_closed(&reply);
                assert_closed(&get(&world, path, origin).await.expect(403));
            }
        }
        let detail = get(&world, "/tasks", EVIL).await.json()["detail"].clone();
        assert!(detail.as_str().unwrap().contains("TASKLANE_CORS_ORIGINS"), "{detail}");
        let two = world.call("GET", "/v1/tasks", &[("origin", APP), ("origin", EVIL)], "").await;
        assert_closed(&two.expect(403));
    }
    let insecure = World::with(Hosts::Any);
    assert_closed(&get(&insecure, "/tasks", EVIL).await.expect(200));
    assert_closed(&ask(&insecure, "/tasks", EVIL, "POST").await.expect(405));
}

#[tokio::test(start_paused = true)]
async fn configured_origins_may_call_everything() {
    let world = configured();
    for path in ["/v1/tasks", "/tasks", "/health", "/v1/nope"] {
        let reply = get(&world, path, APP).await;
        assert_open(&reply, APP);
    }
    let asked = ask(&world, "/v1/tasks/x:cancel", APP, "POST").await.expect(204);
    assert_open(&asked, APP);
    assert_eq!(asked.header("access-control-allow-methods"), "DELETE, GET, HEAD, POST");
    assert_eq!(world.get("/v1/tasks").await.header("vary"), "Origin");
    let plain = world.call("OPTIONS", "/v1/leases", &[("origin", APP)], "").await.expect(405);
    assert_open(&plain, APP);
}

#[tokio::test(start_paused = true)]
async fn a_dialect_alone_is_open_to_pages_of_this_machine_and_v1_is_not() {
    let world = World::with_options(Options { alone: Some(Dialect::Atropos), ..Options::default() });
    for path in ["/", "/health", "/openapi.json", "/tasks"] {
        assert_open(&get(&world, path, PAGE).await.expect(200), PAGE);
    }
    assert_closed(&get(&world, "/v1/tasks", PAGE).await.expect(200));
}
