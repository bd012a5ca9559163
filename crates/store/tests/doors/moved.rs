//! A database restored elsewhere begins to number its transactions anew; positions go on.

use tasklane_core::event::Position;
use tasklane_core::task::TaskId;
use tasklane_testkit::postgres::{self, Cluster, Options};

use crate::{open, works};

#[tokio::test]
async fn positions_go_on_where_it_is_restored() {
    let from = postgres::shared();
    let url = from.database("moved");
    // So that the other one's numbers are lower.
    from.sql("DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$");
    let world = open(&url).await.unwrap();
    works(&world).await;
    let before = world.events_after(Position(0)).await;
    world.store.close().await;

    let to = Cluster::start(Options::fast());
    let restored = to.database("restored");
    to.load(&restored, &from.dump(&url));
    for _ in 0..2 {
        let there = open(&restored).await.unwrap();
        let far = there.store.events(Position(before.next.0 + 1_000_000), 9).await.unwrap();
        assert!(far.reset, "nobody gave that position");
        let mut task = there.task("t");
        task.id = TaskId(uuid::Uuid::now_v7());
        there.accept(task).await;
        let page = there.events_after(before.next).await;
        assert!(!page.reset && !page.events.is_empty() && page.next > before.next, "{page:?}");
        let all = there.events_after(Position(0)).await;
        assert_eq!(all.events[..before.events.len()], before.events[..]);
        there.store.close().await;
    }
}
