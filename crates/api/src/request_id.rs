//! Request ids: the caller's own, or one drawn here. They stand in every answer and in the log.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;

use crate::limits::REQUEST_ID_BYTES;

/// The header, in both directions.
pub(crate) const HEADER: &str = "x-request-id";

/// Draws request ids: a start of this process's own and a running number.
#[derive(Debug)]
pub(crate) struct RequestIds {
    start: String,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that begin with the last digits of `seed`.
    pub fn new(seed: &uuid::Uuid) -> Self {
        let hex = seed.simple().to_string();
        Self { start: hex[hex.len() - 10..].to_owned(), next: AtomicU64::new(1) }
    }

    /// The id of a request with these headers.
    pub fn of(&self, headers: &HeaderMap) -> String {
        let given = headers.get(HEADER).and_then(|it| it.to_str().ok()).filter(|it| is_fit(it));
        given.map_or_else(|| self.draw(), str::to_owned)
    }

    fn draw(&self) -> String {
        format!("{}-{}", self.start, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Only what cannot break a log line or grow it without bound is taken over.
fn is_fit(id: &str) -> bool {
    (1..=REQUEST_ID_BYTES).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_graphic())
}
