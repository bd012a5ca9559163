//! The simulation: the real engine and the real runner, servers, workers and callers, over the memory store, on one
//! thread, with every chance drawn from one seed. After every step everything is held against a ledger kept outside; a
//! seed that breaks a law breaks it again. See `docs/explanation/simulation.md`.

// Where it happens.
mod dice;
mod ground;
mod net;
mod process;
mod weather;

// Who takes part.
mod callers;
mod handler;
mod server;
mod shared;
mod worker;
mod workload;

// What goes on, and what must hold.
mod ledger;
mod run;
mod storm;
mod world;

pub use ledger::Tally;
pub use run::{Broken, Lines, Passed, run};
