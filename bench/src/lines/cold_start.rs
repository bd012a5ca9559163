//! From the start of the process to the first 200 of `/ready`: on an empty store, and on a long queue.

use crate::Failure;
use crate::load::{block_on, fill};
use crate::place::Place;
use crate::report::{Line, Sample, sample};
use crate::server::Server;
use crate::settings::Settings;

const QUEUED: usize = 1_000_000;

/// Prints a line for each.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let line = Line { name: "cold_start", by: "ready_ms" };
    line.measure(settings, || start(settings, &Place::fresh(settings)?, 0))?;
    let (place, queued) = (Place::fresh(settings)?, settings.tasks(QUEUED));
    let server = Server::start(settings, &place)?;
    block_on(fill(&server, queued))?;
    server.stop()?;
    line.measure(settings, || start(settings, &place, queued))?;
    Ok(())
}

fn start(settings: &Settings, place: &Place, queued: usize) -> Result<Sample, Failure> {
    let server = Server::start(settings, place)?;
    let ready_ms = server.ready_ms;
    let stop_seconds = server.stop()?;
    Ok(sample! { "queued": queued, "ready_ms": ready_ms, "stop_ms": stop_seconds * 1e3 })
}
