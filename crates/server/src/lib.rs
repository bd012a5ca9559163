//! Joins the parts into a server: configuration, clocks, signals, start and stop. No rule about tasks stands here.

// What is asked for.
pub mod config;
pub mod error;

// The data files without a server.
pub mod data;

// The parts of a running process, in the order they come up.
pub mod assemble;
pub mod clock;
pub mod disk;
pub mod executors;
pub mod listener;
mod open;
mod prepare;
pub mod runtime;
pub mod shutdown;
pub mod telemetry;

pub use assemble::Server;
pub use config::{Config, Environment, Flags, Settings};
pub use error::StartError;
pub use tasklane_api::{Dialect, codes};
