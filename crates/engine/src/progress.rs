//! Progress: the last word wins, and it is written at most once a second per task.

use std::sync::Arc;

use tasklane_core::lease::LeaseKey;
use tasklane_core::ports::store::Batch;
use tasklane_core::task::Progress;
use tokio::time::Instant;

use crate::facts::Heard;
use crate::inside::Inside;

/// The signs of life of a report that are to be written now; the others are put off.
pub(crate) fn sort(inside: &Inside, signs: Vec<(LeaseKey, Option<Progress>)>) -> Vec<(LeaseKey, Option<Progress>)> {
    let now = Instant::now();
    let keep = |(key, progress): (LeaseKey, Option<Progress>)| {
        let shown = progress.as_ref().filter(|_| inside.watches.any_task()).cloned();
        let heard = inside.facts.heard(key, progress, now);
        if let (Some(progress), false) = (shown, matches!(heard, Heard::Unknown(_))) {
            inside.watches.progressed(key.id, progress);
        }
        match heard {
            Heard::Write(progress) | Heard::Unknown(progress) => Some((key, progress)),
            Heard::Later => None,
        }
    };
    signs.into_iter().filter_map(keep).collect()
}

/// Writes what was put off.
pub(crate) async fn flush(inside: Arc<Inside>) {
    let progress = inside.facts.put_off(Instant::now());
    if !progress.is_empty() {
        let batch = Batch { progress, ..Batch::default() };
        if let Err(error) = inside.commit(batch).await {
            tracing::debug!(%error, "progress was not written; the next will be");
        }
    }
}
