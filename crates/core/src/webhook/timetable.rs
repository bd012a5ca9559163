//! When a delivery is tried again.

use std::time::Duration;

use crate::lease::mix;
use crate::task::TaskId;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// How many seconds to wait after each attempt that failed (Standard Webhooks 1.0, "Retries"); the last one is the end.
const PAUSES: [u64; 9] = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/// How many attempts a delivery has.
pub const ATTEMPTS: u32 = PAUSES.len() as u32 + 1;
/// A delivery that was not made by then is given up, however long its endpoint was disabled.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * HOUR);

/// How long to wait after the `spent`-th attempt failed: up to a tenth longer than the specification says, by the delivery's id,
/// so that what failed together does not come back together.
pub fn pause(spent: u32, delivery: TaskId) -> Duration {
    let nth = (spent.max(1) as usize - 1).min(PAUSES.len() - 1);
    let whole = Duration::from_secs(PAUSES[nth]);
    let share = mix(delivery.0.as_u128() as u64, spent.into()) >> 32;
    whole + whole.mul_f64(share as f64 / (1_u64 << 32) as f64 / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_those_of_the_specification_and_at_most_a_tenth_longer() {
        let id = TaskId::from_bytes([7; 16]);
        for (nth, pause_seconds) in PAUSES.iter().enumerate() {
            let pause = pause(nth as u32 + 1, id).as_secs_f64();
            let whole = *pause_seconds as f64;
            assert!((whole..=whole * 1.1).contains(&pause), "{pause}");
        }
        assert!((24 * HOUR..27 * HOUR).contains(&pause(99, id).as_secs()), "the last is repeated");
        assert!(pause(2, id) != pause(2, TaskId::from_bytes([8; 16])));
        assert!(PAUSES.iter().sum::<u64>() * 11 / 10 < KEPT.as_secs());
    }
}
