//! Whether the store answers: said once when it stops, and once when it does again.

use std::sync::atomic::{AtomicBool, Ordering};

use tasklane_core::error::StoreError;

#[derive(Default)]
pub(crate) struct Outage {
    is_now: AtomicBool,
}

impl Outage {
    /// How a commit was answered. A store that `is_closed` on purpose is no outage.
    pub fn heard<T>(&self, answered: &Result<T, StoreError>, is_closed: bool) {
        match answered {
            Ok(_) => {
                let was_away = self.is_now() && self.is_now.swap(false, Ordering::AcqRel);
                if was_away {
                    tracing::info!("the store answers again");
                }
            }
            Err(StoreError::Away(why)) if !is_closed => {
                let was_away = self.is_now.swap(true, Ordering::AcqRel);
                if !was_away {
                    tracing::warn!(why, "the store is away; what waits goes on when it is back");
                }
            }
            Err(_) => {}
        }
    }

    /// Whether the last commit found the store away.
    pub fn is_now(&self) -> bool {
        self.is_now.load(Ordering::Acquire)
    }
}

/// Says what a loop could not do. That the store is away was said already.
pub(crate) fn complain(error: &StoreError, what: &'static str) {
    match error {
        StoreError::Away(_) => tracing::debug!(%error, "{what}"),
        _ => tracing::warn!(%error, "{what}"),
    }
}
