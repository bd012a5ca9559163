//! Programs that take sessions from everybody else.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::programs::command;

/// Programs that take a session each as soon as there is one to be had, and keep it until this is dropped; one more cuts
/// those sessions whose place they are to take, again and again.
#[derive(Debug)]
pub struct Hungry(Child);

impl Hungry {
    /// So many of them, in the database of that URL; they take the places of sessions of that name.
    pub fn start(url: &str, many: u32, victims: &str) -> Self {
        let psql = command("psql", Path::new("/"));
        let mut shell = Command::new("sh");
        let cut =
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{victims}'");
        // A session that waits for its client ends with it; one in the middle of a statement would not notice.
        let one = "until echo 'SELECT 1 \\watch 600' | \"$0\" \"$1\"; do sleep 0.02; done";
        let all =
            format!("echo \"{cut} \\\\watch 0.05\" | \"$0\" \"$1\" & for n in $(seq {many}); do ({one}) & done; wait");
        shell.args(["-c", &all]).arg(psql.get_program()).arg(url);
        shell.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(shell.spawn().expect("sh runs"))
    }
}

impl Drop for Hungry {
    fn drop(&mut self) {
        let _ = Command::new("sh").args(["-c", &format!("kill -KILL -{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}
