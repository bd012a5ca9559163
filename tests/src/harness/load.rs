//! A fleet under load: producers and a reporter run while a story strikes; then everything comes to rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::checker::{self, Figures};
use super::fleet::Fleet;
use super::producer::{Caller, produce};
use super::reporter::report;
use super::stall;
use super::stuck::Stuck;

/// Between two submits of a producer: a load that a busy machine carries while it is struck.
const PACES: [Duration; 3] = [Duration::from_millis(250), Duration::from_millis(10), Duration::from_millis(10)];

/// Strikes under load, waits for rest and checks; at least so many tasks must have succeeded.
pub fn under_load(fleet: &Fleet, least: usize, strike: impl FnOnce(&AtomicBool)) -> Figures {
    let (producing, working) = (AtomicBool::new(false), AtomicBool::new(false));
    let stall = thread::scope(|scope| {
        // However this ends, nobody is left behind.
        let _over = (Over(&producing), Over(&working));
        for (producer, pace) in PACES.into_iter().enumerate() {
            let caller = Caller::new(fleet, &producing, producer);
            scope.spawn(move || produce(caller, producer, pace));
        }
        let (leasing, reporting) = (Caller::new(fleet, &working, 0), Caller::new(fleet, &working, 1));
        scope.spawn(move || report(leasing, reporting));
        let watching = scope.spawn(|| stall::longest(fleet, &working));
        strike(&producing);
        producing.store(true, Ordering::Relaxed);
        rest(fleet);
        working.store(true, Ordering::Relaxed);
        watching.join().unwrap()
    });
    Figures { longest_stall: stall, ..checker::check(fleet, least) }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until nothing is left to do.
pub fn rest(fleet: &Fleet) {
    let mut stuck = Stuck::default();
    loop {
        let left = unfinished(fleet);
        if left == Some(0) {
            return;
        }
        stuck.look(fleet, left);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Tasks that are not final; `None` where no server says so.
pub fn unfinished(fleet: &Fleet) -> Option<u64> {
    let queue = fleet.ask_any("/v1/queues/default")?;
    Some(queue["counts"].as_object()?.values().filter_map(serde_json::Value::as_u64).sum())
}
