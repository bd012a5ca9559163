//! What every part of a simulation stands on: chance, time, the weather, the record of what happened.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;

use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::net::Net;
use crate::weather::Weather;

/// What every part stands on.
pub struct Ground {
    /// Chance.
    pub dice: Dice,
    /// The store's clock; it jumps.
    pub clock: Arc<StoreTime>,
    /// How likely which fault is.
    pub weather: Mutex<Weather>,
    /// What is on its way between callers, workers and servers.
    pub net: Net,
    /// What is known outside of the system.
    pub ledger: Mutex<Ledger>,
    trace: Mutex<Trace>,
}

struct Trace {
    hash: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl Ground {
    /// The ground of a run; `keep_lines`: every line of the trace is kept, not only their hash.
    pub fn new(seed: u64, keep_lines: bool) -> Arc<Self> {
        let dice = Dice::new(seed);
        Arc::new(Self {
            weather: Mutex::new(Weather::of(&dice)),
            clock: Arc::default(),
            net: Net::default(),
            ledger: Mutex::default(),
            trace: Mutex::new(Trace { hash: DefaultHasher::new(), lines: keep_lines.then(Vec::new) }),
            dice,
        })
    }

    /// Writes a line of the trace.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let line = format!("{:9.3} {}", self.net.now().as_secs_f64(), line());
        let mut trace = lock(&self.trace);
        trace.hash.write(line.as_bytes());
        if let Some(lines) = &mut trace.lines {
            lines.push(line);
        }
    }

    /// A number that is equal for equal traces.
    pub fn trace_hash(&self) -> u64 {
        lock(&self.trace).hash.finish()
    }

    /// The lines of the trace, if they were kept.
    pub fn take_lines(&self) -> Vec<String> {
        lock(&self.trace).lines.take().unwrap_or_default()
    }
}

/// The clock of the store, as a database's: one for all servers, apart from theirs.
#[derive(Default)]
pub struct StoreTime(AtomicU64);

impl StoreTime {
    /// Lets time pass, or jumps.
    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }
}

impl Clock for StoreTime {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Locks; all runs on one thread, so nobody is ever waited for.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
