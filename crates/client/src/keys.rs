//! Keys: who may call.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use tasklane_core::key::{KeyId, Scope};
use tasklane_wire::gate::RateShape;
use tasklane_wire::key::KeyShape;
use tasklane_wire::overview::LaneShape;
use tasklane_wire::task::Page;
use tasklane_wire::{duration, time};

use crate::client::Client;
use crate::error::Error;
use crate::new_task::timestamp;
use crate::transport::{Call, segment};

/// A key to be made.
#[derive(Debug, Clone, Serialize)]
#[must_use = "a key is nothing until it is made"]
pub struct NewKey {
    name: String,
    scopes: Vec<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lanes: Vec<LaneShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<RateShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl NewKey {
    /// A key of this name whose holder may do this. From a server's first key on every call needs one, so the first must have
    /// [`Scope::Admin`] and no tenant.
    pub fn new(name: impl Into<String>, scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self {
            name: name.into(),
            scopes: scopes.into_iter().collect(),
            tenant: None,
            user: None,
            app: None,
            lanes: Vec::new(),
            rate: None,
            expires_at: None,
        }
    }

    /// For whom: its holder sees and touches nothing else.
    pub fn tenant(self, tenant: impl Into<String>) -> Self {
        Self { tenant: Some(tenant.into()), ..self }
    }

    /// A person it is given to, for whoever reads the list.
    pub fn user(self, user: impl Into<String>) -> Self {
        Self { user: Some(user.into()), ..self }
    }

    /// A program it is given to, for whoever reads the list.
    pub fn app(self, app: impl Into<String>) -> Self {
        Self { app: Some(app.into()), ..self }
    }

    /// Work is leased of this lane, and of others that are named so; `*` is every queue, or every type.
    pub fn lane(mut self, queue: impl Into<String>, types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.lanes.push(LaneShape { queue: queue.into(), types: types.into_iter().map(Into::into).collect() });
        self
    }

    /// How often it may call.
    pub fn rate(self, count: u32, per: Duration) -> Self {
        Self { rate: Some(RateShape { count, per }), ..self }
    }

    /// It opens nothing from then on.
    pub fn expires_at(self, at: SystemTime) -> Self {
        Self { expires_at: Some(time::format(timestamp(at))), ..self }
    }
}

impl Client {
    /// Makes a key. Its secret is in the answer (`key`), this once.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `name_taken`, `last_master_key` for a first key that does not open everything, `forbidden`
    /// for one that would grant more than the key this client has.
    pub async fn make_key(&self, new: &NewKey) -> Result<KeyShape, Error> {
        let body = serde_json::to_vec(new).map_err(|error| Error::Invalid(error.to_string()))?;
        self.transport.send(Call::post("/v1/keys", body)).await?.json()
    }

    /// Every key, in the order in which they were made, without their secrets.
    ///
    /// # Errors
    /// As the server says.
    pub async fn keys(&self) -> Result<Vec<KeyShape>, Error> {
        let mut page: Page<KeyShape> = self.get("/v1/keys".into()).await?;
        let mut keys = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.get(format!("/v1/keys?cursor={}", segment(&cursor))).await?;
            keys.append(&mut page.items);
        }
        Ok(keys)
    }

    /// Gives a key a new secret, which is in the answer; the one before opens for `overlap` more.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `key_not_found` or `key_revoked`.
    pub async fn rotate_key(&self, id: KeyId, overlap: Duration) -> Result<KeyShape, Error> {
        let body = format!("{{\"overlap\":\"{}\"}}", duration::format(overlap));
        self.transport.send(Call::post(path(id, ":rotate"), body)).await?.json()
    }

    /// Has a key open nothing any more, on every server within a second.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `key_not_found`, or `last_master_key` where nothing else opens everything.
    pub async fn revoke_key(&self, id: KeyId) -> Result<KeyShape, Error> {
        self.transport.send(Call::act(path(id, ":revoke"))).await?.json()
    }

    /// Forgets a key that was revoked; the answer is what it was.
    ///
    /// # Errors
    /// [`Error::Refused`] with code `key_not_found` or `key_in_use`.
    pub async fn remove_key(&self, id: KeyId) -> Result<KeyShape, Error> {
        self.transport.send(Call::delete(path(id, ""))).await?.json()
    }
}

fn path(id: KeyId, rest: &str) -> String {
    format!("/v1/keys/{}{rest}", id.0)
}
