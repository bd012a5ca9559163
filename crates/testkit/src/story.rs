//! Stories tell how long they took, and why they could not be told.

use std::env;
use std::fs::OpenOptions;
use std::io::{Write, stderr};
use std::path::Path;
use std::time::Instant;

/// Tells one story and reports its time.
pub fn story(name: &str, tell: impl FnOnce()) {
    let start = Instant::now();
    tell();
    report(&format!("ran {:.2} {name}", start.elapsed().as_secs_f64()));
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
