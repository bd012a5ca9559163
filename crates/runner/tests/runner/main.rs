//! The runner against a server that lives in memory and fails by a script; time is tokio's, paused.
#![allow(clippy::unwrap_used)]

mod drain;
mod fake;
mod faults;
mod notes;
mod renew;
mod road;
