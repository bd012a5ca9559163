//! How long final tasks are kept.

use std::time::Duration;

use crate::state::State;
use crate::time::Timestamp;

/// How long final tasks are kept, per state, and how many at most.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// After success.
    pub succeeded: Duration,
    /// After failure.
    pub failed: Duration,
    /// After cancellation.
    pub cancelled: Duration,
    /// After expiry.
    pub expired: Duration,
    /// Past this many final tasks the oldest go, however young.
    pub most: u64,
    /// Past this share of the disk (0 to 1) the oldest go, however young.
    pub disk_share: f64,
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

impl Default for Retention {
    fn default() -> Self {
        Self { succeeded: WEEK, failed: WEEK, cancelled: WEEK, expired: WEEK, most: 10_000_000, disk_share: 0.8 }
    }
}

impl Retention {
    /// How long a task in `state` is kept after it became final; `None` while it is not final.
    pub fn kept(&self, state: State) -> Option<Duration> {
        match state {
            State::Succeeded => Some(self.succeeded),
            State::Failed => Some(self.failed),
            State::Cancelled => Some(self.cancelled),
            State::Expired => Some(self.expired),
            _ => None,
        }
    }

    /// Whether a task that became final at `finished_at` in `state` may go.
    pub fn is_over(&self, state: State, finished_at: Timestamp, now: Timestamp) -> bool {
        self.kept(state).is_some_and(|kept| now.since(finished_at) >= kept)
    }
}
