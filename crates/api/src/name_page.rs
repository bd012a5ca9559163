//! Pages of what is listed in the order of names.

use tasklane_wire::page;

use crate::error::{BAD_CURSOR, Refused};
use crate::query::Query;

/// Which page is asked for.
pub(crate) struct NamePage {
    limit: usize,
    after: Option<String>,
}

impl NamePage {
    /// Takes `limit` (at most `most`, and that unless given) and `cursor` off the query.
    pub fn take(query: &mut Query, most: usize) -> Self {
        Self { limit: query.limit(most).unwrap_or(most), after: query.take("cursor") }
    }

    /// The page of `all`, which stand in the order of their names, and the cursor of the next.
    ///
    /// # Errors
    /// The cursor is none.
    pub fn cut<T>(&self, mut all: Vec<T>, name: impl Fn(&T) -> &str) -> Result<(Vec<T>, Option<String>), Refused> {
        if let Some(cursor) = &self.after {
            let detail = "this is no cursor that a page of this list ended with; begin without one";
            let after = page::decode_name(cursor).ok_or_else(|| Refused::new(BAD_CURSOR, detail))?;
            all.retain(|it| *name(it) > *after);
        }
        let more = all.len() > self.limit;
        all.truncate(self.limit);
        let next = all.last().filter(|_| more).map(|it| page::encode_name(name(it)));
        Ok((all, next))
    }
}
