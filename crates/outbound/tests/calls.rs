//! Calls over a real socket of loopback, which the guard forbids unless it is told otherwise.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use tasklane_outbound::{Answer, Error, Excess, Guard, Outbound, Request};
use tokio::net::TcpListener;

/// A server on loopback that counts who came.
async fn server() -> (u16, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&seen);
    let count = move || counting.fetch_add(1, Ordering::SeqCst);
    let (count_large, count_moved) = (count.clone(), count.clone());
    let router = Router::new()
        .route(
            "/echo",
            any(move |body: Bytes| async move {
                count();
                body
            }),
        )
        .route(
            "/large",
            any(move || async move {
                count_large();
                vec![b'x'; 5000]
            }),
        )
        .route(
            "/moved",
            any(move || async move {
                count_moved();
                (StatusCode::FOUND, [(LOCATION, "/echo")])
            }),
        )
        .route("/silent", any(std::future::pending::<()>));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (port, seen)
}

fn request(url: &str) -> Request {
    let (timeout, headers) = (Duration::from_secs(5), HeaderMap::new());
    Request {
        method: Method::POST,
        url: url.into(),
        headers,
        body: Bytes::from_static(b"hello"),
        timeout,
        most: 4096,
        excess: Excess::Refused,
    }
}

async fn call(outbound: &Outbound, port: u16, path: &str) -> Result<Answer, Error> {
    outbound.send(request(&format!("http://127.0.0.1:{port}{path}"))).await
}

#[tokio::test]
async fn nothing_private_is_ever_connected_to() {
    let (port, seen) = server().await;
    let outbound = Outbound::new(Guard::default());
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "0177.0.0.1", "2130706433"] {
        let error = outbound.send(request(&format!("http://{host}:{port}/echo"))).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden { .. }), "{host}: {error:?}");
    }
    // Not every system knows this one; none may lead there.
    outbound.send(request(&format!("http://localhost.:{port}/echo"))).await.unwrap_err();
    assert_eq!(seen.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_no_call_is_told_apart() {
    let outbound = Outbound::new(Guard::default());
    for url in ["file:///etc/passwd", "gopher://x", "http://a:b@example.com", "http://user@example.com", "nonsense", ""]
    {
        assert!(matches!(outbound.check(url), Err(Error::Invalid(_))), "{url}");
    }
    outbound.check("https://example.com/path?x=1").unwrap();
}

#[tokio::test]
async fn what_the_operator_allows_is_called() {
    let (port, _) = server().await;
    let outbound = Outbound::new(Guard::allowing("127.0.0.1").unwrap());
    assert_eq!(call(&outbound, port, "/echo").await.unwrap().body, "hello");
    let by_name = outbound.send(request(&format!("http://localhost:{port}/echo"))).await.unwrap();
    assert_eq!(by_name.body, "hello", "the one permitted address of the name");
}

#[tokio::test]
async fn redirects_are_answers_and_large_or_late_ones_are_none() {
    let (port, seen) = server().await;
    let outbound = Outbound::new(Guard::allowing("127.0.0.0/8").unwrap());
    assert_eq!(call(&outbound, port, "/moved").await.unwrap().status, StatusCode::FOUND);
    assert_eq!(seen.load(Ordering::SeqCst), 1, "nobody followed");
    assert_eq!(call(&outbound, port, "/large").await.unwrap_err(), Error::TooLarge(4096));
    let cut = Request { excess: Excess::Cut, ..request(&format!("http://127.0.0.1:{port}/large")) };
    assert_eq!(outbound.send(cut).await.unwrap().body.len(), 4096, "where the status is what counts");
    let timeout = Duration::from_millis(50);
    let late = Request { timeout, ..request(&format!("http://127.0.0.1:{port}/silent")) };
    assert_eq!(outbound.send(late).await.unwrap_err(), Error::Timeout(timeout));
    let refused = outbound.send(request("http://127.0.0.1:1/secret?key=abc")).await.unwrap_err().to_string();
    assert!(refused.starts_with("the call failed: ") && !refused.contains("abc"), "{refused}");
}
