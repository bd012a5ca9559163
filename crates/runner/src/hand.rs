//! Hands: begin what is ready. One is enough for tasks that end at their first poll; where it takes its time, others come
//! to help, as many as there are cores.

use std::sync::Arc;

use tasklane_core::outcome::Outcome;
use tasklane_core::ports::BoxFuture;
use tokio::time::Instant;

use crate::attempt::Attempt;
use crate::options::{HAND_TAKES, HAND_TURN};
use crate::run::{Begun, begin, drive};
use crate::runner::Shared;

type Ended = Vec<(Arc<Attempt>, Option<Outcome>)>;

/// Begins what is ready until nothing is.
pub(crate) async fn hand(shared: Arc<Shared>) {
    let mut ended = Ended::new();
    loop {
        if shared.ledger().wants_helper(shared.options.hands) {
            tokio::spawn(help_later(Arc::clone(&shared)));
        }
        turn(&shared, &mut ended);
        shared.ended(ended.drain(..));
        if shared.ledger().leave() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Begins tasks for a while; the outcomes of those that ended at once are kept back until then, so that they leave in one
/// report.
fn turn(shared: &Arc<Shared>, ended: &mut Ended) {
    let started = Instant::now();
    let mut taken = Vec::with_capacity(HAND_TAKES);
    loop {
        shared.ledger().take_ready(HAND_TAKES, &mut taken);
        if taken.is_empty() {
            return;
        }
        for attempt in taken.drain(..) {
            match begin(&shared.table, &attempt) {
                Begun::Ended(outcome) => ended.push((attempt, outcome)),
                Begun::Waits(work) => drop(tokio::spawn(drive(Arc::clone(shared), attempt, work))),
            }
        }
        if started.elapsed() >= HAND_TURN {
            return;
        }
    }
}

/// A second hand, if the first has not done with it by then: its handlers compute, and other cores may be free.
/// Boxed, as a hand calls for helpers and a helper is a hand.
fn help_later(shared: Arc<Shared>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        tokio::time::sleep(2 * HAND_TURN).await;
        let needed = shared.ledger().join_late();
        if needed {
            hand(shared).await;
        }
    })
}
