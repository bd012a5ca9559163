//! Takes leases and runs them. The same runner serves the server's own executors and workers in other processes; only the
//! [`LeaseSource`] differs.

pub mod source;

pub use source::{LeaseSource, Reply, Report, SourceError, Want};
