//! The store's own clock: monotonic from the moment it was anchored, whatever the machine's wall clock does later.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::limit;
use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;

/// Anchored at the later of the wall clock and the last stamp written, so that no stamp is earlier than one on disk.
#[derive(Clone)]
pub struct StoreClock {
    clock: Arc<dyn Clock>,
    anchor: Timestamp,
    anchored: Duration,
    skew: Duration,
}

impl StoreClock {
    /// Anchors now. `last` is the latest stamp found in the store, if there is one.
    pub fn anchor(clock: Arc<dyn Clock>, last: Option<Timestamp>) -> Self {
        let wall = clock.wall();
        let anchor = last.map_or(wall, |last| last.max(wall));
        let skew = anchor.since(wall);
        if skew > limit::CLOCK_SKEW {
            tracing::warn!(
                skew_ms = u64::try_from(skew.as_millis()).unwrap_or(u64::MAX),
                "the wall clock is behind the last stamp in the store; the store's clock goes on from that stamp"
            );
        }
        Self { anchored: clock.elapsed(), clock, anchor, skew }
    }

    /// Anchored at `now`, whatever the wall clock says.
    pub(crate) fn at(clock: Arc<dyn Clock>, now: Timestamp) -> Self {
        Self { anchored: clock.elapsed(), clock, anchor: now, skew: Duration::ZERO }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.anchor.plus(self.clock.elapsed().saturating_sub(self.anchored))
    }

    /// How far the wall clock was behind the last stamp when this was anchored; over [`limit::CLOCK_SKEW`] somebody should
    /// look at the machine's clock.
    pub fn skew(&self) -> Duration {
        self.skew
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Fixed(Mutex<(Timestamp, Duration)>);

    impl Clock for Fixed {
        fn wall(&self) -> Timestamp {
            self.0.lock().expect("no holder of the lock panics").0
        }

        fn elapsed(&self) -> Duration {
            self.0.lock().expect("no holder of the lock panics").1
        }
    }

    #[test]
    fn a_clock_set_back_does_not_take_the_store_along() {
        let day = Duration::from_secs(24 * 3600);
        let last = Timestamp::from_micros(1_000_000_000_000);
        let machine = Arc::new(Fixed(Mutex::new((last.minus(day), Duration::ZERO))));
        let clock = StoreClock::anchor(machine.clone(), Some(last));
        assert_eq!((clock.now(), clock.skew()), (last, day));
        *machine.0.lock().expect("no holder of the lock panics") = (Timestamp::EPOCH, Duration::from_secs(1));
        assert_eq!(clock.now(), last.plus(Duration::from_secs(1)));
    }
}
