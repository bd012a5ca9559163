//! Takes leases and runs them. The same runner serves the server's own executors and workers in other processes; only the
//! [`LeaseSource`] differs.
//!
//! A few pumps exchange reports for leases with the source; the tasks they bring wait in the ledger until a hand begins
//! them. What is done after its first poll never leaves the hand; the rest is driven as a tokio task of its own.

// What the runner is told.
pub mod options;
pub mod source;

// The road of an attempt: pump → hand → run → back to the pump.
mod attempt;
mod hand;
mod notes;
mod pump;
mod run;
mod slots;
mod table;

// Beside it.
mod drain;
mod listen;
mod renew;
mod runner;

pub use drain::Drained;
pub use options::Options;
pub use runner::{Runner, RunnerHandle, drain_all};
pub use source::{LeaseSource, Reply, Report, SourceError, Want};
