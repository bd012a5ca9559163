//! How soon an idle worker in another process starts a task: from the start of the submit call to the start of the
//! handler, by the clock both processes share.

use std::thread::sleep;
use std::time::Duration;

use tasklane_client::Client;

use crate::Failure;
use crate::callers::{paced, singles};
use crate::load::block_on;
use crate::machine::quantile;
use crate::place::Place;
use crate::process::Worker;
use crate::report::{Line, Sample, sample};
use crate::server::Server;
use crate::settings::Settings;

const TASKS: usize = 500;
/// Submits that warm up connections and caches.
const WARM_UP_SECONDS: f64 = 0.2;
const SETTLE_DOWN: Duration = Duration::from_millis(500);

/// Prints the line.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    Line { name: "latency", by: "p50_ms" }.measure(settings, || measure(settings)).map(drop)
}

fn measure(settings: &Settings) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    let server = Server::start(settings, &place)?;
    let worker = Worker::start(&server, place.dir())?;
    let client = Client::builder().url(server.url()).build()?;
    block_on(async {
        let warm_up = singles(&client, 1, WARM_UP_SECONDS).await?;
        worker.wait_for(warm_up)?;
        sleep(SETTLE_DOWN);
        paced(&client, TASKS).await?;
        worker.wait_for(warm_up + TASKS)
    })?;
    let waits = worker.waits_ms();
    drop(worker);
    server.stop()?;
    if waits.len() != TASKS {
        return Err(format!("{} of {TASKS} tasks told their latency", waits.len()).into());
    }
    Ok(sample! {
        "tasks": TASKS,
        "p50_ms": quantile(&waits, 0.5), "p90_ms": quantile(&waits, 0.9), "p99_ms": quantile(&waits, 0.99),
        "max_ms": quantile(&waits, 1.0),
    })
}
