//! What every request goes through.

use serde_json::json;
use tasklane_api::Hosts;

use crate::world::{JSON, World, demo};

#[tokio::test(start_paused = true)]
async fn what_is_no_route_is_not_found() {
    let world = World::new();
    for path in [
        "/v1",
        "/v1/",
        "/v1/task",
        "/v1/tasks/",
        "/v2/tasks",
        "/v1/schedule",
        "/v1/tasks:explode",
        "/v1/tasksx",
        "/nope",
        "/v1/tasks:",
        "/v1/tasks/x/nope",
        "/v1/tasks/%ff",
    ] {
        world.get(path).await.problem(404, "not_found");
    }
    let id = world.submit(&demo()).await;
    world.act(&format!("/v1/tasks/{id}:explode")).await.problem(404, "not_found");
    world.act("/v1/tasks:burst").await.problem(404, "not_found");
    world.act("/v1/queues/default:burst").await.problem(404, "not_found");
}

#[tokio::test(start_paused = true)]
async fn another_method_is_told_which_ones_there_are() {
    let world = World::new();
    let cases = [
        ("PUT", "/v1/tasks", "POST, GET, HEAD"),
        ("PATCH", "/v1/tasks/x", "GET, HEAD, DELETE"),
        ("POST", "/v1/tasks/x", "GET, HEAD, DELETE"),
        ("GET", "/v1/tasks:batch", "POST"),
        ("GET", "/v1/tasks%3Abatch", "POST"),
        ("OPTIONS", "/v1/leases", "POST"),
        ("DELETE", "/v1/queues/q", "GET, HEAD, PUT"),
        ("POST", "/health", "GET, HEAD"),
    ];
    for (method, path, allowed) in cases {
        let reply = world.call(method, path, &[JSON], "{}").await;
        assert_eq!(reply.header("allow"), allowed, "{method} {path}");
        reply.problem(405, "method_not_allowed");
    }
}

#[tokio::test(start_paused = true)]
async fn only_names_of_this_machine_are_served_without_keys() {
    let world = World::new();
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1:8000", ""] {
        world.call("GET", "/health", &[("host", host)], "").await.problem(421, "host_not_allowed");
    }
    world.call("GET", "http://evil.example/health", &[], "").await.problem(421, "host_not_allowed");
    for host in ["localhost", "127.0.0.1:1", "[::1]:8000"] {
        world.call("GET", "/health", &[("host", host)], "").await.expect(200);
    }
    let cross = [("origin", "https://evil.example")];
    world.call("POST", "/v1/queues/default:pause", &cross, "").await.problem(403, "origin_not_allowed");
    world.call("GET", "/health", &[("origin", "http://localhost:3000")], "").await.expect(200);
    World::with(Hosts::Any).call("GET", "/health", &[("host", "any.example"), cross[0]], "").await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn request_ids_go_in_and_out() {
    let world = World::new();
    assert_eq!(world.call("GET", "/health", &[("x-request-id", "mine-1")], "").await.header("x-request-id"), "mine-1");
    let long = "x".repeat(129);
    for unfit in ["", "a b", &long] {
        let drawn = world.call("GET", "/health", &[("x-request-id", unfit)], "").await;
        assert!(!drawn.header("x-request-id").is_empty() && drawn.header("x-request-id") != unfit);
    }
    let (one, two) = (world.get("/health").await, world.get("/health").await);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
    assert_eq!(one.header("x-content-type-options"), "nosniff");
}

#[tokio::test(start_paused = true)]
async fn the_server_tells_about_itself() {
    let world = World::new();
    for (path, status) in [("/", "running"), ("/health", "healthy"), ("/ready", "ready")] {
        let about = world.get(path).await.expect(200).json();
        assert_eq!((&about["status"], &about["service"]), (&json!(status), &json!("tasklane")), "{path}");
        assert_eq!(about["database"], "memory");
        assert!(about["message"].is_string() && about["version"].is_string(), "{about}");
        assert!(tasklane_wire::time::parse(about["timestamp"].as_str().unwrap()).is_ok());
    }
    world.get("/health?x=1").await.problem(422, "invalid");
    let head = world.call("HEAD", "/health", &[], "").await;
    assert_eq!(head.status, 200);
    world.engine.drain();
    world.get("/ready").await.problem(503, "not_ready");
    world.get("/health").await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn the_page_that_a_problem_names_is_there() {
    let world = World::new();
    for code in tasklane_api::error::CODES {
        let page = world.get(&format!("/docs/errors/{}", code.code)).await.expect(200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.text().contains(code.title), "{}", code.code);
    }
    let problem = world.get("/nope").await.problem(404, "not_found");
    world.get(problem["type"].as_str().unwrap()).await.expect(200);
    world.get("/docs/errors/nope").await.problem(404, "not_found");
}

#[tokio::test(start_paused = true)]
async fn metrics_name_routes_and_never_tasks() {
    let world = World::new();
    let id = world.submit(&demo()).await;
    world.task(&id).await;
    world.act(&format!("/v1/tasks/{id}:cancel")).await.expect(200);
    world.get(&format!("/nope/{id}")).await.problem(404, "not_found");
    world.call("POST", "/v1/tasks:batch", &[JSON], "x".repeat(40 << 20)).await.problem(413, "payload_too_large");
    let reply = world.get("/metrics").await.expect(200);
    assert!(reply.header("content-type").starts_with("application/openmetrics-text"));
    let text = reply.text();
    for line in [
        r#"tasklane_http_requests_total{route="/v1/tasks",method="POST",status="201"} 1"#,
        r#"tasklane_http_requests_total{route="/v1/tasks/{task}",method="GET",status="200"} 1"#,
        r#"tasklane_http_requests_total{route="/v1/tasks/{task}:cancel",method="POST",status="200"} 1"#,
        r#"tasklane_http_requests_total{route="none",method="GET",status="404"} 1"#,
        r#"tasklane_http_limits_total{limit="payload_too_large"} 1"#,
        r#"tasklane_http_request_duration_seconds_count{route="/v1/tasks"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(&id), "a task in a label");
    assert_eq!(text.matches("# EOF").count(), 1);
    assert!(text.ends_with("# EOF\n") && text.contains("tasklane_"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_pages_load_only_what_the_binary_has() {
    let world = World::new();
    for path in ["/docs", "/redoc"] {
        let page = world.get(path).await.expect(200);
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
        let text = page.text();
        let mut loaded: Vec<_> = text.split(['"']).filter(|it| it.starts_with("docs/assets/")).collect();
        assert!(loaded.len() >= 2 && !text.contains("http"), "{text}");
        loaded.push("openapi.json");
        for path in loaded {
            world.get(&format!("/{path}")).await.expect(200);
        }
    }
    world.get("/docs/assets/other.js").await.problem(404, "not_found");
}
