//! Bytes on disk a task: the growth of the database's files, measured after a clean stop, when all tasks are queued and
//! when all have succeeded. The reserve file is no task's.

use std::fs;
use std::path::Path;

use crate::Failure;
use crate::lines::end_to_end::all_settled;
use crate::load::{block_on, fill};
use crate::place::Place;
use crate::process::Worker;
use crate::report::{Line, Sample, sample};
use crate::server::Server;
use crate::settings::Settings;

const TASKS: usize = 200_000;

/// Prints the line.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    let once = settings.once();
    Line { name: "disk_bytes", by: "finished_bytes" }.measure(&once, || measure(settings, tasks)).map(drop)
}

fn measure(settings: &Settings, tasks: usize) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    let data = place.data();
    Server::start(settings, &place)?.stop()?;
    let empty = bytes_under(&data)?;
    let server = Server::start(settings, &place)?;
    block_on(fill(&server, tasks))?;
    server.stop()?;
    let queued = bytes_under(&data)?;
    let server = Server::start(settings, &place)?;
    let worker = Worker::start(&server, place.dir())?;
    worker.wait_for(tasks)?;
    all_settled(&server)?;
    drop(worker);
    server.stop()?;
    let finished = bytes_under(&data)?;
    let each = |bytes: u64| bytes.saturating_sub(empty) as f64 / tasks as f64;
    Ok(sample! { "tasks": tasks, "payload_bytes": 100, "queued_bytes": each(queued), "finished_bytes": each(finished) })
}

/// Bytes of the files under `dir`, the reserve left out.
fn bytes_under(dir: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let is_reserve = entry.file_name().to_string_lossy().contains("reserve");
        let about = entry.metadata()?;
        bytes += match about.is_dir() {
            true => bytes_under(&entry.path())?,
            false if is_reserve => 0,
            false => about.len(),
        };
    }
    Ok(bytes)
}
