//! A private PostgreSQL: made in a temporary directory, on a port of its own, ended with whoever started it.
//!
//! [`shared`] is for tests that need a database and nothing more; a [`Cluster`] of its own for those that strike at it.

mod address;
mod bouncer;
mod cluster;
mod hungry;
mod programs;
mod standby;
mod watch;

use std::sync::OnceLock;

pub use address::{Address, Scratch, fresh_schema_name};
pub use bouncer::Bouncer;
pub use cluster::{Cluster, Durability, End, Options};
pub use hungry::Hungry;

/// The variable by which `make test` names the one cluster that all its test processes share.
pub const SHARED: &str = "TASKLANE_TEST_POSTGRES";

/// The cluster that tests share: the one that [`SHARED`] names, else one of this process, started by the first call and
/// ended with the process. It is [`Durability::Fast`]; nobody may stop or restart it.
pub fn shared() -> &'static Address {
    static NAMED: OnceLock<Address> = OnceLock::new();
    static OWN: OnceLock<Cluster> = OnceLock::new();
    match std::env::var(SHARED) {
        Ok(url) => NAMED.get_or_init(|| Address::of_url(&url)),
        Err(_) => OWN.get_or_init(|| Cluster::start(Options::fast())),
    }
}
