//! One file a line, or a family of lines that share their set-up.

mod cold_start;
mod disk_bytes;
mod end_to_end;
mod history;
mod latency;
mod lease_time;
mod memory;
mod pipeline;
mod python_worker;
mod sqlite_floor;
mod store;
mod submit;

use crate::Failure;
use crate::report::say;
use crate::settings::Settings;

/// Name of the line and what measures and prints it.
type Entry = (&'static str, fn(&Settings) -> Result<(), Failure>);

/// Every line, in the order of the road.
const LINES: &[Entry] = &[
    ("sqlite_floor", sqlite_floor::run),
    ("store_accept", store::accept),
    ("store_drain", store::drain),
    ("submit_single", submit::single),
    ("submit_batch", submit::batch),
    ("end_to_end", end_to_end::run),
    ("pipeline", pipeline::run),
    ("python_worker", python_worker::run),
    ("latency", latency::run),
    ("lease_time", lease_time::run),
    ("end_to_end_history", history::run),
    ("disk_bytes", disk_bytes::run),
    ("memory", memory::run),
    ("cold_start", cold_start::run),
];

/// Measures what the settings ask for. A line that fails is said and the others are measured.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    if let Some(unknown) = settings.only.iter().find(|name| LINES.iter().all(|(it, _)| it != name)) {
        let known: Vec<&str> = LINES.iter().map(|(name, _)| *name).collect();
        return Err(format!("ONLY={unknown}: the lines are {}", known.join(", ")).into());
    }
    let mut failed = Vec::new();
    for (name, line) in LINES {
        if settings.wants(name)
            && let Err(failure) = line(settings)
        {
            say(&format!("FAILED {failure}"));
            failed.push(*name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not measured: {}", failed.join(", ")).into()) }
}
