//! The model passes the suite.

use crate::conformance::world::{World, beginning};
use tasklane_store::memory::MemoryStore;
use tasklane_testkit::ManualClock;

async fn make() -> World {
    let clock = ManualClock::at(beginning());
    World::new(MemoryStore::new(clock.clone()), clock, ())
}

crate::conformance!(super::make);
