//! PostgreSQL passes the suite.

use std::sync::Arc;

use crate::conformance::world::{World, beginning, fairness};
use tasklane_store::postgres::{Options, PostgresStore, Whose};
use tasklane_testkit::{ManualClock, postgres};

async fn make() -> World {
    let clock = ManualClock::at(beginning());
    let url = postgres::shared().url();
    let schema = postgres::fresh_schema_name();
    let time = Whose::Given(clock.clone());
    let fairness = fairness();
    let options = Options { schema: schema.into(), time, fairness, ..Options::new(url, clock.clone()) };
    let store: Arc<PostgresStore> = PostgresStore::open(options).await.unwrap();
    World::new(store, clock, ())
}

crate::conformance!(super::make);
