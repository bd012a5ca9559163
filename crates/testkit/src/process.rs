//! Processes as the system sees them.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// What is sent to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ends it at once.
    Kill,
    /// Asks it to end.
    Term,
    /// Freezes it.
    Stop,
    /// Lets it go on.
    Cont,
}

/// Sends a signal. The shell's own `kill` does it, so that no unsafe call is needed.
pub fn signal(pid: u32, signal: Signal) {
    let word = match signal {
        Signal::Kill => "KILL",
        Signal::Term => "TERM",
        Signal::Stop => "STOP",
        Signal::Cont => "CONT",
    };
    let status = Command::new("sh").args(["-c", &format!("kill -{word} {pid}")]).status().expect("sh runs");
    assert!(status.success(), "cannot send {word} to {pid}");
}

/// The letter the system has for the state of a process (`T` is stopped, `Z` dead and not yet waited for); `None`: gone.
pub fn state(pid: u32) -> Option<char> {
    // The name in parentheses may hold anything; the state follows the last of them.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The processes that this one started and that are still there.
pub fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|it| it.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent(*id) == Some(pid)).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Resident memory of a process in bytes.
pub fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line for VmRSS");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number of KiB");
    kib * 1024
}

/// Looks until `done` answers something, for at most `patience`; panics with `what` after that.
pub fn until<T>(what: &str, patience: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
