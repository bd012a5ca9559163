//! One connection: HTTP/1.1 requests one after the other, until one side has had enough.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tasklane_api::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::Service;

use super::body::Paced;
use super::stall::Cutting;

/// Longest time from the end of one request (or the opening) to the whole head of the next: it cuts callers that send
/// their head by drops, and idle ones.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest request head in bytes; over it the answer is 431. The number of headers is hyper's own 100.
pub const HEAD_BYTES: usize = 32 << 10;
/// Most bytes buffered of a connection; a body flows through it in pieces.
pub const BUFFER_BYTES: usize = 128 << 10;

/// What serves connections.
#[derive(Clone)]
pub(super) struct Serving {
    router: Router,
    protocol: http1::Builder,
    stopping: watch::Receiver<()>,
}

impl Serving {
    pub(super) fn new(router: Router, stopping: watch::Receiver<()>) -> Self {
        let mut protocol = http1::Builder::new();
        protocol
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_header_size(HEAD_BYTES)
            .max_buf_size(BUFFER_BYTES)
            // A caller that closed its side is gone: its request is dropped, and what it would have got stays.
            .half_close(false);
        Self { router, protocol, stopping }
    }

    /// Serves `stream` to its end.
    pub(super) async fn connection(self, stream: impl AsyncRead + AsyncWrite + Unpin, from: Peer) {
        let Self { router, protocol, mut stopping } = self;
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request<Paced<Incoming>> = request.map(Paced::new);
            request.extensions_mut().insert(from);
            router.clone().call(request)
        });
        let mut connection = pin!(protocol.serve_connection(Cutting::new(stream), service));
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    break;
                }
                changed = stopping.changed() => {
                    match changed {
                        Ok(()) => connection.as_mut().graceful_shutdown(),
                        Err(_) => break,
                    }
                }
            }
        }
    }
}
