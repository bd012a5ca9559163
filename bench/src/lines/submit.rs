//! Submitting, every answer synced: one task a request at 1 and 50 in flight, and batches.

use tasklane_client::Client;

use crate::load::{BATCH, BATCHES_IN_FLIGHT, Cores, block_on, fill, singles};
use crate::place::Place;
use crate::report::{Line, Sample, sample};
use crate::server::Server;
use crate::settings::Settings;
use crate::{Failure, callers};

const SECONDS: f64 = 3.0;
/// Opens connections and fills caches before it counts.
const WARM_UP_SECONDS: f64 = 0.2;
const BATCH_TASKS: usize = 400_000;

/// Prints the lines of `submit_single`.
pub fn single(settings: &Settings) -> Result<(), Failure> {
    for in_flight in [1, 50] {
        let line = Line { name: "submit_single", by: "per_second" };
        line.measure(settings, || single_http(settings, in_flight))?;
    }
    for callers in [50, 1000] {
        let line = Line { name: "submit_single", by: "per_second" };
        line.measure(settings, || single_client(settings, callers))?;
    }
    Ok(())
}

fn single_client(settings: &Settings, callers: usize) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    let server = Server::start(settings, &place)?;
    let client = Client::builder().url(server.url()).build()?;
    let sample = block_on(async {
        callers::singles(&client, callers, WARM_UP_SECONDS).await?;
        let cores = Cores::watch(&server, &place);
        let sent = callers::singles(&client, callers, SECONDS / settings.divide as f64).await?;
        Ok(sample! { "via": "client", "in_flight": callers }.with(cores.rate(sent)))
    })?;
    server.stop()?;
    Ok(sample)
}

fn single_http(settings: &Settings, in_flight: usize) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    let server = Server::start(settings, &place)?;
    block_on(singles(server.address, in_flight, WARM_UP_SECONDS))?;
    let cores = Cores::watch(&server, &place);
    let sent = block_on(singles(server.address, in_flight, SECONDS / settings.divide as f64))?;
    let sample = sample! { "via": "http", "in_flight": in_flight }.with(cores.rate(sent));
    server.stop()?;
    Ok(sample)
}

/// Prints the line `submit_batch`.
pub fn batch(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(BATCH_TASKS);
    let line = Line { name: "submit_batch", by: "per_second" };
    line.measure(settings, || {
        let place = Place::fresh(settings)?;
        let server = Server::start(settings, &place)?;
        block_on(fill(&server, BATCH))?;
        let cores = Cores::watch(&server, &place);
        block_on(fill(&server, tasks))?;
        let sample = sample! { "batch": BATCH, "in_flight": BATCHES_IN_FLIGHT };
        let sample = sample.with(cores.rate(tasks));
        server.stop()?;
        Ok(sample)
    })?;
    Ok(())
}
