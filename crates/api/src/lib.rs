//! Every URL: routes, status codes, headers, problems. It owns no rule: it parses, asks the engine and answers.
//!
//! Start at [`router`](mod@router): every route on one screen.

pub mod router;

// On the way in.
mod action;
mod body;
mod call;
mod edge;
pub mod host;
pub mod limits;
mod query;
mod request_id;
mod route;

// What is behind the routes.
mod service;
mod v1;

// On the way out.
mod answer;
pub mod codes;
pub mod error;
mod metrics;
mod name_page;
pub mod openapi;
mod unwritten;

pub use host::Hosts;
pub use router::{Options, router};
