//! Every URL: routes, status codes, headers, problems. It owns no rule: it parses, asks the engine and answers.
//!
//! Start at [`router`](mod@router): every route on one screen.

pub mod router;

// On the way in.
mod action;
pub mod auth;
mod body;
mod call;
mod cors;
mod edge;
pub mod host;
pub mod limits;
mod outward;
mod query;
pub mod rates;
mod request_id;
mod route;

// What is behind the routes.
pub mod dialects;
mod service;
mod v1;

// On the way out.
mod answer;
pub mod codes;
pub mod error;
mod id_page;
mod metrics;
mod name_page;
pub mod openapi;
pub mod stream;
mod unwritten;

pub use auth::{Peer, SetKeys};
pub use dialects::Dialect;
pub use host::Hosts;
pub use metrics::TurnedAway;
pub use outward::Outward;
pub use rates::CallLimits;
pub use router::{Options, router};
