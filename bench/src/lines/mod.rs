//! One file a line, or a family of lines that share their set-up.

mod cold_start;
mod disk_bytes;
mod end_to_end;
mod history;
mod latency;
mod lease_time;
mod memory;
mod pg_floor;
mod pipeline;
mod postgres_peers;
mod python_worker;
mod spread;
mod sqlite_floor;
mod store;
mod submit;

use crate::Failure;
use crate::report::say;
use crate::settings::{Settings, Store};

/// Name of the line, the stores it can be measured on, and what measures and prints it.
type Entry = (&'static str, &'static [Store], fn(&Settings) -> Result<(), Failure>);

const SQLITE: &[Store] = &[Store::Sqlite];
const POSTGRES: &[Store] = &[Store::Postgres];
const BOTH: &[Store] = &[Store::Sqlite, Store::Postgres];

/// Every line, in the order of the road.
const LINES: &[Entry] = &[
    ("sqlite_floor", SQLITE, sqlite_floor::run),
    ("pg_floor", POSTGRES, pg_floor::run),
    ("graphile_worker", POSTGRES, postgres_peers::graphile_worker),
    ("pg_boss", POSTGRES, postgres_peers::pg_boss),
    ("store_accept", BOTH, store::accept),
    ("store_drain", BOTH, store::drain),
    ("submit_single", BOTH, submit::single),
    ("submit_batch", BOTH, submit::batch),
    ("end_to_end", BOTH, end_to_end::run),
    ("tenants", BOTH, spread::tenants),
    ("lanes", BOTH, spread::lanes),
    ("gates", BOTH, spread::gates),
    ("pipeline", BOTH, pipeline::run),
    ("python_worker", SQLITE, python_worker::run),
    ("latency", BOTH, latency::run),
    ("lease_time", BOTH, lease_time::run),
    ("end_to_end_history", SQLITE, history::run),
    ("disk_bytes", SQLITE, disk_bytes::run),
    ("memory", BOTH, memory::run),
    ("cold_start", BOTH, cold_start::run),
];

/// Measures what the settings ask for. A line that fails is said and the others are measured.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    if let Some(unknown) = settings.only.iter().find(|name| LINES.iter().all(|(it, ..)| it != name)) {
        let known: Vec<&str> = LINES.iter().map(|(name, ..)| *name).collect();
        return Err(format!("ONLY={unknown}: the lines are {}", known.join(", ")).into());
    }
    let mut failed = Vec::new();
    for store in &settings.stores {
        let settings = settings.on(*store);
        for (name, stores, line) in LINES {
            if settings.wants(name)
                && stores.contains(store)
                && let Err(failure) = line(&settings)
            {
                say(&format!("FAILED {failure}"));
                failed.push(*name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not measured: {}", failed.join(", ")).into()) }
}
