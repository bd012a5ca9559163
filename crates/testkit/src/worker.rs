//! `tasklane worker` as a process of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::binary;
use crate::process::{self, Signal};
use crate::server::clean;

/// Longest time a worker may take to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A worker process; killed when dropped.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
    own: TempDir,
}

impl WorkerProcess {
    /// Starts one for these servers, with these arguments and variables, and a file `tasklane.toml` of this text.
    pub fn start(servers: &[String], arguments: &[&str], environment: &[(&str, OsString)], file: &str) -> Self {
        let own = TempDir::with_prefix("tasklane-worker-").expect("a temporary directory");
        fs::write(own.path().join("tasklane.toml"), file).expect("the file can be written");
        let log = File::create(own.path().join("worker.log")).expect("the log opens");
        let mut command = Command::new(binary::tasklane());
        command.current_dir(own.path()).arg("worker").args(arguments);
        command.args(servers.iter().flat_map(|url| ["--server", url]));
        clean(&mut command).envs(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        Self { child: command.spawn().expect("the worker can be started"), own }
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.own.path().join("worker.log")).unwrap_or_default()
    }

    /// How often it logged a line with this text.
    pub fn said(&self, text: &str) -> usize {
        self.log().lines().filter(|it| it.contains(text)).count()
    }

    /// Waits until it logs a line with this text.
    pub fn until_says(&self, text: &str) {
        process::until(text, PATIENCE, || (self.said(text) > 0).then_some(()));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.child.id(), signal);
    }

    /// Waits for its end.
    pub fn wait_end(&mut self) -> ExitStatus {
        process::until("the worker to end", PATIENCE, || self.child.try_wait().expect("a child can be looked at"))
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            // Printed through the harness, which shows it beside the failure.
            #[expect(clippy::print_stderr, reason = "the log of a worker whose story failed")]
            {
                eprintln!("--- the worker's log\n{}", self.log());
            }
        }
    }
}
