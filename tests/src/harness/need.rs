//! What a story needs of the machine. Where it is missing the story is skipped aloud; where `CI` is set that is a failure.

use std::process::{Command, Stdio};

use tasklane_testkit::story::skip;

/// A program, or a right that a program has here: it ends well when run like this.
pub fn can(story: &str, what: &str, program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let can = command.status().is_ok_and(|it| it.success());
    if !can {
        assert!(std::env::var_os("CI").is_none(), "{story}: {what} is missing on a machine that should have it");
        skip(story, what);
    }
    can
}

/// Whether this process may open as many files as ten thousand connections take at both ends; from now on it may.
pub fn can_open_many_files(story: &str) -> bool {
    let pid = std::process::id().to_string();
    can(story, "20 000 open files", "prlimit", &["--pid", &pid, "--nofile=20000:20000"])
}

/// Runs a program that has to end well.
#[track_caller]
pub fn must(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
