//! Lease requests known by a name the worker gave them: asked again within the lease time, the same unreported tasks are
//! the answer, so that a worker whose answer was lost on the way need not wait for its own leases to run out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::lease::Leased;
use tokio::time::Instant;

use crate::inside::lock;

pub(crate) struct Requests {
    most: usize,
    known: Mutex<HashMap<Name, Given>>,
}

/// Worker and request.
type Name = (Arc<str>, Box<str>);

struct Given {
    tasks: Vec<Leased>,
    until: Instant,
}

impl Requests {
    pub fn new(most: usize) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// What this request got before.
    pub fn given(&self, worker: &Arc<str>, request: &str, now: Instant) -> Vec<Leased> {
        let key = (Arc::clone(worker), Box::from(request));
        lock(&self.known).get(&key).filter(|it| it.until > now).map(|it| it.tasks.clone()).unwrap_or_default()
    }

    /// Remembers what it got for as long as the lease lasts; over the limit it is not remembered, which costs a worker
    /// whose answer is lost the time of a lease.
    pub fn remember(&self, worker: &Arc<str>, request: &str, tasks: &[Leased], length: Duration) {
        let mut known = lock(&self.known);
        if known.len() < self.most {
            let given = Given { tasks: tasks.to_vec(), until: Instant::now() + length };
            known.insert((Arc::clone(worker), request.into()), given);
        }
    }

    pub fn forget_old(&self, now: Instant) {
        lock(&self.known).retain(|_, given| given.until > now);
    }
}
