//! What the machine says of itself: a clock that all its processes share, memory and processor time.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use crate::Failure;

/// Nanoseconds of `CLOCK_MONOTONIC`: the same number in every process of the machine, unlike an `Instant`.
pub fn monotonic_ns() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Seconds since `start` (ns, [`monotonic_ns`]).
pub fn seconds_since(start: i64) -> f64 {
    (monotonic_ns() - start) as f64 / 1e9
}

/// Resident memory of a process in MiB, from `/proc/<pid>/status`.
pub fn rss_mib(pid: u32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// Processor time a process has used, in seconds; 0 where it is gone.
pub fn cpu_seconds(pid: u32) -> f64 {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok().map_or(0.0, |text| ticks_of(&text, 11..13))
}

/// Seconds in the fields of `/proc/<pid>/stat`, counted from the one after the name in brackets.
fn ticks_of(stat: &str, fields: std::ops::Range<usize>) -> f64 {
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        after_name.split_whitespace().take(fields.end).skip(fields.start).flat_map(str::parse::<f64>).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// How many cores processes other than ours kept busy: numbers measured beside others say less.
pub struct Others {
    began: i64,
    busy: f64,
    own: f64,
}

impl Others {
    /// Begins to look. The database at `also` is ours too, though it is no child of this process.
    pub fn watch(also: Option<u32>) -> Self {
        Self { began: monotonic_ns(), busy: busy_seconds(), own: own_seconds(also) }
    }

    /// Cores that others used since. A database that was started meanwhile was started for the measurement.
    pub fn cores(&self, also: Option<u32>) -> f64 {
        let foreign = (busy_seconds() - self.busy) - (own_seconds(also) - self.own);
        (foreign / seconds_since(self.began).max(0.01)).max(0.0)
    }
}

/// Seconds the whole machine has spent busy, stolen time included.
fn busy_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    (ticks.iter().sum::<f64>() - idle) / rustix::param::clock_ticks_per_second() as f64
}

/// Seconds this process and all it started have used, and those of a database.
fn own_seconds(also: Option<u32>) -> f64 {
    family_seconds(std::process::id()) + also.map_or(0.0, family_seconds)
}

/// Seconds that a process and its children have used; those that ended are in their parent's account.
pub fn family_seconds(head: u32) -> f64 {
    let mut total = 0.0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let parent =
            stat.rsplit(')').next().and_then(|it| it.split_whitespace().nth(1)).and_then(|it| it.parse::<u32>().ok());
        if pid == head || parent == Some(head) {
            total += ticks_of(&stat, 11..15);
        }
    }
    total
}

/// The value at share `q` of sorted values.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(((sorted.len() as f64 * q) as usize).min(last)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let hz = rustix::param::clock_ticks_per_second();
        let stat = format!("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 {hz} {} 0", hz * 2);
        assert!((ticks_of(&stat, 11..13) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn quantiles_of_few_values_stay_inside() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.99), 3.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
