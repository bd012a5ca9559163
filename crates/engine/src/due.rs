//! The stations that time drives: promote (a task's moment came) and rescue (a lease or a time is over), in one loop that
//! sleeps to the next such moment and never longer than a second.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tasklane_core::ports::store::Batch;
use tokio::time::{Instant, sleep_until};

use crate::inside::Inside;
use crate::outage;

/// Moves what is due until the engine stops.
pub(crate) async fn run(inside: Arc<Inside>) {
    while !inside.stopped.load(Ordering::Acquire) {
        inside.due.take();
        if !move_due(&inside).await {
            sleep(&inside).await;
        }
    }
}

/// One commit; whether there may be more to move at once.
async fn move_due(inside: &Arc<Inside>) -> bool {
    let most = inside.options.due_batch;
    let batch = Batch { promote: most, rescue: most, seed: inside.ids.seed(), ..Batch::default() };
    match inside.commit(batch).await {
        Ok(committed) => committed.answers.promote >= most || committed.answers.rescue >= most,
        Err(error) => {
            outage::complain(&error, "what is due was not moved; trying again within a second");
            false
        }
    }
}

/// Sleeps to the announced moment, or the floor; wakes for an earlier one.
async fn sleep(inside: &Inside) {
    let every = inside.options.due_every;
    let floor = Instant::now() + if inside.is_shared { inside.ids.jittered(every) } else { every };
    loop {
        let until = inside.due.peek().map_or(floor, |next| next.min(floor));
        tokio::select! {
            biased;
            () = inside.stopping.notified() => return,
            () = sleep_until(until) => return,
            () = inside.due.rung() => {}
        }
    }
}
