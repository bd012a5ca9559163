//! The bench's other processes: itself, started again with a hidden argument.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::Failure;
use crate::machine::{monotonic_ns, seconds_since};
use crate::server::Server;
use crate::tally::{Seen, waits_ms};

/// The argument of a worker.
pub const WORK: &str = "work";

/// A measurement that stands still for this long is given up.
const PATIENCE_SECONDS: f64 = 120.0;

/// A worker with a handler that does nothing, in a process of its own.
pub struct Worker {
    child: Child,
    dir: PathBuf,
}

impl Worker {
    /// Starts one that serves `server` and writes its tally under `dir`.
    pub fn start(server: &Server, dir: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([WORK, &server.url()]).arg(dir);
        Self::spawn(command, dir)
    }

    /// Starts another program that works and writes its tally under `dir`.
    pub fn spawn(mut command: Command, dir: &Path) -> Result<Self, Failure> {
        let worker = Self { child: command.stdin(Stdio::null()).spawn()?, dir: dir.to_owned() };
        let began = monotonic_ns();
        while Seen::read(dir, worker.pid()).is_none() {
            if seconds_since(began) > PATIENCE_SECONDS {
                return Err("the worker says nothing".into());
            }
            sleep(Duration::from_millis(1));
        }
        Ok(worker)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it did so far.
    pub fn seen(&self) -> Seen {
        Seen::read(&self.dir, self.pid()).unwrap_or_default()
    }

    /// Milliseconds from submit to start, sorted.
    pub fn waits_ms(&self) -> Vec<f64> {
        waits_ms(&self.dir, self.pid())
    }

    /// Waits until it has handled `count` tasks.
    pub fn wait_for(&self, count: usize) -> Result<Seen, Failure> {
        wait_for_all(std::slice::from_ref(self), count)
    }
}

/// Waits until these workers have handled `count` tasks together.
pub fn wait_for_all(workers: &[Worker], count: usize) -> Result<Seen, Failure> {
    let (mut moved, mut last) = (monotonic_ns(), 0);
    loop {
        let seen = workers.iter().map(Worker::seen).fold(Seen::default(), Seen::and);
        if seen.count >= count as i64 {
            return Ok(seen);
        }
        if seen.count != last {
            (moved, last) = (monotonic_ns(), seen.count);
        }
        if seconds_since(moved) > PATIENCE_SECONDS {
            return Err(format!("the workers stand still at {last} of {count}").into());
        }
        sleep(Duration::from_millis(2));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
