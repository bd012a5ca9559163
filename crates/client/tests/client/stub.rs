//! A server that notes what it is asked and answers as the test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use tasklane_client::Client;
use tokio::net::TcpListener;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    pub line: String,
    pub authorization: Option<String>,
    pub body: Bytes,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn is(&self, line: &str) -> bool {
        self.line == line
    }
}

pub struct Stub {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    pub async fn start<F>(answer: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (noted, answer) = (Arc::clone(&seen), Arc::new(answer));
        let app = Router::new().fallback(move |request: Request| {
            let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
            async move {
                let line = format!("{} {}", request.method(), request.uri());
                let authorization = request.headers().get("authorization").map(|it| it.to_str().unwrap().to_owned());
                let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
                let request = Seen { line, authorization, body };
                noted.lock().unwrap().push(request.clone());
                answer(request).await
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    pub fn client(&self) -> Client {
        Client::builder().url(&self.url).build().unwrap()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub fn answer(status: u16, json: &Value) -> Response {
    Response::builder().status(status).body(Body::from(json.to_string())).unwrap()
}

pub fn id(n: usize) -> String {
    format!("0192f0c1-2345-7abc-8def-{n:012x}")
}

pub fn problem(status: u16, code: &str, detail: &str) -> Value {
    json!({"type": format!("/docs/problems/{code}"), "title": "No", "status": status, "detail": detail, "code": code})
}

/// A task as a server answers it.
pub fn task(n: usize, state: &str, more: &Value) -> Value {
    let mut task = json!({
        "id": id(n), "type": "t", "queue": "default", "state": state, "reason": "accepted", "priority": 0, "payload": null,
        "attempt": 1, "spent": 0, "max_attempts": 3, "retry": {}, "labels": {}, "created_at": "2026-01-31T12:00:00Z",
        "cancel_requested": false, "quarantined": false,
    });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}
