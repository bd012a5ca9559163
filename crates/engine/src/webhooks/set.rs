//! Endpoints are set up, changed, enabled, disabled and removed.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::audit::{Deed, Thing};
use tasklane_core::error::StoreError;
use tasklane_core::gate::{SetBy, SetGate};
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{Content, Kind, Order as PageOrder, RecordQuery, RecordSet, SetRecord};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::endpoint::{Endpoint, EndpointId, Heard, Order, WhyDisabled};
use tasklane_core::webhook::secret::Secret;
use tasklane_core::webhook::timetable;

use super::endpoints::hook;
use super::{EndpointQuery, Hook, NewEndpoint, WebhookError};
use crate::audit::Note;
use crate::handle::Engine;

/// What an endpoint was, and is if it was not removed.
struct Altered {
    was: Arc<Endpoint>,
    is: Option<Arc<Endpoint>>,
}

/// What an endpoint becomes.
enum Next {
    /// What it is; nothing is written.
    Same,
    /// This, and its gate what follows from it, whatever was said of that before.
    Is(Arc<Endpoint>),
    /// Removed.
    Gone,
}

/// How often a change is tried again where somebody else changes the same endpoint.
const TRIES: usize = 10;

impl Engine {
    /// Sets an endpoint up. Here it is told of events from then on, by other servers within a second.
    ///
    /// # Errors
    /// [`WebhookError::TooMany`], or the store did not answer.
    pub async fn make_endpoint(&self, new: NewEndpoint) -> Result<(Hook, Secret), WebhookError> {
        let inside = self.inside();
        inside.endpoints.told(&inside.store).await?;
        let seen = inside.endpoints.mirror.seen();
        if seen.count >= limit::ENDPOINTS {
            return Err(WebhookError::TooMany(limit::ENDPOINTS));
        }
        if seen.all.values().filter(|it| it.tenant == new.tenant).count() >= limit::ENDPOINTS_OF_ONE {
            return Err(WebhookError::TooManyOfOne(limit::ENDPOINTS_OF_ONE));
        }
        let (id, secret) = (EndpointId(self.draw_id().0), new.secret.unwrap_or_else(|| self.draw_signing_secret()));
        let endpoint = Endpoint::new(new.tenant, new.order, secret.clone(), self.now());
        self.set_endpoint(id, None, (Deed::EndpointMade, None, Some(&endpoint))).await?;
        Ok((Hook { id, endpoint: Arc::new(endpoint) }, secret))
    }

    /// A page of endpoints, in the order of their ids.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn endpoints(&self, query: EndpointQuery) -> Result<Vec<Hook>, StoreError> {
        let EndpointQuery { tenant, after, most } = query;
        let (kind, name, order) = (Kind::Endpoint, None, PageOrder::Oldest);
        self.readable(RecordQuery { kind, tenant, name, order, after, most }, hook).await
    }

    /// An endpoint; `None`: there is none of that id.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn endpoint(&self, id: EndpointId) -> Result<Option<Hook>, StoreError> {
        Ok(self.inside().store.records().one(Kind::Endpoint, id.0).await?.as_ref().and_then(hook))
    }

    /// Asks of an endpoint what `change` makes of what was asked; deliveries that are under way are sent as they were made.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn change_endpoint(
        &self,
        id: EndpointId,
        change: impl Fn(&Order) -> Order,
    ) -> Result<Hook, WebhookError> {
        self.alter_endpoint(id, Deed::EndpointChanged, |it, _| {
            let order = change(&it.order);
            Next::Is(Arc::new(it.with(order)))
        })
        .await
    }

    /// Has what waits for an endpoint sent, and what happens from now on.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn enable_endpoint(&self, id: EndpointId) -> Result<Hook, WebhookError> {
        self.alter_endpoint(id, Deed::EndpointChanged, |it, _| Next::Is(Arc::new(it.enabled()))).await
    }

    /// Has nothing sent to an endpoint; what waits is kept.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn disable_endpoint(&self, id: EndpointId) -> Result<Hook, WebhookError> {
        self.alter_endpoint(id, Deed::EndpointDisabled, |it, now| {
            Next::Is(Arc::new(it.disabled(WhyDisabled::ByHand, now)))
        })
        .await
    }

    /// Gives an endpoint a new secret; the one before signs beside it for `overlap` more.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn rotate_endpoint(&self, id: EndpointId, overlap: Duration) -> Result<(Hook, Secret), WebhookError> {
        let secret = self.draw_signing_secret();
        let rotate = |it: Endpoint, now| Next::Is(Arc::new(it.rotated(secret.clone(), overlap, now)));
        let rotated = self.alter_endpoint(id, Deed::EndpointRotated, rotate).await?;
        Ok((rotated, secret))
    }

    /// Removes an endpoint: what waits for it fails. Answers with what it was.
    ///
    /// # Errors
    /// [`WebhookError`].
    pub async fn remove_endpoint(&self, id: EndpointId) -> Result<Hook, WebhookError> {
        self.alter_endpoint(id, Deed::EndpointRemoved, |_, _| Next::Gone).await
    }

    /// An endpoint took a delivery like this.
    pub(super) async fn fare(&self, id: EndpointId, heard: Heard, patience: Duration) -> Result<(), WebhookError> {
        let fares = |it: Endpoint, now| it.after(heard, patience, now).map_or(Next::Same, |it| Next::Is(Arc::new(it)));
        let Altered { was, is } = self.try_alter(id, Deed::EndpointDisabled, fares).await?;
        if let (None, Some((_, why))) = (was.disabled, is.and_then(|it| it.disabled)) {
            // Its URL may hold a secret.
            let (why, days) = (why.as_str(), timetable::KEPT.as_secs() / (24 * 3600));
            tracing::warn!(webhook = %id.0, why, days, "a webhook was disabled; what waits is kept so many days after its event");
        }
        Ok(())
    }

    fn draw_signing_secret(&self) -> Secret {
        let mut bytes = [0; 32];
        (self.inside().options.randomness)(&mut bytes);
        Secret::of(&bytes).expect("32 bytes are neither too few nor too many")
    }

    /// Makes an endpoint what `change` makes of it, or removes it; answers with what it is now, or was.
    async fn alter_endpoint(
        &self,
        id: EndpointId,
        deed: Deed,
        change: impl Fn(Endpoint, Timestamp) -> Next,
    ) -> Result<Hook, WebhookError> {
        let Altered { was, is } = self.try_alter(id, deed, change).await?;
        Ok(Hook { id, endpoint: is.unwrap_or(was) })
    }

    async fn try_alter(
        &self,
        id: EndpointId,
        deed: Deed,
        change: impl Fn(Endpoint, Timestamp) -> Next,
    ) -> Result<Altered, WebhookError> {
        for _ in 0..TRIES {
            let record = self.inside().store.records().one(Kind::Endpoint, id.0).await?;
            let Some((record, was)) = record.as_ref().and_then(|it| Some((it, hook(it)?))) else {
                return Err(WebhookError::NotFound);
            };
            let was = was.endpoint;
            let is = match change((*was).clone(), self.now()) {
                Next::Same => return Ok(Altered { is: Some(Arc::clone(&was)), was }),
                Next::Is(is) => Some(is),
                Next::Gone => None,
            };
            match self.set_endpoint(id, Some(record.version), (deed, Some(&was), is.as_deref())).await {
                Err(WebhookError::Busy) => {}
                done => return done.map(|()| Altered { was, is }),
            }
        }
        Err(WebhookError::Busy)
    }

    /// Busy: somebody else changed it. The gate of its deliveries follows where the change holds.
    async fn set_endpoint(
        &self,
        id: EndpointId,
        seen: Option<u64>,
        (deed, was, is): (Deed, Option<&Endpoint>, Option<&Endpoint>),
    ) -> Result<(), WebhookError> {
        let Some(known) = is.or(was) else { return Ok(()) };
        let inside = self.inside();
        let mut set = SetRecord::new(Kind::Endpoint, id.0, seen, is.map(content));
        set.also = self.note_of_endpoint(id, deed, was, is);
        if let (Some((at, why)), None) = (is.and_then(|it| it.disabled), was.and_then(|it| it.disabled)) {
            let told = inside.endpoints.told(&inside.store).await?;
            set.then = told.map_or_else(Vec::new, |it| it.disabled(id, known, why, (at, || self.draw_id())));
        }
        set.gate = Some(SetGate { name: known.gate(id), by: SetBy::Config, bounds: is.map(Endpoint::bounds) });
        let batch = Batch { record: vec![set], ..Batch::default() };
        // As one: whoever asked may be gone before memory knows of it.
        let written = tokio::spawn(async move {
            let answers = inside.commit(batch).await?.answers;
            match answers.record.first() {
                Some(RecordSet::Held(_)) => Ok(inside.endpoints.load(&inside.store).await?),
                _ => Err(WebhookError::Busy),
            }
        });
        written.await.unwrap_or(Err(WebhookError::Busy))
    }

    /// How an endpoint fares is no deed of anybody's, unless it is disabled for it.
    fn note_of_endpoint(
        &self,
        id: EndpointId,
        deed: Deed,
        was: Option<&Endpoint>,
        is: Option<&Endpoint>,
    ) -> Option<Box<SetRecord>> {
        let is_disabled = |it: Option<&Endpoint>| it.is_some_and(|it| it.disabled.is_some());
        if was == is || (deed == Deed::EndpointDisabled && is_disabled(was) == is_disabled(is)) {
            return None;
        }
        let tenant = is.or(was).and_then(|it| it.tenant.as_deref()).unwrap_or_default();
        let [before, after] = [was, is].map(|it| it.map(Thing::endpoint));
        self.noted(Note { deed, what: &id.0.to_string(), tenant, before, after })
    }
}

fn content(endpoint: &Endpoint) -> Content {
    let body = serde_json::to_string(endpoint).expect("names, texts and numbers are JSON");
    Content { tenant: endpoint.tenant.clone().unwrap_or_default(), name: None, due: None, body: body.into() }
}
