//! GET `/v1/stats`: everything in numbers.

use tasklane_wire::overview::{StatsShape, StoreShape};

use crate::answer::{self, Answer};
use crate::call::Call;

pub(crate) async fn stats(call: Call) -> Answer {
    call.no_query()?;
    let of = call.engine().overview().await?;
    let kind = call.app.options.database.to_owned();
    answer::shape(&StatsShape {
        tasks: (&of.store.counts).into(),
        queues: of.queues,
        lanes: of.store.lanes,
        workers: of.workers,
        store: StoreShape { kind, bytes: of.store.bytes, wal_bytes: of.store.wal_bytes, commits: of.store.commits },
        uptime: of.uptime,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}
