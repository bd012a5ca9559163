//! The model passes the suite.

use std::time::Duration;

use tasklane_core::accept::NewTask;
use tasklane_core::gate::{Bounds, Limit, Rate};
use tasklane_core::ports::store::Batch;

use crate::conformance::world::{World, beginning, fairness};
use tasklane_store::memory::MemoryStore;
use tasklane_testkit::ManualClock;

async fn make() -> World {
    let clock = ManualClock::at(beginning());
    World::new(MemoryStore::with(clock.clone(), fairness()), clock, ())
}

crate::conformance!(super::make);

#[tokio::test]
async fn room_that_came_by_time_is_told_by_who_promotes_and_no_lease() {
    let world = make().await;
    let bounds = Bounds { max_running: None, rate: Some(Rate { count: 2, per: Duration::from_secs(5) }) };
    let limit = Limit { key: "k".into(), bounds };
    for _ in 0..5 {
        world.accept(NewTask { limits: Limit::share([limit.clone()]), ..world.task("t") }).await;
    }
    assert_eq!(world.lease(2).await.len(), 2);
    world.advance(Duration::from_secs(9));
    let leased = world.commit(Batch { lease: vec![world.request(1)], ..Batch::default() }).await;
    assert_eq!((leased.lease[0].len(), leased.opened.len()), (1, 0));
    let promoted = world.commit(Batch { promote: 9, ..Batch::default() }).await;
    assert_eq!(promoted.opened.iter().map(|it| it.1).collect::<Vec<_>>(), [1]);
}
