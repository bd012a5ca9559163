//! The ways to PostgreSQL, with the real thing at their end: TLS, several hosts, a pooler, a connection that is cut,
//! servers that migrate at once, a database restored elsewhere.
#![allow(clippy::unwrap_used)]

mod doubt;
mod gates;
mod migrations;
mod moved;
mod pooler;
mod proxy;
mod rows;
mod tls;
mod turns;
#[allow(dead_code)]
#[path = "../stores/conformance/world.rs"]
mod world;

use std::sync::Arc;

use tasklane_core::accept::NewTask;
use tasklane_core::ports::store::Store;
use tasklane_core::task::TaskId;
use tasklane_store::postgres::{OpenError, Options, PostgresStore, Whose};
use tasklane_testkit::ManualClock;

use world::World;

/// Options for `url`, with a clock that stands still.
fn options(url: &str, clock: &Arc<ManualClock>) -> Options {
    Options { time: Whose::Given(clock.clone()), ..Options::new(url, clock.clone()) }
}

/// The store at `url`, in its schema of the usual name.
async fn open(url: &str) -> Result<World, OpenError> {
    open_with(url, |_| {}).await
}

async fn open_with(url: &str, change: impl FnOnce(&mut Options)) -> Result<World, OpenError> {
    let clock = ManualClock::at(world::beginning());
    let mut options = options(url, &clock);
    change(&mut options);
    let store: Arc<dyn Store> = PostgresStore::open(options).await?;
    Ok(World::new(store, clock, ()))
}

async fn refusal(url: &str) -> OpenError {
    match open(url).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error,
    }
}

/// A task goes its way.
async fn works(world: &World) {
    // Other worlds on the same database draw the same small numbers.
    let task = NewTask { id: TaskId(uuid::Uuid::now_v7()), ..world.task("t") };
    let leased = world.run(task).await;
    world.report(&leased, world::success("1")).await;
    assert_eq!(world.get(leased.facts.id).await.result.as_deref(), Some(&b"1"[..]));
}
