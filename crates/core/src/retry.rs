//! How long to wait between attempts: a pure function of the policy, how many attempts were charged, and a random number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A task's back-off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Retry {
    /// `initial · factor^(n-1)`, at most `max`; `factor` 1 is a fixed delay.
    Exponential {
        /// The delay after the first charged attempt.
        initial: Duration,
        /// What each further one multiplies it by; at least 1.
        factor: f64,
        /// The most it grows to.
        max: Duration,
        /// Full jitter: a delay drawn evenly from zero to that.
        jitter: bool,
    },
    /// These, in turn; the last is repeated.
    Delays {
        /// At least one.
        delays: Vec<Duration>,
        /// Full jitter, as above.
        jitter: bool,
    },
}

impl Default for Retry {
    fn default() -> Self {
        Self::Exponential { initial: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(600), jitter: true }
    }
}

impl Retry {
    /// The delay before the next attempt when `spent` (≥ 1) were charged; `random` is 64 random bits.
    ///
    /// Full jitter after Brooker, "Exponential backoff and jitter" (AWS Architecture Blog, 2015): it spreads a herd best,
    /// and is kept at the cap too.
    pub fn delay(&self, spent: u32, random: u64) -> Duration {
        let ceiling = self.ceiling(spent);
        let jitter = match self {
            Self::Exponential { jitter, .. } | Self::Delays { jitter, .. } => *jitter,
        };
        if jitter { ceiling.mul_f64(unit(random)) } else { ceiling }
    }

    /// The longest delay after `spent` charged attempts.
    pub fn ceiling(&self, spent: u32) -> Duration {
        let nth = spent.max(1) - 1;
        match self {
            Self::Exponential { initial, factor, max, .. } => {
                // The cap is applied before the conversion: the power may be beyond any Duration, or infinite.
                let exponent = i32::try_from(nth).unwrap_or(i32::MAX);
                let seconds = (initial.as_secs_f64() * factor.powi(exponent)).min(max.as_secs_f64());
                Duration::try_from_secs_f64(seconds).unwrap_or(*max)
            }
            Self::Delays { delays, .. } => {
                let last = delays.len().saturating_sub(1);
                delays.get(last.min(nth as usize)).copied().unwrap_or_default()
            }
        }
    }
}

/// 64 random bits as a number in [0, 1).
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn doubles_up_to_the_cap() {
        let retry = Retry::Exponential { initial: SECOND, factor: 2.0, max: 10 * SECOND, jitter: false };
        let delays: Vec<_> = (1..=6).map(|spent| retry.delay(spent, 7).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn the_last_of_a_list_repeats() {
        let retry = Retry::Delays { delays: vec![SECOND, 5 * SECOND], jitter: false };
        let delays: Vec<_> = (1..=4).map(|spent| retry.delay(spent, 7).as_secs()).collect();
        assert_eq!(delays, [1, 5, 5, 5]);
    }

    proptest! {
        #[test]
        fn never_beyond_the_cap(
            initial in 0_u64..1_000_000, factor in 1.0_f64..1e9, max in 0_u64..10_000_000,
            spent in 0_u32.., random in any::<u64>(), jitter: bool,
        ) {
            let max = Duration::from_millis(max);
            let retry = Retry::Exponential { initial: Duration::from_millis(initial), factor, max, jitter };
            prop_assert!(retry.delay(spent, random) <= max);
        }
    }
}
