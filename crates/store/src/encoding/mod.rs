//! What both databases keep as bytes: event logs, chunks of task logs, marks and checksums.

use std::sync::Arc;

use tasklane_core::task::{Lane, Scope};
use thiserror::Error;

pub(crate) mod checksum;
pub(crate) mod chunk;
pub(crate) mod gate;
pub(crate) mod log;
pub(crate) mod mark;
pub(crate) mod record;
pub(crate) mod varint;

/// What was read makes no sense.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct Damaged(pub String);

impl Damaged {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

pub(crate) type Result<T, E = Damaged> = std::result::Result<T, E>;

/// The number of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LaneNo(pub u32);

/// The number of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ScopeNo(pub u32);

/// Knows what numbers stand for.
pub(crate) trait Numbered {
    /// The lane of this number.
    fn lane_of(&self, no: LaneNo) -> Result<&Arc<Lane>>;
    /// The scope of this number.
    fn scope_of(&self, no: ScopeNo) -> Result<&Arc<Scope>>;
}
