//! All stores mean the same: each passes the one suite, and each database answers as the model does.
#![allow(clippy::unwrap_used)]

mod commands;
mod conformance;
mod equal;
mod gated;
mod memory;
mod pair;
mod postgres;
mod sqlite;
