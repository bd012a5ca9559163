//! Stories tell how long they took, and why they could not be told.

use std::env;
use std::fs::OpenOptions;
use std::io::{Write, stderr};
use std::path::Path;
use std::process;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{Signal, children, signal};

/// How long a story may take unless it says more: many times what the slowest takes.
pub const LIMIT: Duration = Duration::from_secs(300);

/// Tells one story and reports its time.
pub fn story(name: &str, tell: impl FnOnce()) {
    story_within(LIMIT, name, tell);
}

/// Tells one story that may take so long. One that takes longer ends the whole test process with a word about which it was:
/// where it hangs nobody knows, and without its end nobody would hear of the others.
pub fn story_within(limit: Duration, name: &str, tell: impl FnOnce()) {
    let start = Instant::now();
    let (over, told) = mpsc::channel::<()>();
    let watched = name.to_owned();
    let watch = thread::spawn(move || {
        if told.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            hung(&watched, limit);
        }
    });
    tell();
    drop(over);
    // What it hung at may have ended with what was killed: then this does not come back.
    watch.join().expect("whoever watches does not panic");
    report(&format!("ran {:.2} {name}", start.elapsed().as_secs_f64()));
}

/// Ends this process and what it started, which would otherwise keep its output open.
fn hung(name: &str, limit: Duration) -> ! {
    report(&format!("hung {name} for {} s", limit.as_secs()));
    let _ = writeln!(stderr(), "the story {name} is not told after {limit:?}: the test process ends here");
    children(process::id()).into_iter().for_each(|child| signal(child, Signal::Kill));
    process::exit(101);
}

/// Says aloud that a story cannot be told on this machine. Only for what the machine cannot do: what it can do and did not
/// is a failure.
pub fn skip(name: &str, reason: &str) {
    report(&format!("skipped {name}: {reason}"));
    // Straight to the stream: the test harness hides what passing tests print.
    let _ = writeln!(stderr(), "skipped {name}: {reason}");
}

/// One line into the report that `make test` reads.
fn report(line: &str) {
    if let Some(path) = env::var_os("TASKLANE_STORY_REPORT") {
        let mut file = OpenOptions::new().create(true).append(true).open(Path::new(&path)).expect("the report opens");
        file.write_all(format!("{line}\n").as_bytes()).expect("the report can be written");
    }
}
