//! Removes, in bounded steps, what need not be kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tasklane_core::ports::store::{Batch, Sweep};

use crate::inside::Inside;
use crate::outage;

/// Between two steps that both removed something, so that other commits come between.
const PAUSE: Duration = Duration::from_millis(5);

/// Sweeps until a step removes nothing.
pub(crate) async fn run(inside: Arc<Inside>) {
    loop {
        let sweep = Sweep {
            retention: inside.options.retention.clone(),
            limit: inside.options.sweep_batch,
            disk: (inside.options.disk)(),
        };
        match inside.commit(Batch { sweep: Some(sweep), ..Batch::default() }).await {
            Ok(committed) if committed.answers.sweep > 0 && !inside.stopped.load(Ordering::Acquire) => {
                inside.metrics.swept(committed.answers.sweep);
                tokio::time::sleep(PAUSE).await;
            }
            Ok(_) => return,
            Err(error) => return outage::complain(&error, "the sweep could not write; trying again later"),
        }
    }
}
