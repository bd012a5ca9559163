//! SQLite passes the suite.

use crate::conformance::world::{World, beginning, fairness};
use tasklane_store::sqlite::{Options, SqliteStore};
use tasklane_testkit::ManualClock;

async fn make() -> World {
    let clock = ManualClock::at(beginning());
    let dir = tempfile::tempdir().unwrap();
    let fairness = fairness();
    let options = Options { reserve_bytes: 1 << 16, fairness, ..Options::new(dir.path(), clock.clone()) };
    World::new(SqliteStore::open(options).unwrap(), clock, dir)
}

crate::conformance!(super::make);
