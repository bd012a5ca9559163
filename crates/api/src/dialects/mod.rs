//! Foreign HTTP interfaces on the same engine. A dialect is a thin translation: it owns words and JSON, never a rule. It
//! ignores members it does not know, shows only tasks it accepted (their origin), and its errors have its own shape.

pub(crate) mod atropos;

use axum::response::Response;

use crate::error::Refused;
use crate::route::Route;

/// A foreign interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The Atropos task service.
    Atropos,
}

impl Dialect {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Atropos];

    /// Its routes, wherever it is mounted.
    pub(crate) fn routes(self) -> &'static [Route] {
        match self {
            Self::Atropos => atropos::ROUTES,
        }
    }

    /// What it has besides on Tasklane's own port.
    pub(crate) fn guest_routes(self) -> &'static [Route] {
        match self {
            Self::Atropos => atropos::GUEST_ROUTES,
        }
    }

    /// What it has besides where it is mounted alone.
    pub(crate) fn root_routes(self) -> &'static [Route] {
        match self {
            Self::Atropos => atropos::ROOT_ROUTES,
        }
    }

    /// A refusal in its own shape.
    pub(crate) fn refusal(self, refused: Refused) -> Response {
        match self {
            Self::Atropos => atropos::error::refusal(refused),
        }
    }
}
