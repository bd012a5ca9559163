//! Submit while working: a worker is there from the start. Timed from the first submit to the last accepted completion.

use crate::Failure;
use crate::lines::end_to_end::all_settled;
use crate::load::{BATCH, BATCHES_IN_FLIGHT, block_on, fill};
use crate::machine::{monotonic_ns, seconds_since};
use crate::place::Place;
use crate::process::Worker;
use crate::report::{Line, Sample, rate, sample};
use crate::server::Server;
use crate::settings::Settings;

const TASKS: usize = 200_000;

/// Prints the line.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    Line { name: "pipeline", by: "per_second" }.measure(settings, || measure(settings, tasks)).map(drop)
}

fn measure(settings: &Settings, tasks: usize) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    let server = Server::start(settings, &place)?;
    let worker = Worker::start(&server, place.dir())?;
    block_on(fill(&server, BATCH))?;
    worker.wait_for(BATCH)?;
    let began = monotonic_ns();
    block_on(fill(&server, tasks))?;
    let submitted = seconds_since(began);
    worker.wait_for(tasks + BATCH)?;
    let settled = all_settled(&server)?;
    let sample = rate(tasks, (settled - began) as f64 / 1e9).with(
        sample! { "submitted_per_second": tasks as f64 / submitted, "batch": BATCH, "in_flight": BATCHES_IN_FLIGHT },
    );
    drop(worker);
    server.stop()?;
    Ok(sample)
}
