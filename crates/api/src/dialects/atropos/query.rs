//! The parameters of its list.

use tasklane_core::ports::store::{Hidden, TaskFilter};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_wire::page;

use super::error::{Input, Wrong};
use super::{ORIGIN, words};
use crate::query::Query;

/// The word for every status.
const ALL: &str = "all";
/// The word for deleted tasks alone.
const DELETED: &str = "deleted";

/// What a list is to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// As it was given; `all` where it was not.
    pub status: String,
    pub include_deleted: bool,
    /// Where the page before this one ended.
    pub below: Option<TaskId>,
}

impl Wanted {
    /// Reads the parameters; others are ignored.
    pub fn read(mut query: Query) -> Result<Self, Wrong<'static>> {
        let status = query.take("status").filter(|it| !it.is_empty()).unwrap_or_else(|| ALL.to_owned());
        let include_deleted = match query.take("include_deleted") {
            Some(text) => truth(&text)?,
            None => false,
        };
        let below = query.take("cursor").map(below).transpose()?;
        Ok(Self { status, include_deleted, below })
    }

    /// Which tasks these are; `None`: none could ever be.
    pub fn filter(&self) -> Option<TaskFilter> {
        let hidden = if self.include_deleted { Hidden::With } else { Hidden::Without };
        let (states, hidden): (&[State], _) = match &*self.status {
            ALL => (&[], hidden),
            DELETED if self.include_deleted => (&[], Hidden::Only),
            word => (words::states(word)?, hidden),
        };
        Some(TaskFilter { states: states.to_vec(), hidden, origin: Some(ORIGIN.into()), ..TaskFilter::default() })
    }

    /// Where the list goes on after the task `last`, for a header `Link` (RFC 8288).
    pub fn link(&self, last: TaskId) -> String {
        // Only statuses that are words of the interface have pages, so nothing needs to be escaped.
        let Self { status, include_deleted, .. } = self;
        let cursor = page::encode(last);
        format!("</tasks?status={status}&include_deleted={include_deleted}&cursor={cursor}>; rel=\"next\"")
    }
}

/// What FastAPI takes for a truth value.
fn truth(text: &str) -> Result<bool, Wrong<'static>> {
    match &*text.to_ascii_lowercase() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
        _ => {
            let message = "Input should be a valid boolean, unable to interpret input";
            Err(Wrong::new("bool_parsing", &["query", "include_deleted"], message, Input::Text(text.to_owned())))
        }
    }
}

fn below(cursor: String) -> Result<TaskId, Wrong<'static>> {
    let message = "Input should be the cursor of a Link that this list answered with";
    page::decode(&cursor).ok_or_else(|| Wrong::new("value_error", &["query", "cursor"], message, Input::Text(cursor)))
}
