//! The machine's clocks. Stores are built on one; no verb of theirs takes a time.

use std::time::Duration;

use crate::time::Timestamp;

/// Two clocks that only one place in the program reads for real.
pub trait Clock: Send + Sync + 'static {
    /// Wall time; it may jump.
    fn wall(&self) -> Timestamp;
    /// Time since some fixed moment; it never goes back and does not jump.
    fn elapsed(&self) -> Duration;
}
