//! Ctrl-C while waiting ends the waiting, not the task.

use std::future::Future;

use crate::failure::{Exit, Failure};

/// `waiting`, or a failure that says how it goes on if Ctrl-C comes first.
pub(crate) async fn or<T>(goes_on: &str, waiting: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        ended = waiting => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, goes_on)),
    }
}
