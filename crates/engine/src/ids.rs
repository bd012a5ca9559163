//! Draws ids and random numbers: the only randomness of the engine.

use std::sync::Mutex;
use std::time::Duration;

use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use uuid::Builder;

use crate::inside::lock;
use crate::options::Randomness;

/// Draws UUIDv7 ids that grow, also within a millisecond and when the clock goes back (RFC 9562 §6.2, method 2: the
/// random part is a counter that starts at random in each millisecond and grows by random steps).
pub(crate) struct Ids {
    last: Mutex<Last>,
    pool: Mutex<Pool>,
}

#[derive(Default)]
struct Last {
    millis: u64,
    /// 74 bits.
    random: u128,
}

const RANDOM_BITS: u32 = 74;
/// A fresh millisecond starts in the lower half, so that steps of 32 bits cannot run out of the upper one.
const FRESH_BITS: u32 = RANDOM_BITS - 1;

impl Ids {
    pub fn new(randomness: Randomness) -> Self {
        Self { last: Mutex::default(), pool: Mutex::new(Pool { bytes: [0; 1024], left: 0, randomness }) }
    }

    /// 64 random bits.
    pub fn seed(&self) -> u64 {
        lock(&self.pool).draw()
    }

    /// Somewhat less than `most`: what servers do every so often, they do not do at once.
    pub fn jittered(&self, most: Duration) -> Duration {
        let part = f64::from(self.seed() as u32) / f64::from(u32::MAX);
        most.mul_f64(1.0 - part / 4.0)
    }

    /// The next id, for the moment `now`.
    pub fn draw(&self, now: Timestamp) -> TaskId {
        let (millis, random) = lock(&self.last).step(now, || self.seed());
        let mut bytes = [0; 10];
        bytes[..2].copy_from_slice(&((random >> 62) as u16).to_be_bytes());
        bytes[2..].copy_from_slice(&((random as u64) & (u64::MAX >> 2)).to_be_bytes());
        TaskId(Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }
}

impl Last {
    fn step(&mut self, now: Timestamp, seed: impl Fn() -> u64) -> (u64, u128) {
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        if millis > self.millis {
            self.millis = millis;
            self.random = (u128::from(seed()) << 64 | u128::from(seed())) >> (128 - FRESH_BITS);
        } else {
            self.random += 1 + u128::from(seed() as u32);
            if self.random >> RANDOM_BITS != 0 {
                self.millis += 1;
                self.random = u128::from(seed());
            }
        }
        (self.millis, self.random)
    }
}

/// Random bytes drawn at once: a system call for each id would be most of what an id costs.
struct Pool {
    bytes: [u8; 1024],
    left: usize,
    randomness: Randomness,
}

impl Pool {
    fn draw(&mut self) -> u64 {
        const WORD: usize = size_of::<u64>();
        if self.left < WORD {
            (self.randomness)(&mut self.bytes);
            self.left = self.bytes.len();
        }
        let from = self.left - WORD;
        let mut word = [0; WORD];
        // What was given out is wiped, so that no later reader of this memory learns a token.
        word.swap_with_slice(&mut self.bytes[from..self.left]);
        self.left = from;
        u64::from_le_bytes(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn ids() -> Ids {
        Ids::new(Options::default().randomness)
    }

    #[test]
    fn ids_grow_even_when_the_clock_goes_back() {
        let ids = ids();
        let mut last = ids.draw(Timestamp::from_micros(1_700_000_000_000_000));
        for step in 0..10_000_i64 {
            let next = ids.draw(Timestamp::from_micros(1_700_000_000_000_000 - step * 37 + (step % 7) * 900));
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }

    #[test]
    fn an_id_tells_its_time() {
        let id = ids().draw(Timestamp::from_micros(1_700_000_000_123_456));
        assert!(id.to_string().starts_with("018bcfe5-687b-7"), "{id}");
    }
}
