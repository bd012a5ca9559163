//! The one source of chance: the same seed throws the same numbers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tasklane_core::lease::mix;

/// Dice that all parts of a simulation throw in turn.
#[derive(Clone)]
pub struct Dice(Arc<Mutex<(u64, u64)>>);

impl Dice {
    /// Dice of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new((mix(seed, 0), 0))))
    }

    /// 64 random bits.
    pub fn bits(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        mix(state.0, state.1)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&self, end: u64) -> u64 {
        self.bits() % end
    }

    /// True so many times of a thousand.
    pub fn chance(&self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A time between two numbers of milliseconds, both included.
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }

    /// One of these.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// Fills bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
    }
}
