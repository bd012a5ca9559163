//! The end of a runner: no new work, what runs may finish, the rest is given back, everything is reported.

use std::time::Duration;

use tasklane_core::outcome::Outcome;
use tokio::time::timeout;

use crate::attempt::Stop;
use crate::options::LAST_REPORT;
use crate::runner::Shared;
use crate::slots::{Ledger, Phase};

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Attempts that were running when the grace was over and had to stop.
    pub stopped: usize,
    /// Outcomes that no server took; their tasks come back when the leases are over.
    pub unreported: usize,
}

/// A little longer than the grace of an attempt, so that it ends by itself where it can.
const STOP_MARGIN: Duration = Duration::from_millis(500);

/// Drains; afterwards the loops may be ended.
pub(crate) async fn drain(shared: &Shared, grace: Duration) -> Drained {
    take_no_more(shared);
    let finished = timeout(grace, shared.until(|ledger| ledger.held.is_empty())).await;
    let stopped = if finished.is_ok() { 0 } else { stop_the_rest(shared).await };
    let _said_or_not = timeout(LAST_REPORT, shared.until(Ledger::all_said)).await;
    let mut ledger = shared.ledger();
    ledger.phase = Phase::Over;
    Drained { stopped, unreported: ledger.outbox.len() + ledger.reporting }
}

fn take_no_more(shared: &Shared) {
    let mut ledger = shared.ledger();
    ledger.phase = Phase::Draining;
    ledger.give_back_ready();
    ledger.noting.hurry();
    drop(ledger);
    shared.draining.notify_waiters();
    shared.nudge();
}

/// Tells what still runs to stop, and gives back at last what does not listen.
async fn stop_the_rest(shared: &Shared) -> usize {
    let stopped = {
        let ledger = shared.ledger();
        ledger.in_order().for_each(|held| held.attempt.tell(Stop::Here));
        ledger.held.len()
    };
    let patience = shared.options.stop_grace + STOP_MARGIN;
    if timeout(patience, shared.until(|ledger| ledger.held.is_empty())).await.is_err() {
        let mut ledger = shared.ledger();
        let deaf: Vec<_> = ledger.in_order().map(|held| held.attempt.key).collect();
        tracing::warn!(
            tasks = deaf.len(),
            "handlers block their thread and cannot be stopped; their tasks are given back"
        );
        deaf.into_iter().for_each(|key| ledger.ended(key, Some(Outcome::Released), None));
        drop(ledger);
        shared.nudge();
    }
    stopped
}
