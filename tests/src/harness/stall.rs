//! The longest while in which nothing was done though there was something to do and a server to do it by.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::fleet::Fleet;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Watches the ledger until it is over; answers with the longest while without a new line. Whiles in which no server was
/// there do not count.
pub fn longest(fleet: &Fleet, over: &AtomicBool) -> Duration {
    let (mut longest, mut size, mut since) = (Duration::ZERO, 0, Instant::now());
    while !over.load(Ordering::Relaxed) {
        let now = fleet.ledger.size();
        if now != size || fleet.is_away() {
            longest = longest.max(if fleet.is_away() { Duration::ZERO } else { since.elapsed() });
            (size, since) = (now, Instant::now());
        }
        thread::sleep(LOOK);
    }
    longest.max(since.elapsed())
}
