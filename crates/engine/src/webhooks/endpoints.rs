//! The endpoints that this server knows: who is told of what it commits, and what the sink asks.

use std::sync::{Arc, PoisonError, RwLock};

use tasklane_core::audit::Actor;
use tasklane_core::error::StoreError;
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::endpoints;
use tasklane_core::ports::store::SharedStore;
use tasklane_core::record::{Kind, Record};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::endpoint::{Endpoint, EndpointId, Heard};
use tasklane_core::webhook::outbox::Subscriptions;
use tokio::sync::OnceCell;

use super::Hook;
use crate::handle::Engine;
use crate::mirror::Mirror;

/// All of them, and those that are told.
pub(crate) struct Endpoints {
    pub mirror: Mirror<Arc<Endpoint>>,
    subscriptions: RwLock<Option<Arc<Subscriptions>>>,
    read: OnceCell<()>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self { mirror: Mirror::new(Kind::Endpoint, read), subscriptions: RwLock::default(), read: OnceCell::new() }
    }
}

impl Endpoints {
    /// Who is told of a commit. Nothing is committed before they were read once: nobody would ever be told of it.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn told(&self, store: &SharedStore) -> Result<Option<Arc<Subscriptions>>, StoreError> {
        self.read.get_or_try_init(|| self.load(store)).await?;
        Ok(self.subscriptions())
    }

    /// Who is told of what is committed from now on.
    pub fn subscriptions(&self) -> Option<Arc<Subscriptions>> {
        self.subscriptions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was read last is told from now on.
    pub fn subscribe(&self) {
        // Looked at under the lock, so that what was read later is not overtaken.
        let mut subscriptions = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        let seen = self.mirror.seen();
        let all = seen.all.iter().map(|(id, it)| (EndpointId(*id), Arc::clone(it)));
        *subscriptions = Subscriptions::of(all);
    }

    pub async fn load(&self, store: &SharedStore) -> Result<(), StoreError> {
        self.mirror.load(store).await?;
        self.subscribe();
        Ok(())
    }
}

/// What the sink of webhooks asks of the engine.
struct Known(Engine);

impl Engine {
    /// What the sink of webhooks asks and tells.
    pub fn endpoint_port(&self) -> Arc<dyn endpoints::Endpoints> {
        Arc::new(Known(self.by(Actor::named(Actor::SYSTEM))))
    }
}

impl endpoints::Endpoints for Known {
    fn endpoint(&self, id: EndpointId) -> Option<Arc<Endpoint>> {
        self.0.inside().endpoints.mirror.seen().all.get(&id.0).cloned()
    }

    fn heard(&self, id: EndpointId, heard: Heard) -> BoxFuture<'static, ()> {
        let (engine, patience) = (self.0.clone(), self.0.inside().options.endpoint_patience);
        // Mostly nothing changes, and memory tells.
        let changes = self.endpoint(id).is_some_and(|it| it.after(heard, patience, engine.now()).is_some());
        Box::pin(async move {
            if changes && let Err(error) = engine.fare(id, heard, patience).await {
                // The next delivery tells it again.
                tracing::debug!(webhook = %id.0, %error, "it was not written down how an endpoint fares");
            }
        })
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

pub(super) fn read(record: &Record) -> Option<Arc<Endpoint>> {
    serde_json::from_str(&record.content.body).ok().map(Arc::new)
}

pub(super) fn hook(record: &Record) -> Option<Hook> {
    Some(Hook { id: EndpointId(record.id), endpoint: read(record)? })
}
