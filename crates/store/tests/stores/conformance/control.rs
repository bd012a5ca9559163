use tasklane_core::lease::{LaneFilter, TypeFilter};
use tasklane_core::queue::QueueState;

use super::world::World;

pub async fn a_paused_queue_gives_nothing(world: World) {
    world.accept(world.task("t")).await;
    world.accept(world.task_in("other", "t")).await;
    world.control("q", QueueState::Paused).await;
    world.accept(world.task("t")).await;
    assert_eq!(world.lease(9).await.len(), 1, "other queues go on");
    let named = LaneFilter { queue: Some("q".into()), types: TypeFilter::Only(vec!["t".into()]) };
    assert!(world.lease_as(world.request_for(9, vec![named])).await.is_empty());
    world.control("q", QueueState::Active).await;
    assert_eq!(world.lease(9).await.len(), 2);
}

pub async fn a_queue_can_be_made_by_hand(world: World) {
    world.control("new", QueueState::Paused).await;
    let queues = world.store.queues(Some("new".into())).await.unwrap();
    assert_eq!((queues.len(), queues[0].state, queues[0].counts.total()), (1, QueueState::Paused, 0));
    world.accept(world.task_in("new", "t")).await;
    assert!(world.lease(9).await.is_empty());
}
