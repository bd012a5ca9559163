//! What this server knows of all records of a kind. Where another server changes one, it is noticed within [`EVERY`].

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::limit;
use tasklane_core::ports::store::SharedStore;
use tasklane_core::record::{Kind, Order, Record, RecordQuery};
use tokio::sync::watch;
use tokio::time::sleep;
use uuid::Uuid;

use crate::inside::Inside;

/// How soon a change holds here that another server made, or that could not be read at once: twice within the second that is
/// promised.
pub const EVERY: Duration = Duration::from_millis(400);

/// All records of a kind, as they were read last.
pub(crate) struct Mirror<T> {
    kind: Kind,
    read: fn(&Record) -> Option<T>,
    seen: RwLock<Arc<Seen<T>>>,
    turned: watch::Sender<()>,
    /// Held while they are read, so that what was read later is not overtaken.
    reading: tokio::sync::Mutex<()>,
}

/// What was read.
pub(crate) struct Seen<T> {
    version: u64,
    /// How many there are, those that cannot be read too.
    pub count: usize,
    /// Those that can be.
    pub all: HashMap<Uuid, T>,
}

impl<T> Mirror<T> {
    /// One that shows nothing yet.
    pub fn new(kind: Kind, read: fn(&Record) -> Option<T>) -> Self {
        let seen = Seen { version: 0, count: 0, all: HashMap::new() };
        let (turned, reading) = (watch::Sender::default(), tokio::sync::Mutex::default());
        Self { kind, read, seen: RwLock::new(Arc::new(seen)), turned, reading }
    }

    /// What was read last.
    pub fn seen(&self) -> Arc<Seen<T>> {
        Arc::clone(&self.seen.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells whenever something else is read.
    pub fn turned(&self) -> watch::Receiver<()> {
        self.turned.subscribe()
    }

    /// Reads all of them.
    pub async fn load(&self, store: &SharedStore) -> Result<(), StoreError> {
        let _reading = self.reading.lock().await;
        // What is changed while it is read has a later number, and is read again.
        let version = store.records().version(self.kind).await?;
        let (mut all, mut count, mut after) = (HashMap::new(), 0, None);
        loop {
            let (kind, tenant, name, order, most) = (self.kind, None, None, Order::Oldest, limit::PAGE_ITEMS);
            let page = store.records().page(RecordQuery { kind, tenant, name, order, after, most }).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            count += page.len();
            for record in &page {
                match (self.read)(record) {
                    Some(it) => drop(all.insert(record.id, it)),
                    None => {
                        tracing::error!(id = %record.id, kind = ?self.kind, "a record cannot be read: it is as if it were not there")
                    }
                }
            }
        }
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Seen { version, count, all });
        self.turned.send_replace(());
        Ok(())
    }

    /// Reads them where they changed.
    async fn look(&self, store: &SharedStore) -> Result<bool, StoreError> {
        let version = store.records().version(self.kind).await?;
        if version == self.seen().version {
            return Ok(false);
        }
        self.load(store).await.map(|()| true)
    }
}

/// Looks at what other servers change, until the engine stops.
pub(crate) async fn run(inside: Arc<Inside>) {
    while !inside.stopped.load(Ordering::Acquire) {
        tokio::select! {
            biased;
            () = inside.stopping.notified() => return,
            () = sleep(EVERY) => {}
        }
        let keys = inside.keys.mirror.look(&inside.store).await.map(drop);
        let endpoints = match inside.endpoints.mirror.look(&inside.store).await {
            Ok(true) => {
                inside.endpoints.subscribe();
                Ok(())
            }
            done => done.map(drop),
        };
        // While the store is away nothing can be done with a key that was revoked meanwhile.
        if let Err(error) = keys.and(endpoints) {
            tracing::debug!(%error, "keys and endpoints were not looked at");
        }
    }
}
