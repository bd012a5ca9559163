//! Servers and workers that are struck under load, on either store, and a ledger outside the system that says afterwards
//! what was promised, what was done and what was accepted.
//!
//! `TASKLANE_STORY_SECONDS` makes a load last longer. The fault stories of `tests/chaos` have their own settings: [`run`].

pub mod checker;
pub mod choices;
pub mod crew;
pub mod disk;
pub mod fleet;
pub mod ground;
pub mod load;
pub mod need;
pub mod net;
pub mod producer;
pub mod reporter;
pub mod run;
pub mod stall;
pub mod stuck;
pub mod table;
pub mod target;
pub mod trace;

use std::io::Write;
use std::time::Duration;

/// How long something may take that a busy machine slows down; past it, it is stuck.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A number from the environment.
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// How long the load lasts, in seconds.
pub fn seconds(short: u64) -> Duration {
    Duration::from_secs(setting("TASKLANE_STORY_SECONDS").unwrap_or(short))
}

/// A line for whoever reads the run: figures and seeds. The test harness would hide what a passing test prints.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
