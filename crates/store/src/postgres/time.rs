//! The time by the database's clock, which all servers share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;

use crate::clock::StoreClock;

/// Whose time counts.
#[derive(Clone)]
pub enum Whose {
    /// The database's; this clock only tells how long ago it was heard.
    Database(Arc<dyn Clock>),
    /// This clock's: for tests that let time pass as they like.
    Given(Arc<dyn Clock>),
}

/// The time.
pub(crate) enum Time {
    Database { clock: Arc<dyn Clock>, heard: Mutex<StoreClock> },
    Given(StoreClock),
}

impl Time {
    pub(crate) fn new(whose: Whose, now: Timestamp) -> Self {
        match whose {
            Whose::Database(clock) => {
                let heard = Mutex::new(StoreClock::at(Arc::clone(&clock), now));
                Self::Database { clock, heard }
            }
            Whose::Given(clock) => Self::Given(StoreClock::anchor(clock, None)),
        }
    }

    /// The database says that it is `now`: answers with the time of the commit under way.
    pub(crate) fn heard(&self, now: Timestamp) -> Timestamp {
        match self {
            Self::Database { clock, heard } => {
                *heard.lock().unwrap_or_else(PoisonError::into_inner) = StoreClock::at(Arc::clone(clock), now);
                now
            }
            Self::Given(clock) => clock.now(),
        }
    }

    /// A clock that does not go back, from no beginning in particular.
    pub(crate) fn elapsed(&self) -> Duration {
        match self {
            Self::Database { clock, .. } => clock.elapsed(),
            Self::Given(_) => Duration::ZERO,
        }
    }

    /// The time, as far as it is known without asking.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::Database { heard, .. } => heard.lock().unwrap_or_else(PoisonError::into_inner).now(),
            Self::Given(clock) => clock.now(),
        }
    }
}
