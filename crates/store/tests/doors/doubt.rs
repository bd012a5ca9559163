//! A commit whose answer does not come is asked after.

use bytes::Bytes;
use tasklane_core::accept::{NewTask, Submission};
use tasklane_core::error::StoreError;
use tasklane_core::ports::store::Batch;
use tasklane_core::settle::Settled;
use tasklane_testkit::postgres;

use crate::open_with;
use crate::proxy::{LOSE_THE_ANSWER, LOSE_THE_COMMIT, Proxy};
use crate::world::{World, success};

async fn behind(proxy: &Proxy) -> World {
    let schema = postgres::fresh_schema_name();
    open_with(&proxy.url(), |it| it.schema = schema.into()).await.unwrap()
}

fn task(world: &World, what: &str) -> NewTask {
    NewTask { payload: Bytes::from(format!("{what:?}")), ..world.task("t") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_answered_as_committed() {
    let proxy = Proxy::to(postgres::shared().port());
    let world = behind(&proxy).await;
    let task = task(&world, LOSE_THE_ANSWER);
    let id = task.id;
    assert_eq!(world.accept(task).await.id, id);
    assert_eq!(proxy.cuts(), 1);
    assert_eq!(world.events().await.len(), 1, "it was accepted once");
    let leased = world.lease(9).await;
    assert_eq!(leased.len(), 1);
    let result = Box::leak(format!("{LOSE_THE_ANSWER:?}").into_boxed_str());
    assert_eq!(world.report(&leased[0], success(result)).await, Settled::Held);
    // The lease's answer showed the payload to nobody but us: only what we send arms the wire.
    assert_eq!(proxy.cuts(), 2);
    assert_eq!(world.get(id).await.result.as_deref(), Some(result.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_did_not_arrive_did_not_happen() {
    let proxy = Proxy::to(postgres::shared().port());
    let world = behind(&proxy).await;
    let task = task(&world, LOSE_THE_COMMIT);
    let batch = Batch { accept: vec![Submission { tasks: vec![task.clone()] }], ..Batch::default() };
    let answer = world.store.commit(batch).await;
    assert!(matches!(answer, Err(StoreError::Away(_))), "{answer:?}");
    assert_eq!(proxy.cuts(), 1);
    assert!(world.find(task.id).await.is_none());
    assert_eq!(world.events().await.len(), 0);
    let again = NewTask { payload: Bytes::from_static(b"1"), ..task };
    assert_eq!(world.accept(again.clone()).await.id, again.id);
    assert_eq!(world.lease(9).await.len(), 1);
}
