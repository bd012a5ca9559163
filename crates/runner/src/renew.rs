//! Beside the road: leases of attempts that take longer are renewed, their progress goes out.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::attempt::Stop;
use crate::options::LOOKS_PER_LEASE;
use crate::runner::Shared;

/// Has leases renewed, for ever. An attempt whose lease could not be renewed is told to stop so early that it has ended
/// when the lease may have run out: somebody else may run the task from then on.
pub(crate) async fn renew(shared: Arc<Shared>) {
    loop {
        let pause = shortest_lease(&shared) / LOOKS_PER_LEASE;
        sleep(pause).await;
        look(&shared, Instant::now(), pause);
    }
}

fn shortest_lease(shared: &Shared) -> Duration {
    let ledger = shared.ledger();
    let held = ledger.held.values().map(|held| held.attempt.lease_length(&shared.options));
    held.min().unwrap_or(shared.options.lease).clamp(Duration::from_secs(1), shared.options.lease)
}

/// One look at everything that is held; the next one comes after `pause`.
fn look(shared: &Shared, now: Instant, pause: Duration) {
    let mut ledger = shared.ledger();
    let (mut due, mut lapsed) = (Vec::new(), Vec::new());
    for held in ledger.in_order() {
        let (length, age) = (held.attempt.lease_length(&shared.options), now - held.since);
        if age + pause + held.attempt.grace(Stop::Unrenewed, &shared.options) >= length {
            if held.attempt.stop() < Stop::Unrenewed {
                lapsed.push(held.attempt.key.id);
            }
            held.attempt.tell(Stop::Unrenewed);
        } else if age >= length / 4 {
            due.push(held.attempt.key);
        }
    }
    let any = !due.is_empty();
    ledger.renew.extend(due);
    drop(ledger);
    if let Some(first) = lapsed.first() {
        tracing::warn!(
            tasks = lapsed.len(), %first,
            "no server renewed these leases before they may have run out, so their work is stopped here and given back; look \
             at the way to the server, or take longer leases"
        );
    }
    if any {
        shared.work.notify_one();
    }
}

/// Lets progress out when its time has come, for ever.
pub(crate) async fn speak(shared: Arc<Shared>) {
    let mut next: Option<Instant> = None;
    loop {
        match next {
            None => shared.spoke.notified().await,
            Some(at) => tokio::select! {
                biased;
                () = sleep_until(at) => {}
                () = shared.spoke.notified() => {}
            },
        }
        next = let_out(&shared, Instant::now());
    }
}

/// Lets out what is due; answers with when to look again.
fn let_out(shared: &Shared, now: Instant) -> Option<Instant> {
    let (later, (ripe, noted_next)) = {
        let mut ledger = shared.ledger();
        (std::mem::take(&mut ledger.later), ledger.noting.look(now))
    };
    let (mut due, mut kept, mut next) = (Vec::new(), Vec::new(), noted_next);
    for attempt in later {
        match attempt.due_progress(now) {
            Ok(progress) => due.push((attempt.key, progress)),
            Err(Some(at)) => {
                next = Some(next.map_or(at, |it: Instant| it.min(at)));
                kept.push(attempt);
            }
            Err(None) => {}
        }
    }
    let mut ledger = shared.ledger();
    ledger.later.extend(kept);
    due.retain(|(key, _)| ledger.held.contains_key(key));
    let any = ripe || !due.is_empty();
    ledger.progress.extend(due);
    drop(ledger);
    if any {
        shared.work.notify_one();
    }
    next
}
