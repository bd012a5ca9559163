//! Pumps: each carries one exchange at a time. What has ended meanwhile gathers for the next one, so a busy worker makes
//! one round trip a batch, without any timer.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::lease::mix;
use tasklane_core::log::Level;
use tasklane_core::ports::executor::Context;
use tokio::time::Instant;

use crate::attempt::{Attempt, Stop};
use crate::hand::hand;
use crate::options::{BACK_OFF, REST_MAX};
use crate::runner::Shared;
use crate::slots::{Phase, Plan};
use crate::source::{Reply, SourceError};

/// Exchanges reports for leases, for ever; `seed` is 64 random bits for its back-off.
pub(crate) async fn pump(shared: Arc<Shared>, seed: u64) {
    let (mut failures, mut early): (u32, u32) = (0, 0);
    loop {
        let Some(plan) = next_plan(&shared) else {
            shared.work.notified().await;
            continue;
        };
        let sent = Instant::now();
        match exchange(&shared, &plan).await {
            Ok(reply) => {
                shared.heard();
                failures = 0;
                early = if came_early(&plan, &reply, sent) { early.saturating_add(1) } else { 0 };
                if early > 0 {
                    rest(&shared, back_off(early, mix(seed, u64::from(early)), REST_MAX)).await;
                }
                absorb(&shared, plan, reply, sent);
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                put_back(&shared, plan, &error);
                let most = shared.options.back_off_max();
                tokio::time::sleep(back_off(failures, mix(seed, u64::from(failures)), most)).await;
            }
        }
    }
}

/// What to do next; where there is more than one pump can carry, the next pump is woken.
fn next_plan(shared: &Shared) -> Option<Plan> {
    let mut ledger = shared.ledger();
    let plan = ledger.plan(&shared.options)?;
    if ledger.has_plan(&shared.options) {
        shared.work.notify_one();
    }
    Some(plan)
}

async fn exchange(shared: &Shared, plan: &Plan) -> Result<Reply, SourceError> {
    // A copy: should nobody answer, it is said again.
    let most = shared.options.exchange_timeout + plan.report.want.map_or(Duration::ZERO, |want| want.wait);
    let exchange = tokio::time::timeout(most, shared.source.exchange(plan.report.clone()));
    tokio::select! {
        // The answer first: one that is here is not to be dropped with the leases it brings.
        biased;
        reply = exchange => reply.unwrap_or_else(|_| Err(SourceError::Away(format!("no answer within {most:?}")))),
        () = shared.drains(), if plan.only_waits() => Ok(Reply::default()),
    }
}

/// Whether a wish that was to wait came back with nothing long before its time, as from a server that ends.
fn came_early(plan: &Plan, reply: &Reply, sent: Instant) -> bool {
    let empty = reply.tasks.is_empty() && reply.cancel.is_empty();
    plan.only_waits() && empty && plan.report.want.is_some_and(|want| sent.elapsed() < want.wait / 2)
}

/// Lets some time pass; the wish stays open meanwhile, so that no other pump makes the same one.
async fn rest(shared: &Shared, time: Duration) {
    tokio::select! {
        biased;
        () = tokio::time::sleep(time) => {}
        () = shared.drains() => {}
    }
}

/// Takes in what the source says.
fn absorb(shared: &Arc<Shared>, plan: Plan, reply: Reply, sent: Instant) {
    let now = Instant::now();
    let attempts: Vec<_> = reply.tasks.into_iter().map(|task| Attempt::new(task, now, shared)).collect();
    let mut ledger = shared.ledger();
    ledger.answered(&plan, attempts.len());
    ledger.renewed(&plan.report.renew, sent);
    let lost = ledger.lost(&plan.report, &reply.lost);
    let cancel = ledger.of_tasks(&reply.cancel);
    let refused: Vec<_> = reply.refused.into_iter().map(|(task, why)| (task, ledger.of_task(task), why)).collect();
    ledger.take_in(attempts, sent, &shared.options);
    if ledger.phase != Phase::Working {
        ledger.give_back_ready();
    }
    let needs_hand = ledger.join_first();
    drop(ledger);
    lost.iter().for_each(|attempt| attempt.tell(Stop::Lost));
    cancel.iter().for_each(|attempt| attempt.tell(Stop::Cancelled));
    for (task, attempt, why) in refused {
        tracing::warn!(%task, why, "the server refused something that an attempt said");
        attempt.into_iter().for_each(|attempt| attempt.log(Level::Warn, why.clone(), None));
    }
    if needs_hand {
        tokio::spawn(hand(Arc::clone(shared)));
    }
    shared.nudge();
}

/// Keeps what could not be said for the next exchange.
fn put_back(shared: &Shared, plan: Plan, error: &SourceError) {
    match error {
        SourceError::Away(_) => shared.missed(error),
        SourceError::Refused(_) => tracing::warn!(%error, "an exchange was refused; less of it is tried again"),
    }
    let mut ledger = shared.ledger();
    let poison = match error {
        SourceError::Away(_) => {
            ledger.known = false;
            ledger.unanswered(plan);
            None
        }
        SourceError::Refused(_) => ledger.refused(plan),
    };
    drop(ledger);
    if let Some((key, outcome)) = poison {
        tracing::error!(task = %key.id, outcome = outcome.as_str(), %error, "the server refuses this outcome; it is dropped");
    }
    shared.nudge();
}

/// How long to wait after the n-th failure in a row: anything up to a span that doubles to `most` (full jitter, also at
/// its end), so that workers do not come back in step. Source: Brooker, "Exponential Backoff And Jitter", 2015.
fn back_off(failures: u32, random: u64, most: Duration) -> Duration {
    let span = BACK_OFF.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most);
    span.mul_f64(random as f64 / u64::MAX as f64)
}
