//! What is done every so often, as one table.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::ports::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::inside::Inside;
use crate::{audit, cancels, hints, keys, progress, seats, sweep};

/// One chore.
struct Chore {
    name: &'static str,
    every: Duration,
    run: fn(Arc<Inside>) -> BoxFuture<'static, ()>,
}

const CHORES: &[Chore] = &[
    Chore { name: "write put-off progress", every: Duration::from_secs(1), run: |it| Box::pin(progress::flush(it)) },
    Chore { name: "sweep", every: Duration::from_secs(1), run: |it| Box::pin(sweep::run(it)) },
    Chore { name: "sweep the audit log", every: audit::SWEEP_EVERY, run: |it| Box::pin(audit::sweep(it)) },
    Chore { name: "note used keys", every: keys::USES_EVERY, run: |it| Box::pin(keys::note_used(it)) },
    Chore { name: "forget", every: Duration::from_secs(1), run: |it| Box::pin(forget(it)) },
];

/// The floor under lost hints, over a store that other servers write to.
const SHARED: &[Chore] = &[
    Chore { name: "look for work", every: Duration::from_secs(1), run: |it| Box::pin(seats::look(it)) },
    Chore { name: "look for ends", every: Duration::from_millis(500), run: |it| Box::pin(hints::look_for_ends(it)) },
    Chore {
        name: "look for cancels",
        every: Duration::from_secs(1),
        run: |it| Box::pin(cancels::look_for_cancels(it)),
    },
    Chore { name: "look at followed", every: Duration::from_secs(1), run: |it| Box::pin(hints::look_at_followed(it)) },
    Chore { name: "look for lost", every: Duration::from_secs(1), run: |it| Box::pin(hints::look_for_lost(it)) },
];

/// Starts a loop a chore.
pub(crate) fn start(inside: &Arc<Inside>) -> Vec<JoinHandle<()>> {
    if inside.is_shared {
        let chores = CHORES.iter().chain(SHARED);
        return chores.map(|chore| tokio::spawn(keep_out_of_step(chore, Arc::clone(inside)))).collect();
    }
    CHORES.iter().map(|chore| tokio::spawn(keep(chore, Arc::clone(inside)))).collect()
}

/// Servers of one store do not all do the same at once.
async fn keep_out_of_step(chore: &'static Chore, inside: Arc<Inside>) {
    loop {
        sleep(inside.ids.jittered(chore.every)).await;
        (chore.run)(Arc::clone(&inside)).await;
    }
}

async fn keep(chore: &'static Chore, inside: Arc<Inside>) {
    let mut ticks = interval(chore.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        tracing::trace!(chore = chore.name, "housekeeping");
        (chore.run)(Arc::clone(&inside)).await;
    }
}

/// Forgets workers that are gone and requests whose leases are over.
async fn forget(inside: Arc<Inside>) {
    let now = Instant::now();
    inside.workers.forget_gone(now);
    inside.requests.forget_old(now, &inside.facts);
}
