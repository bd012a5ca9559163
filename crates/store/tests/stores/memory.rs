//! The model passes the suite.

use crate::conformance::world::{World, beginning, fairness};
use tasklane_store::memory::MemoryStore;
use tasklane_testkit::ManualClock;

async fn make() -> World {
    let clock = ManualClock::at(beginning());
    World::new(MemoryStore::with(clock.clone(), fairness()), clock, ())
}

crate::conformance!(super::make);
