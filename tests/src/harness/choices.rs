//! Chance that a seed repeats.

use std::time::Duration;

/// Choices that a seed repeats (splitmix64).
#[derive(Debug)]
pub struct Choices(pub u64);

impl Choices {
    /// A number below this one.
    pub fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }

    /// A while shorter than so many milliseconds.
    pub fn moment(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.next(most))
    }

    /// Whether a chance of one in so many comes up.
    pub fn one_in(&mut self, many: u64) -> bool {
        self.next(many) == 0
    }
}
