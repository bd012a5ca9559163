//! Keys are made, rotated, revoked, and looked up by whoever calls. Each server keeps them in memory; where others change
//! them, it notices within [`EVERY`](crate::mirror::EVERY).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::audit::{Deed, Thing};
use tasklane_core::error::StoreError;
use tasklane_core::key::{Digest, Grant, Key, KeyError, KeyId, KeyText};
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{Content, Kind, Order, Record, RecordQuery, RecordSet, SetRecord};
use tasklane_core::time::Timestamp;
use thiserror::Error;
use tokio::time::sleep;

use crate::audit::Note;
use crate::handle::Engine;
use crate::inside::{Inside, lock};
use crate::mirror::Mirror;

/// How often it is written down which keys were used.
pub(crate) const USES_EVERY: Duration = Duration::from_secs(60);
/// How often a change is tried again where somebody else changes the same key.
const TRIES: usize = 10;

/// A key as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Keyed {
    /// Which.
    pub id: KeyId,
    /// Its name.
    pub name: Arc<str>,
    /// What it is.
    pub key: Arc<Key>,
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewKey {
    /// No other one of its tenant has it.
    pub name: Box<str>,
    /// What its holder may do.
    pub grant: Grant,
}

/// Which keys a page shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyQuery {
    /// Of this tenant; `None` is all.
    pub tenant: Option<Box<str>>,
    /// Of this name; `None` is any.
    pub name: Option<Box<str>>,
    /// Those after this one.
    pub after: Option<KeyId>,
    /// At most so many.
    pub most: usize,
}

/// Why a key was not made or changed.
#[derive(Debug, Error)]
pub enum KeyCallError {
    /// There is none of that id.
    #[error("there is no such key")]
    NotFound,
    /// Another one of the tenant has its name.
    #[error("another key has this name")]
    NameTaken,
    /// It was revoked, so nothing more can be done with it.
    #[error("this key was revoked")]
    Revoked,
    /// It was not revoked, and only such a key is removed.
    #[error("this key was not revoked")]
    NotRevoked,
    /// It was changed again and again meanwhile.
    #[error("somebody else changes this key all the while; try again")]
    Busy,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Every key, as this server knows them: one that cannot be read opens nothing, and keeps the door closed all the same.
pub(crate) struct KeyRing {
    pub mirror: Mirror<Keyed>,
    /// Those that were used since it was last written down, and when.
    used: Mutex<HashMap<KeyId, Timestamp>>,
}

impl Default for KeyRing {
    fn default() -> Self {
        Self { mirror: Mirror::new(Kind::Key, keyed), used: Mutex::default() }
    }
}

impl KeyRing {
    fn find(&self, id: KeyId) -> Option<Keyed> {
        self.mirror.seen().all.get(&id.0).cloned()
    }
}

impl Engine {
    /// Reads every key; nobody may call before.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn load_keys(&self) -> Result<(), StoreError> {
        let inside = self.inside();
        inside.keys.mirror.load(&inside.store).await
    }

    /// Whether there is any key, revoked ones too: a server that was closed once does not open by itself.
    pub fn has_keys(&self) -> bool {
        self.inside().keys.mirror.seen().count > 0
    }

    /// Whether some other key than this opens everything for everybody, and for good.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn has_master_beside(&self, id: KeyId) -> Result<bool, StoreError> {
        self.load_keys().await?;
        Ok(self.inside().keys.mirror.seen().all.values().any(|it| it.id != id && it.key.is_master()))
    }

    /// The key of a text that somebody sent; its use is noted.
    ///
    /// # Errors
    /// Why it opens nothing.
    pub fn holder(&self, text: &KeyText) -> Result<Keyed, KeyError> {
        let (inside, now) = (self.inside(), self.now());
        let found = inside.keys.find(text.id).ok_or(KeyError::Unknown)?;
        found.key.opens(&text.digest, now)?;
        lock(&inside.keys.used).insert(text.id, now);
        Ok(found)
    }

    /// Ends when the key of this text opens nothing any more.
    pub async fn key_ended(&self, text: &KeyText) {
        let mut turned = self.inside().keys.mirror.turned();
        loop {
            let Some(found) = self.inside().keys.find(text.id) else { return };
            let now = self.now();
            if found.key.opens(&text.digest, now).is_err() {
                return;
            }
            let secrets = found.key.secrets.iter().filter(|it| it.digest == text.digest).filter_map(|it| it.until);
            let ends = secrets.chain(found.key.grant.expires_at).min();
            let until = ends.map_or(USES_EVERY, |it| it.since(now).min(USES_EVERY));
            tokio::select! {
                _ = turned.changed() => {}
                () = sleep(until) => {}
            }
        }
    }

    /// Makes a key. The text is its secret: to be shown once, and kept by nobody here.
    ///
    /// # Errors
    /// [`KeyCallError::NameTaken`], or the store did not answer.
    pub async fn make_key(&self, new: NewKey) -> Result<(Keyed, String), KeyCallError> {
        let (id, now) = (KeyId(self.draw_id().0), self.now());
        let text = self.draw_secret(id);
        let key = Key::new(new.grant, Digest::of(&text), now);
        let note = self.note_of_key(&new.name, Deed::KeyMade, None, Some(&key));
        self.set_key(id, None, Some(content(&new.name, &key)), note).await?;
        Ok((Keyed { id, name: new.name.into(), key: Arc::new(key) }, text))
    }

    /// A page of keys, in the order of their ids.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn keys(&self, query: KeyQuery) -> Result<Vec<Keyed>, StoreError> {
        let KeyQuery { tenant, name, after, most } = query;
        let query =
            RecordQuery { kind: Kind::Key, tenant, name, order: Order::Oldest, after: after.map(|it| it.0), most };
        self.readable(query, keyed).await
    }

    /// A key; `None`: there is none of that id.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn key(&self, id: KeyId) -> Result<Option<Keyed>, StoreError> {
        Ok(self.inside().store.records().one(Kind::Key, id.0).await?.as_ref().and_then(keyed))
    }

    /// Gives a key a new secret, which is answered as text; the one before opens for `overlap` more.
    ///
    /// # Errors
    /// [`KeyCallError`].
    pub async fn rotate_key(&self, id: KeyId, overlap: Duration) -> Result<(Keyed, String), KeyCallError> {
        let text = self.draw_secret(id);
        let rotate = |key: Key, now| match key.revoked_at {
            Some(_) => Err(KeyCallError::Revoked),
            None => Ok(Some(key.rotated(Digest::of(&text), overlap, now))),
        };
        let rotated = self.alter_key(id, Deed::KeyRotated, rotate).await?;
        Ok((rotated, text))
    }

    /// Has a key open nothing any more: here at once, on other servers within [`EVERY`](crate::mirror::EVERY).
    ///
    /// # Errors
    /// [`KeyCallError`].
    pub async fn revoke_key(&self, id: KeyId) -> Result<Keyed, KeyCallError> {
        self.alter_key(id, Deed::KeyRevoked, |key, now| Ok(Some(key.revoked(now)))).await
    }

    /// Removes a key that was revoked; answers with what it was.
    ///
    /// # Errors
    /// [`KeyCallError`].
    pub async fn remove_key(&self, id: KeyId) -> Result<Keyed, KeyCallError> {
        self.alter_key(id, Deed::KeyRemoved, |key, _| {
            if key.revoked_at.is_some() { Ok(None) } else { Err(KeyCallError::NotRevoked) }
        })
        .await
    }

    fn draw_secret(&self, id: KeyId) -> String {
        let mut secret = [0; 32];
        (self.inside().options.randomness)(&mut secret);
        KeyText::write(id, &secret)
    }

    /// Makes a key what `change` makes of it, or removes it; answers with what it is now, or was.
    async fn alter_key(
        &self,
        id: KeyId,
        deed: Deed,
        change: impl Fn(Key, Timestamp) -> Result<Option<Key>, KeyCallError>,
    ) -> Result<Keyed, KeyCallError> {
        for _ in 0..TRIES {
            let record = self.inside().store.records().one(Kind::Key, id.0).await?;
            let Some((record, was)) = record.as_ref().and_then(|it| Some((it, keyed(it)?))) else {
                return Err(KeyCallError::NotFound);
            };
            let changed = change((*was.key).clone(), self.now())?;
            let to = changed.as_ref().map(|it| content(&was.name, it));
            let note = self.note_of_key(&was.name, deed, Some(&was.key), changed.as_ref());
            match self.set_key(id, Some(record.version), to, note).await {
                Err(KeyCallError::Busy) => {}
                done => return done.map(|()| Keyed { key: changed.map_or(was.key, Arc::new), ..was }),
            }
        }
        Err(KeyCallError::Busy)
    }

    fn note_of_key(&self, name: &str, deed: Deed, was: Option<&Key>, is: Option<&Key>) -> Option<Box<SetRecord>> {
        let tenant = was.or(is).and_then(|it| it.grant.tenant.as_deref()).unwrap_or_default();
        let [before, after] = [was, is].map(|it| it.map(|it| Thing::Key(it.grant.clone())));
        self.noted(Note { deed, what: name, tenant, before, after })
    }

    /// Busy: somebody else changed it.
    async fn set_key(
        &self,
        id: KeyId,
        seen: Option<u64>,
        to: Option<Content>,
        also: Option<Box<SetRecord>>,
    ) -> Result<(), KeyCallError> {
        let set = SetRecord { also, ..SetRecord::new(Kind::Key, id.0, seen, to) };
        let inside = self.inside();
        // As one: whoever asked may be gone before the ring knows of it.
        let written = tokio::spawn(async move {
            let answers = inside.commit(Batch { record: vec![set], ..Batch::default() }).await?.answers;
            match answers.record.first() {
                Some(RecordSet::Held(_)) => Ok(inside.keys.mirror.load(&inside.store).await?),
                Some(RecordSet::NameTaken) => Err(KeyCallError::NameTaken),
                Some(RecordSet::Changed) | None => Err(KeyCallError::Busy),
            }
        });
        written.await.unwrap_or(Err(KeyCallError::Busy))
    }
}

/// Writes down which keys were used.
pub(crate) async fn note_used(inside: Arc<Inside>) {
    if let Err(error) = note_uses(&inside).await {
        tracing::debug!(%error, "it was not written down which keys were used");
    }
}

async fn note_uses(inside: &Arc<Inside>) -> Result<(), StoreError> {
    let used = std::mem::take(&mut *lock(&inside.keys.used));
    let mut record = Vec::new();
    for (id, at) in used {
        let Some(there) = inside.store.records().one(Kind::Key, id.0).await? else { continue };
        let noted = keyed(&there).and_then(|it| Some(content(&it.name, &(*it.key).clone().used(at)?)));
        record.extend(noted.map(|to| SetRecord::new(Kind::Key, id.0, Some(there.version), Some(to))));
    }
    if !record.is_empty() {
        inside.commit(Batch { record, ..Batch::default() }).await?;
    }
    Ok(())
}

fn content(name: &str, key: &Key) -> Content {
    let body = serde_json::to_string(key).expect("names, numbers and digests are JSON");
    let tenant = key.grant.tenant.clone().unwrap_or_default();
    Content { tenant, name: Some(name.into()), due: None, body: body.into() }
}

fn keyed(record: &Record) -> Option<Keyed> {
    let name = record.content.name.as_deref().unwrap_or_default().into();
    let key = serde_json::from_str(&record.content.body).ok()?;
    Some(Keyed { id: KeyId(record.id), name, key: Arc::new(key) })
}
