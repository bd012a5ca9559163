//! The bench's other processes: itself, started again with a hidden argument.

/// The argument of a worker.
pub const WORK: &str = "work";
