//! Beside the road: work that other servers queued, for seats that only a hint, or nobody, wakes.

use std::sync::Arc;

use tasklane_core::error::StoreError;
use tasklane_core::task::Lane;
use tokio::time::Instant;

use crate::inside::Inside;
use crate::parked::{Round, Seat};

/// Seats asked for in one commit.
const AT_ONCE: usize = 100;
/// Sets of lanes after which a round goes on as if it had met none, so that it remembers no more.
const REMEMBERED: usize = 2_000;
/// Most tasks that seats are taken for at once.
const TASKS: usize = 500;

/// The floor under lost hints: one seat of each set of lanes asks, and more of those that get all they want.
pub(crate) async fn look(inside: Arc<Inside>) {
    inside.dismiss_overdue();
    let mut round = Round::default();
    loop {
        let (seats, is_more) = inside.parked.take_one_of_each(&mut round, AT_ONCE);
        if serve(&inside, seats).await.is_err() || !is_more {
            return;
        }
        if round.met() >= REMEMBERED {
            round.afresh();
        }
    }
}

/// There may be something in these lanes.
pub(crate) async fn look_in(inside: &Arc<Inside>, lanes: &[Arc<Lane>]) {
    if lanes.is_empty() {
        return;
    }
    inside.parked.announce_in(lanes.iter());
    inside.dismiss_overdue();
    let seats = inside.parked.take_one_for_each(lanes);
    // A failed commit has put the seats back, and within a second they are looked for again.
    drop(serve(inside, seats).await);
}

/// Leases for these seats, and for ever more in lanes that have more than they want.
async fn serve(inside: &Arc<Inside>, mut seats: Vec<Seat>) -> Result<(), StoreError> {
    while !seats.is_empty() {
        let here = Arc::clone(inside);
        // On a task of its own: what stops this loop must not stop what follows a commit.
        let leasing = tokio::spawn(async move { here.lease_for(seats).await });
        let (lanes, tasks) = leasing.await.unwrap_or_else(|failed| Err(StoreError::Away(failed.to_string())))?;
        seats = inside.parked.take_for(lanes.iter(), (2 * tasks).min(TASKS));
    }
    Ok(())
}

impl Inside {
    /// Workers that hold a lease whose end is near though they should long have renewed it may be frozen with their
    /// connections open. Another server may rescue what they lost: their seats here must not catch it.
    fn dismiss_overdue(self: &Arc<Self>) {
        for worker in self.facts.overdue(Instant::now()) {
            self.dismiss(self.parked.take_of(&worker));
        }
    }
}
