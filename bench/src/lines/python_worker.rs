//! `end_to_end` with a worker of the Python SDK: plain functions in threads, then coroutines on one event loop.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::payload::Spread;
use crate::place::Place;
use crate::process::Worker;
use crate::report::{Line, sample};
use crate::server::Server;
use crate::settings::Settings;

use super::end_to_end::Job;

/// How many tasks the line works through.
const TASKS: usize = 20_000;
/// Handlers at once, by how they run.
const HANDLERS: [(&str, &str); 2] = [("threads", "8"), ("asyncio", "100")];

/// Prints the lines of `python_worker`.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    for (handlers, concurrency) in HANDLERS {
        let line = Line { name: "python_worker", by: "per_second" };
        line.measure(settings, || {
            let place = Place::fresh(settings)?;
            let server = Server::start(settings, &place)?;
            let servers = [server];
            let job = Job { place: &place, servers: &servers, tasks, spread: Spread::NONE };
            let sample = job.queue_then(|server| start(server, place.dir(), handlers, concurrency))?;
            servers.into_iter().try_for_each(|server| server.stop().map(drop))?;
            Ok(sample! { "handlers": handlers, "concurrency": concurrency }.with(sample))
        })?;
    }
    Ok(())
}

/// The SDK has no dependencies, so it runs from the tree with any Python: `PYTHON`, else `python3`.
fn start(server: &Server, dir: &Path, handlers: &str, concurrency: &str) -> Result<Worker, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(python);
    command.arg(root.join("bench/peer/worker.py")).arg(dir).args([handlers, concurrency]);
    command.env("PYTHONPATH", root.join("sdks/python/src")).env("TASKLANE_URL", server.url());
    // Nothing is left in the tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Worker::spawn(command, dir)
}
