//! Pages of nouns in the order of their ids: what people set up, and the audit log.

use tasklane_core::limit;
use tasklane_core::task::TaskId;
use tasklane_wire::page;
use tasklane_wire::task::Page;
use uuid::Uuid;

use crate::error::{BAD_CURSOR, Refused};
use crate::query::Query;

/// Which page is wanted.
pub(crate) struct IdPage {
    most: usize,
    cursor: Option<String>,
}

impl IdPage {
    /// Takes `limit` and `cursor` out of the query.
    pub fn take(query: &mut Query) -> Self {
        let most = query.limit(limit::PAGE_ITEMS).unwrap_or(limit::PAGE_ITEMS);
        Self { most, cursor: query.take("cursor") }
    }

    /// Behind which one it begins.
    pub fn after(&self) -> Result<Option<Uuid>, Refused> {
        let after = self.cursor.as_deref().map(|it| page::decode(it).ok_or_else(bad_cursor)).transpose()?;
        Ok(after.map(|it| it.0))
    }

    /// How many to read: one more than is shown, so that it is known whether there are more.
    pub fn reads(&self) -> usize {
        self.most + 1
    }

    /// The page of what was read.
    pub fn cut<T, S>(&self, mut found: Vec<T>, id: impl Fn(&T) -> Uuid, shape: impl FnMut(&T) -> S) -> Page<S> {
        let is_more = found.len() > self.most;
        found.truncate(self.most);
        let next_cursor = found.last().filter(|_| is_more).map(|it| page::encode(TaskId(id(it))));
        Page { items: found.iter().map(shape).collect(), next_cursor }
    }
}

/// No page ended with this cursor.
pub(crate) fn bad_cursor() -> Refused {
    Refused::new(BAD_CURSOR, "this is no cursor that a page of this list ended with; begin without one")
}
