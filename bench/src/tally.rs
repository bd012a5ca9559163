//! How a worker process tells what it did: a file of three little-endian 64-bit numbers under `progress/` (tasks begun,
//! start of the first, end of the last; ns of `CLOCK_MONOTONIC`) and, for tasks that carry the time of their submit, a
//! line with the nanoseconds until their start under `lat/`. The one who measures reads them from outside.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::Failure;
use crate::machine::monotonic_ns;

/// How often the files are brought up to date.
const EVERY: Duration = Duration::from_millis(2);

/// Counts in the worker process.
#[derive(Default)]
pub struct Tally {
    count: AtomicI64,
    first: AtomicI64,
    last: AtomicI64,
    waits: Mutex<Vec<i64>>,
}

impl Tally {
    /// Counts one task that begins and ends now; `submitted` is when its submit began, or 0.
    pub fn count(&self, submitted: i64) {
        let now = monotonic_ns();
        if submitted != 0 {
            self.waits.lock().unwrap_or_else(PoisonError::into_inner).push(now - submitted);
        }
        if self.first.load(Ordering::Relaxed) == 0 {
            // Only the first one wins.
            let _: Result<i64, i64> = self.first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.last.fetch_max(now, Ordering::Relaxed);
        // Last, so that who sees the count sees the times of all that were counted.
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Begins to write the files under `dir`, from a thread of its own until the process ends.
    pub fn publish(self: &Arc<Self>, dir: &Path) -> Result<(), Failure> {
        let pid = std::process::id().to_string();
        fs::create_dir_all(dir.join("progress"))?;
        fs::create_dir_all(dir.join("lat"))?;
        let (progress, lat) = (dir.join("progress").join(&pid), dir.join("lat").join(&pid));
        let tally = Arc::clone(self);
        tally.write(&progress, &lat)?;
        thread::spawn(move || {
            let mut told = 0;
            loop {
                thread::sleep(EVERY);
                let count = tally.count.load(Ordering::Acquire);
                if count != told && tally.write(&progress, &lat).is_ok() {
                    told = count;
                }
            }
        });
        Ok(())
    }

    fn write(&self, progress: &Path, lat: &Path) -> Result<(), Failure> {
        let count = self.count.load(Ordering::Acquire);
        let waits = std::mem::take(&mut *self.waits.lock().unwrap_or_else(PoisonError::into_inner));
        if !waits.is_empty() {
            let lines: String = waits.iter().map(|wait| format!("{wait}\n")).collect();
            fs::OpenOptions::new().create(true).append(true).open(lat)?.write_all(lines.as_bytes())?;
        }
        let seen = Seen { count, first: self.first.load(Ordering::Relaxed), last: self.last.load(Ordering::Relaxed) };
        Ok(fs::write(progress, seen.to_bytes())?)
    }
}

/// What a worker process says it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Tasks handled.
    pub count: i64,
    /// Start of the first.
    pub first: i64,
    /// End of the last.
    pub last: i64,
}

impl Seen {
    fn to_bytes(self) -> Vec<u8> {
        [self.count, self.first, self.last].iter().flat_map(|it| it.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes.chunks_exact(8).flat_map(<[u8; 8]>::try_from).map(i64::from_le_bytes);
        Some(Self { count: numbers.next()?, first: numbers.next()?, last: numbers.next()? })
    }

    /// What two processes did together.
    pub fn and(self, other: Self) -> Self {
        // Who has not begun has no first one.
        let first = [self, other].iter().filter(|it| it.count > 0).map(|it| it.first).min().unwrap_or_default();
        Self { count: self.count + other.count, first, last: self.last.max(other.last) }
    }

    /// What process `pid` said under `dir`; `None` before its first word.
    pub fn read(dir: &Path, pid: u32) -> Option<Self> {
        Self::from_bytes(&fs::read(dir.join("progress").join(pid.to_string())).ok()?)
    }
}

/// Milliseconds from submit to start that process `pid` told under `dir`, sorted.
pub fn waits_ms(dir: &Path, pid: u32) -> Vec<f64> {
    let path: PathBuf = dir.join("lat").join(pid.to_string());
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut waits: Vec<f64> = text.lines().flat_map(str::parse::<f64>).map(|ns| ns / 1e6).collect();
    waits.sort_by(f64::total_cmp);
    waits
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn several_processes_began_with_the_first_and_ended_with_the_last() {
        let (idle, early) = (Seen::default(), Seen { count: 2, first: 5, last: 8 });
        let late = Seen { count: 3, first: 6, last: 9 };
        assert_eq!(idle.and(late).and(early), Seen { count: 5, first: 5, last: 9 });
        assert_eq!(idle.and(idle), idle);
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let tally = Tally::default();
        tally.count(0);
        tally.count(monotonic_ns() - 2_000_000);
        let pid = std::process::id();
        fs::create_dir_all(dir.path().join("progress")).unwrap();
        fs::create_dir_all(dir.path().join("lat")).unwrap();
        tally.write(&dir.path().join(format!("progress/{pid}")), &dir.path().join(format!("lat/{pid}"))).unwrap();
        let seen = Seen::read(dir.path(), pid).unwrap();
        assert_eq!(seen.count, 2);
        assert!(seen.first <= seen.last && seen.first > 0);
        assert!(matches!(waits_ms(dir.path(), pid)[..], [wait] if wait >= 2.0));
    }
}
