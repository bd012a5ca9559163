//! The audit log is written beside what it tells of, and read back, newest first.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::audit::{Deed, Entry, Thing};
use tasklane_core::error::StoreError;
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{Content, Kind, Order, RecordQuery, SetRecord};
use uuid::Uuid;

use crate::handle::Engine;
use crate::inside::Inside;

/// How often it is looked for lines that were kept long enough.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// What is to be noted of a change.
pub(crate) struct Note<'n> {
    /// What was done.
    pub deed: Deed,
    /// To what.
    pub what: &'n str,
    /// Whose that is.
    pub tenant: &'n str,
    /// What it was.
    pub before: Option<Thing>,
    /// What it became.
    pub after: Option<Thing>,
}

/// Which lines a page shows, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of this tenant's things; `None` is all.
    pub tenant: Option<Box<str>>,
    /// Those older than this one.
    pub after: Option<Uuid>,
    /// At most so many.
    pub most: usize,
}

impl Engine {
    /// Notes that a call was refused for its key.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn note_refusal(&self, code: &str, route: &str, tenant: &str) -> Result<(), StoreError> {
        let after = Some(Thing::Refusal(code.into()));
        let note = Note { deed: Deed::AccessRefused, what: route, tenant, before: None, after };
        let record = self.noted(note).map(|it| *it).into_iter().collect();
        self.inside().commit(Batch { record, ..Batch::default() }).await.map(drop)
    }

    /// A page of the audit log, newest first; each line with its id.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn audit(&self, query: AuditQuery) -> Result<Vec<(Uuid, Entry)>, StoreError> {
        let AuditQuery { tenant, after, most } = query;
        let query = RecordQuery { kind: Kind::Audit, tenant, name: None, order: Order::Newest, after, most };
        self.readable(query, |it| Some((it.id, serde_json::from_str(&it.content.body).ok()?))).await
    }

    /// The line that is written with a change; none where nobody is known to make it.
    pub(crate) fn noted(&self, note: Note<'_>) -> Option<Box<SetRecord>> {
        let by = (**self.actor()?).clone();
        let Note { deed, what, tenant, before, after } = note;
        let entry = Entry { at: self.now(), by, deed, what: what.into(), before, after };
        let body = serde_json::to_string(&entry).expect("names, texts and numbers are JSON");
        let content = Content { tenant: tenant.into(), name: None, due: None, body: body.into() };
        Some(Box::new(SetRecord::new(Kind::Audit, self.draw_id().0, None, Some(content))))
    }
}

/// Removes lines that were kept long enough.
pub(crate) async fn sweep(inside: Arc<Inside>) {
    loop {
        let query = RecordQuery {
            kind: Kind::Audit,
            tenant: None,
            name: None,
            order: Order::Oldest,
            after: None,
            most: limit::PAGE_ITEMS,
        };
        let Ok(page) = inside.store.records().page(query).await else { return };
        let before = inside.store.now().minus(limit::AUDIT_KEPT);
        // Their ids begin with the moment, in milliseconds.
        let is_old =
            |id: Uuid| i64::try_from(id.as_u128() >> 80).is_ok_and(|millis| millis * 1000 < before.as_micros());
        let old = page.into_iter().filter(|it| is_old(it.id));
        let record: Vec<_> = old.map(|it| SetRecord::new(Kind::Audit, it.id, Some(it.version), None)).collect();
        let is_last = record.len() < limit::PAGE_ITEMS;
        if record.is_empty() || inside.commit(Batch { record, ..Batch::default() }).await.is_err() || is_last {
            return;
        }
    }
}
