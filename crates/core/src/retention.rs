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

    /// How many of `finished` final tasks are too many. Past the share of a `disk`, of which so many bytes of so many are
    /// in use, it is as many as one step, which examines `limit` rows, can take.
    pub fn excess(&self, finished: u64, disk: Option<(u64, u64)>, limit: usize) -> u64 {
        let over = finished.saturating_sub(self.most);
        let is_crowded = disk.is_some_and(|(used, all)| used as f64 > all as f64 * self.disk_share);
        if is_crowded { over.max(limit as u64) } else { over }
    }

    /// A step at `now` of removing what need not be kept, where `excess` final tasks are too many.
    pub fn clearing(&self, excess: u64, now: Timestamp) -> Clearing<'_> {
        Clearing { retention: self, excess, now }
    }
}

/// A step of removing what need not be kept, over rows in the order of acceptance.
#[derive(Debug)]
pub struct Clearing<'r> {
    retention: &'r Retention,
    excess: u64,
    now: Timestamp,
}

impl Clearing<'_> {
    /// Whether a task goes that is in `state`, final since `finished_at`: its time is over, or there are too many. Of these
    /// it is one less then.
    pub fn takes(&mut self, state: State, finished_at: Option<Timestamp>) -> bool {
        let is_over = finished_at.is_some_and(|at| self.retention.is_over(state, at, self.now));
        let goes = state.is_final() && (is_over || self.excess > 0);
        self.excess = self.excess.saturating_sub(u64::from(goes));
        goes
    }

    /// Whether there are still too many.
    pub fn has_excess(&self) -> bool {
        self.excess > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_are_those_over_the_most_or_a_step_of_them_on_a_crowded_disk() {
        let retention = Retention { most: 10, disk_share: 0.5, ..Retention::default() };
        assert_eq!(retention.excess(10, None, 3), 0);
        assert_eq!(retention.excess(12, Some((50, 100)), 3), 2);
        assert_eq!((retention.excess(0, Some((51, 100)), 3), retention.excess(17, Some((51, 100)), 3)), (3, 7));
    }

    #[test]
    fn the_first_final_tasks_go_while_there_are_too_many_and_then_those_whose_time_is_over() {
        let retention = Retention::default();
        let now = Timestamp::EPOCH.plus(WEEK * 2);
        let mut step = retention.clearing(2, now);
        let (young, old) = (Some(now), Some(now.minus(WEEK)));
        assert!(!step.takes(State::Queued, None) && !step.takes(State::Running, old));
        assert!(step.takes(State::Failed, young) && step.has_excess());
        assert!(step.takes(State::Succeeded, old) && !step.has_excess());
        assert!(!step.takes(State::Succeeded, young) && step.takes(State::Expired, old));
    }
}
