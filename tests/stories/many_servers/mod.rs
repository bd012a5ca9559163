//! Many servers on one PostgreSQL: servers, workers and the database are struck under load, and a ledger outside the system
//! says afterwards what was promised, what was done and what was accepted.
//!
//! `TASKLANE_STORY_SECONDS` makes the load last longer, `TASKLANE_STORY_SEED` repeats a choice of victims.

mod across;
mod away;
mod checker;
mod clocks;
mod fleet;
mod frozen;
mod killed;
mod load;
mod producer;
mod promoted;
mod reporter;
mod stuck;
mod target;

use std::io::Write;
use std::time::Duration;

/// How long something may take that a busy machine slows down; past it, it is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// How long the load lasts, in seconds.
fn seconds(short: u64) -> Duration {
    Duration::from_secs(setting("TASKLANE_STORY_SECONDS").unwrap_or(short))
}

/// A line for whoever reads the run: figures and seeds. The harness would hide what a passing test prints.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
