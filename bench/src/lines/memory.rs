//! What the server costs while nothing happens: memory and processor time when empty, memory with a long queue.

use std::thread::sleep;
use std::time::Duration;

use crate::Failure;
use crate::load::{block_on, fill};
use crate::machine::{cpu_seconds, rss_mib};
use crate::place::Place;
use crate::report::{Line, Sample, sample};
use crate::server::Server;
use crate::settings::Settings;

const QUEUED: usize = 1_000_000;
const SETTLE_DOWN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_secs(10);

/// Prints the line.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let queued = settings.tasks(QUEUED);
    Line { name: "memory", by: "queued_rss_mib" }.measure(settings, || measure(settings, queued)).map(drop)
}

fn measure(settings: &Settings, queued: usize) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    let server = Server::start(settings, &place)?;
    sleep(SETTLE_DOWN);
    let before = cpu_seconds(server.pid());
    sleep(LOOK);
    let idle_cpu = (cpu_seconds(server.pid()) - before) / LOOK.as_secs_f64();
    let idle_rss = rss_mib(server.pid())?;
    block_on(fill(&server, queued))?;
    sleep(SETTLE_DOWN);
    let queued_rss = rss_mib(server.pid())?;
    server.stop()?;
    Ok(sample! {
        "idle_rss_mib": idle_rss,
        "idle_cpu_percent": idle_cpu * 100.0,
        "queued": queued,
        "queued_rss_mib": queued_rss,
    })
}
