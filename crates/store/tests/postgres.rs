//! PostgreSQL passes the suite.
#![allow(clippy::unwrap_used)]

mod conformance;

use std::sync::Arc;

use conformance::world::{World, beginning};
use tasklane_store::postgres::{Options, PostgresStore, Whose};
use tasklane_testkit::ManualClock;

async fn make() -> World {
    let clock = ManualClock::at(beginning());
    let url = std::env::var("TASKLANE_TEST_POSTGRES").unwrap();
    let schema = format!("t{}", uuid::Uuid::now_v7().simple());
    let time = Whose::Given(clock.clone());
    let options = Options { schema: schema.into(), time, ..Options::new(url, clock.clone()) };
    let store: Arc<PostgresStore> = PostgresStore::open(options).await.unwrap();
    World::new(store, clock, ())
}

conformance!(crate::make);
