//! The servers of a worker. It talks to one of them; when that one does not answer, to the next, round and round.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;
use crate::transport::{Answer, Call, Transport};

/// Nobody has answered yet.
const NOBODY: usize = usize::MAX;

/// The servers of a worker, at least one.
pub(super) struct Servers {
    all: Box<[Arc<Transport>]>,
    /// The one that is talked to.
    current: AtomicUsize,
    /// The one that answered last.
    heard: AtomicUsize,
}

impl Servers {
    /// These; the first is tried first.
    pub(super) fn new(first: Arc<Transport>, others: Vec<Arc<Transport>>) -> Self {
        let all = std::iter::once(first).chain(others).collect();
        Self { all, current: AtomicUsize::new(0), heard: AtomicUsize::new(NOBODY) }
    }

    /// Where they are, separated by commas.
    pub(super) fn urls(&self) -> String {
        self.all.iter().map(|it| it.url()).collect::<Vec<_>>().join(",")
    }

    /// Makes the call at the server that is talked to; where it does not answer, the next call goes to another.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, Error> {
        let place = self.current.load(Ordering::Relaxed);
        let answer = self.all[place].send(call).await;
        match &answer {
            Err(error) if is_away(error) => self.leave(place, error),
            Ok(_) => self.stay(place),
            Err(_) => {}
        }
        answer
    }

    /// Of calls that fail at the same time the first alone goes on to the next server.
    fn leave(&self, place: usize, error: &Error) {
        let next = (place + 1) % self.all.len();
        let left = self.current.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
        if left.is_ok() && next != place {
            tracing::debug!(server = self.all[place].url(), next = self.all[next].url(), %error, "the next server is tried");
        }
    }

    /// Says which server it is, once for each change.
    fn stay(&self, place: usize) {
        // An answer that was long on its way may come from one that was left meanwhile.
        if self.current.load(Ordering::Relaxed) != place {
            return;
        }
        let server = self.all[place].url();
        match self.heard.swap(place, Ordering::Relaxed) {
            NOBODY => tracing::info!(server, "ready"),
            before if before != place => {
                tracing::warn!(server, left = self.all[before].url(), "another server is worked for");
            }
            _ => {}
        }
    }
}

/// Whether another server may do better: this one did not answer, or said that it cannot now.
fn is_away(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::OutcomeUnknown { .. } | Error::Answer(_) => true,
        Error::Refused { problem, .. } => problem.status >= 500 || matches!(problem.status, 401 | 403 | 404),
        _ => false,
    }
}
