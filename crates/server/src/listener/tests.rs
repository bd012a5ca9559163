#![allow(clippy::unwrap_used)]

use std::future::pending;

use axum::body::Bytes;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::*;
use crate::config::listen::Exposure;

fn anywhere(max_connections: usize) -> Listen {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Listen { address, exposure: Exposure::Loopback, taken: Taken::Refuse, max_connections, tls: None }
}

async fn serve(router: Router, max_connections: usize) -> (SocketAddr, Listener) {
    let bound = Bound::bind(&anywhere(max_connections)).unwrap();
    (bound.address(), bound.serve(router, TurnedAway::default()))
}

async fn say(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the server closes.
async fn hear(mut stream: TcpStream) -> String {
    let mut heard = Vec::new();
    let _reset = stream.read_to_end(&mut heard).await;
    String::from_utf8_lossy(&heard).into_owned()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const GET_CLOSE: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn requests_are_answered_one_after_the_other() {
    let (address, listener) = serve(hello(), 10).await;
    let heard = hear(say(address, &format!("{GET}{GET_CLOSE}")).await).await;
    assert_eq!(heard.matches("hello").count(), 2, "{heard}");
    listener.stop(Duration::from_secs(5)).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_refused_or_stepped_over() {
    let first = Bound::bind(&anywhere(1)).unwrap();
    let again = Listen { address: first.address(), ..anywhere(1) };
    assert!(matches!(Bound::bind(&again), Err(StartError::PortTaken { .. })));
    let next = Bound::bind(&Listen { taken: Taken::Next, ..again }).unwrap();
    assert!(next.address().port() > first.address().port());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431() {
    let (address, _listener) = serve(hello(), 10).await;
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(connection::HEAD_BYTES));
    assert!(hear(say(address, &head).await).await.starts_with("HTTP/1.1 431"));
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let heard = hear(say(address, &format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n")).await).await;
    assert!(heard.starts_with("HTTP/1.1 431"), "{heard}");
}

#[tokio::test]
async fn a_body_may_be_larger_than_the_buffer() {
    let router = Router::new()
        .route("/", post(|body: Bytes| async move { body.len().to_string() }))
        .layer(axum::extract::DefaultBodyLimit::disable());
    let (address, _listener) = serve(router, 10).await;
    let body = "b".repeat(3 << 20);
    let text =
        format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let heard = hear(say(address, &text).await).await;
    assert!(heard.ends_with("\r\n\r\n3145728"), "{heard}");
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_again() {
    let (address, _listener) = serve(hello(), 1).await;
    let mut first = say(address, GET).await;
    first.read_u8().await.unwrap();
    let heard = hear(say(address, GET).await).await;
    assert!(heard.starts_with("HTTP/1.1 503") && heard.contains("retry-after: 1"), "{heard}");
    // The place is free again once the first one leaves.
    drop(first);
    loop {
        let heard = hear(say(address, GET_CLOSE).await).await;
        if heard.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silent_callers_are_cut() {
    let reads_body = Router::new().route("/", post(|body: Result<Bytes, _>| async move { body.is_ok().to_string() }));
    let (address, _listener) = serve(reads_body, 10).await;
    for text in ["", "POST / HT", "POST / HTTP/1.1\r\nhost: x\r\nx-drop: a"] {
        assert_eq!(hear(say(address, text).await).await, "", "{text:?}");
    }
    let half = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf";
    let heard = hear(say(address, half).await).await;
    assert!(heard.ends_with("false"), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_takes_nothing_of_its_answer_is_cut() {
    let gone = Arc::new(Notify::new());
    let signal = Arc::clone(&gone);
    let large = Router::new().route(
        "/",
        get(move || {
            let signal = OnDrop(Arc::clone(&signal));
            async move { axum::body::Body::new(Endless(signal)) }
        }),
    );
    let (address, _listener) = serve(large, 10).await;
    let _deaf = say(address, GET).await;
    gone.notified().await;
}

struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// More than any socket buffer holds; says when it is dropped.
struct Endless(#[expect(dead_code, reason = "its drop is the signal")] OnDrop);

impl axum::body::HttpBody for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(&[0; 64 << 10])))))
    }
}

#[tokio::test]
async fn a_request_is_dropped_when_its_caller_goes() {
    let (began, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, signal) = (Arc::clone(&began), Arc::clone(&gone));
    let router = Router::new().route(
        "/",
        get(move || {
            begin.notify_one();
            let signal = OnDrop(Arc::clone(&signal));
            async move {
                let _signal = signal;
                pending::<()>().await;
            }
        }),
    );
    let (address, _listener) = serve(router, 10).await;
    let caller = say(address, GET).await;
    began.notified().await;
    drop(caller);
    gone.notified().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_requests_finish_and_cuts_those_that_do_not() {
    let began = Arc::new(Notify::new());
    let finish = Arc::new(Notify::new());
    let (begin, wait) = (Arc::clone(&began), Arc::clone(&finish));
    let router = Router::new()
        .route(
            "/slow",
            get(move || async move {
                begin.notify_one();
                wait.notified().await;
                "finished"
            }),
        )
        .route("/quick", get(|| async { "quick" }))
        .route("/never", get(pending::<()>));
    let (address, listener) = serve(router, 10).await;
    let slow = say(address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let never = say(address, "GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await;
    began.notified().await;
    let mut idle = say(address, "GET /quick HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.read_u8().await.unwrap();
    let stopping = tokio::spawn(listener.stop(Duration::from_secs(5)));
    // The idle one goes at once; by then the others have heard of the stop too.
    assert!(hear(idle).await.ends_with("quick"));
    finish.notify_one();
    assert!(hear(slow).await.ends_with("finished"));
    assert_eq!(hear(never).await, "");
    stopping.await.unwrap();
}
