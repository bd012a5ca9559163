//! The servers of a worker. It talks to one of them; when that one does not answer, to the next, round and round. Each worker
//! has an order of its own, so that many that were given the same list spread, also when one of the servers goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tasklane_core::lease::mix;
use tokio::sync::watch;

use crate::error::Error;
use crate::transport::{Answer, Call, Transport};

/// Nobody has answered yet.
const NOBODY: usize = usize::MAX;

/// The servers of a worker, at least one.
pub(super) struct Servers {
    all: Box<[Arc<Transport>]>,
    /// The one that is talked to.
    current: watch::Sender<usize>,
    /// The one that answered last.
    heard: AtomicUsize,
}

impl Servers {
    /// These, in the order that `seed`, 64 random bits, makes of them.
    pub(super) fn new(first: Arc<Transport>, others: Vec<Arc<Transport>>, seed: u64) -> Self {
        let mut all: Box<[_]> = std::iter::once(first).chain(others).collect();
        for last in (1..all.len()).rev() {
            all.swap(last, (mix(seed, last as u64) % (last as u64 + 1)) as usize);
        }
        Self { all, current: watch::Sender::new(0), heard: AtomicUsize::new(NOBODY) }
    }

    /// Where they are, separated by commas.
    pub(super) fn urls(&self) -> String {
        self.all.iter().map(|it| it.url()).collect::<Vec<_>>().join(",")
    }

    /// Makes the call at the server that is talked to; where it does not answer, the next call goes to another. One that waits
    /// is given up when its server is left meanwhile: nobody would hear what another server has to say.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, Error> {
        let mut current = self.current.subscribe();
        let place = *current.borrow_and_update();
        let waits = call.waits();
        let answer = tokio::select! {
            biased;
            answer = self.all[place].send(call) => answer,
            _ = current.wait_for(|now| *now != place), if waits => Err(left()),
        };
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
        let left = self.current.send_if_modified(|current| {
            let leaves = *current == place && next != place;
            *current = if leaves { next } else { *current };
            leaves
        });
        if left {
            tracing::debug!(server = self.all[place].url(), next = self.all[next].url(), %error, "the next server is tried");
        }
    }

    /// Says which server it is, once for each change.
    fn stay(&self, place: usize) {
        // An answer that was long on its way may come from one that was left meanwhile.
        if *self.current.borrow() != place {
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

fn left() -> Error {
    Error::OutcomeUnknown { cause: "its server was left for another".into() }
}

/// Whether another server may do better: this one did not answer, or said that it cannot now.
fn is_away(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::OutcomeUnknown { .. } | Error::Answer(_) => true,
        Error::Refused { problem, .. } => problem.status >= 500 || matches!(problem.status, 401 | 403 | 404),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::client::Client;

    #[test]
    fn workers_of_the_same_list_begin_with_each_server_and_go_on_to_each() {
        let servers = ["http://a", "http://b", "http://c"].map(|url| Client::builder().url(url).build().unwrap());
        let [first, others @ ..] = servers.map(|it| it.transport);
        let order = |seed| Servers::new(Arc::clone(&first), others.to_vec(), seed).urls();
        let orders: Vec<_> = (0..600).map(|seed| order(mix(7, seed))).collect();
        for a in
            ["http://a,http://b", "http://a,http://c", "http://b,http://a", "http://b,http://c", "http://c,http://a"]
        {
            let count = orders.iter().filter(|it| it.starts_with(a)).count();
            assert!((60..140).contains(&count), "{a}: {count}");
        }
    }
}
