//! A router over a memory store on tokio's clock, called in process. Its store can be told to fail.

mod contract;
mod faulty;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tasklane_api::{Hosts, Options, router};
use tasklane_core::ports::clock::Clock;
use tasklane_core::ports::store::Store as _;
use tasklane_core::record::{Kind, Order, RecordQuery};
use tasklane_core::time::Timestamp;
use tasklane_engine::Engine;
use tasklane_store::memory::MemoryStore;
use tokio::time::Instant;
use tower::ServiceExt;

use contract::Root;
pub use faulty::{Faulty, Mood};

struct TokioClock(Instant);

impl Clock for TokioClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).plus(self.0.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

pub struct World {
    pub engine: Engine,
    pub store: Arc<Faulty>,
    pub router: Router,
    root: Root,
}

/// A task of type `demo`.
pub fn demo() -> Value {
    json!({ "type": "demo" })
}

impl World {
    pub fn new() -> Self {
        Self::with(Hosts::Loopback)
    }

    pub fn with(hosts: Hosts) -> Self {
        Self::with_options(Options { hosts, ..Options::default() })
    }

    pub fn with_options(options: Options) -> Self {
        let store = Faulty::new(MemoryStore::new(Arc::new(TokioClock(Instant::now()))));
        let engine = Engine::start(Arc::clone(&store) as _, tasklane_engine::Options::default());
        let root = options.alone.map_or(Root::Tasklane, |_| Root::Atropos);
        let router = router(engine.clone(), Options { database: "memory", ..options });
        Self { engine, store, router, root }
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let reply = Reply { status: parts.status, headers: parts.headers, body };
        contract::check(self.root, &method, &path, &reply);
        reply
    }

    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        self.send(request(method, path, headers, body)).await
    }

    /// How an answer begins whose body may not end.
    pub async fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap) {
        let response = self.router.clone().oneshot(request(method, path, headers, "")).await.unwrap();
        (response.status(), response.headers().clone())
    }

    /// Opens a stream of events.
    pub async fn stream(&self, path: &str, headers: &[(&str, &str)]) -> Stream {
        let response = self.router.clone().oneshot(request("GET", path, headers, "")).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream { body: response.into_body(), text: String::new() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, &[JSON], body.to_string()).await
    }

    pub async fn act(&self, path: &str) -> Reply {
        self.call("POST", path, &[], "").await
    }

    /// What is kept of records of a kind, as the store has it.
    pub async fn records(&self, kind: Kind) -> Vec<String> {
        let (tenant, name, order, after, most) = (None, None, Order::Oldest, None, 100);
        let page = self.store.records().page(RecordQuery { kind, tenant, name, order, after, most }).await.unwrap();
        page.into_iter().map(|it| it.content.body.to_string()).collect()
    }

    pub async fn submit(&self, task: &Value) -> String {
        let reply = self.post("/v1/tasks", task).await.expect(201).json();
        reply["id"].as_str().unwrap().to_owned()
    }

    pub async fn task(&self, id: &str) -> Value {
        self.get(&format!("/v1/tasks/{id}")).await.expect(200).json()
    }

    pub async fn lease(&self, limit: usize) -> Vec<Value> {
        let wish = json!({ "worker": "w", "lanes": [{ "types": ["*"] }], "limit": limit });
        let reply = self.post("/v1/leases", &wish).await;
        if reply.status == 204 {
            return Vec::new();
        }
        reply.expect(200).json()["tasks"].as_array().unwrap().clone()
    }

    /// Reports one outcome of a leased task.
    pub async fn report(&self, verb: &str, leased: &Value, members: &Value) -> Value {
        let mut item = members.clone();
        item["id"] = leased["id"].clone();
        item["lease"] = leased["lease"].clone();
        self.post("/v1/reports", &json!({ "worker": "w", verb: [item] })).await.expect(200).json()
    }
}

/// A stream of events that is being read.
pub struct Stream {
    body: Body,
    text: String,
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: Value,
}

impl Stream {
    /// The next block of the stream as it stands; `None`: it ended.
    pub async fn block(&mut self) -> Option<String> {
        while !self.text.contains("\n\n") {
            let frame = self.body.frame().await?.unwrap().into_data().unwrap();
            self.text += std::str::from_utf8(&frame).unwrap();
        }
        let (block, rest) = self.text.split_once("\n\n").unwrap();
        let (block, rest) = (block.to_owned(), rest.to_owned());
        self.text = rest;
        Some(block)
    }

    /// The next event; `None`: the stream ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let member = |name: &str| block.lines().find_map(|it| it.strip_prefix(&format!("{name}: ")));
            if let Some(name) = member("event") {
                let data = serde_json::from_str(member("data").unwrap()).unwrap();
                return Some(Event { id: member("id").unwrap_or_default().into(), name: name.into(), data });
            }
        }
    }

    /// The names of all events to the end.
    pub async fn names(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(event) = self.next().await {
            names.push(event.name);
        }
        names
    }
}

pub const JSON: (&str, &str) = ("content-type", "application/json");

pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|it| it.0 == "host") {
        request = request.header("host", "localhost:8000");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {} {}", self.status, self.text()))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Asserts that it is a whole problem with this status and code, and answers with it.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status.as_u16(), &body["code"]), (status, &json!(code)), "{body}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("/docs/errors/{code}"));
        assert_eq!(body["instance"], self.header("x-request-id"));
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        body
    }
}
