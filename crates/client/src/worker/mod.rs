//! A worker: typed handlers on the shared runner.

mod context;
mod error;
mod handler;
mod serve;
mod servers;
mod source;

pub use context::TaskContext;
pub use error::HandlerError;
pub use serve::Worker;
pub use tasklane_runner::{Drained, Options};
