//! The main job: tasks wait in the queue, then a worker in another process runs them all. Timed from the first handler's
//! start to the last accepted completion, and to the last handler's end.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::Failure;
use crate::http::{Connection, request};
use crate::load::{block_on, fill};
use crate::machine::{cpu_seconds, monotonic_ns, rss_mib, seconds_since};
use crate::process::Worker;
use crate::report::{Line, Sample, rate, sample};
use crate::server::Server;
use crate::settings::Settings;

/// How many tasks the line works through.
pub const TASKS: usize = 200_000;
/// A completion that is not accepted for this long is given up.
const PATIENCE_SECONDS: f64 = 60.0;

/// Prints the line `end_to_end`.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    let line = Line { name: "end_to_end", by: "per_second" };
    line.measure(settings, || {
        let dir = settings.fresh_dir()?;
        let server = Server::start(settings, dir.path())?;
        let sample = queue_then_work(&server, dir.path(), tasks)?;
        server.stop()?;
        Ok(sample)
    })?;
    Ok(())
}

/// Queues `tasks`, then starts a worker and waits until all of them are settled.
pub fn queue_then_work(server: &Server, dir: &Path, tasks: usize) -> Result<Sample, Failure> {
    queue_then(server, tasks, || Worker::start(server, dir))
}

/// The same with another worker.
pub fn queue_then(
    server: &Server,
    tasks: usize,
    start: impl FnOnce() -> Result<Worker, Failure>,
) -> Result<Sample, Failure> {
    block_on(fill(server.address, tasks))?;
    let (began, spent) = (monotonic_ns(), cpu_seconds(server.pid()));
    let worker = start()?;
    let seen = worker.wait_for(tasks)?;
    let settled = all_settled(server)?;
    let wall = seconds_since(began);
    let seconds = (settled - seen.first) as f64 / 1e9;
    let handled = (seen.last - seen.first) as f64 / 1e9;
    Ok(rate(tasks, seconds).with(sample! {
        "handled_per_second": tasks as f64 / handled,
        "seconds_from_worker_start": (settled - began) as f64 / 1e9,
        "server_cores": (cpu_seconds(server.pid()) - spent) / wall,
        "worker_cores": cpu_seconds(worker.pid()) / wall,
        "server_rss_mib": rss_mib(server.pid())?,
        "worker_rss_mib": rss_mib(worker.pid())?,
        "worker_processes": 1,
    }))
}

/// When the server says that no task is unfinished any more (ns), which is when the last completion was accepted.
pub fn all_settled(server: &Server) -> Result<i64, Failure> {
    let ask = request("GET", "/v1/queues/default", "");
    let began = monotonic_ns();
    block_on(async {
        let mut connection = Connection::open(server.address).await?;
        loop {
            let unfinished = unfinished(connection.expect(200, &ask).await?)?;
            if unfinished == 0 {
                return Ok(monotonic_ns());
            }
            if seconds_since(began) > PATIENCE_SECONDS {
                return Err(format!("{unfinished} tasks stay unfinished").into());
            }
            sleep(Duration::from_millis(1));
        }
    })
}

/// The sum of the counts of a queue.
fn unfinished(body: &[u8]) -> Result<u64, Failure> {
    let queue: serde_json::Value = serde_json::from_slice(body)?;
    let counts = queue["counts"].as_object().ok_or("a queue without counts")?;
    Ok(counts.values().filter_map(serde_json::Value::as_u64).sum())
}
