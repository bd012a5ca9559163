//! The machine's clocks: the only place of the program that reads them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;

/// Reads the clocks of the machine the program runs on.
#[derive(Debug, Clone, Copy)]
pub struct MachineClock {
    begin: Instant,
}

impl MachineClock {
    /// Clocks whose `elapsed` counts from now.
    pub fn start() -> Self {
        Self { begin: Instant::now() }
    }
}

impl Clock for MachineClock {
    fn wall(&self) -> Timestamp {
        // A machine whose clock stands before 1970 has no time worth keeping; the store's own stamps win over it.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::EPOCH.plus(since)
    }

    fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_never_goes_back_and_wall_is_after_this_was_written() {
        let clock = MachineClock::start();
        let first = clock.elapsed();
        assert!(clock.elapsed() >= first);
        let written = Timestamp::from_micros(1_760_000_000_000_000);
        assert!(clock.wall() > written && clock.wall() < Timestamp::MAX);
    }
}
