//! What gathers while a commit is on its way to the disk, and how much of it goes into the next.

use tasklane_core::error::StoreError;
use tasklane_core::log::Line;
use tasklane_core::ports::store::{Answers, Batch};
use tokio::sync::oneshot;

/// Most items of one transaction; a batch that is larger goes alone.
pub const COMMIT_ITEMS: usize = 2_000;
/// Most bytes of payloads and results of one transaction; a batch that is larger goes alone.
pub const COMMIT_BYTES: usize = 8 << 20;

/// A caller's batch.
pub(crate) struct Job {
    pub batch: Batch,
    pub reply: oneshot::Sender<Result<Answers, StoreError>>,
}

/// Items and bytes of a batch.
pub(crate) fn size(batch: &Batch) -> (usize, usize) {
    let tasks = batch.accept.iter().flat_map(|submission| &submission.tasks);
    let tasks = tasks.chain(batch.record.iter().flat_map(|it| &it.then));
    let accepted: usize = tasks.clone().map(|task| task.payload.len()).sum();
    let settled = batch.settle.iter().filter_map(|it| it.decision.result.as_ref());
    let results: usize = settled.map(bytes::Bytes::len).sum();
    let wanted: usize = batch.lease.iter().map(|it| it.limit).sum();
    let signs = batch.renew.len() + batch.progress.len() + batch.grace.len() + batch.checkpoints.len();
    let lines: usize = batch.logs.iter().map(|(_, lines)| lines.len()).sum();
    let logged: usize = batch.logs.iter().flat_map(|(_, lines)| lines).map(Line::bytes).sum();
    let aside: usize = batch.checkpoints.iter().map(|(_, it)| it.bytes()).sum();
    let items = tasks.count()
        + batch.settle.len()
        + batch.hand.len()
        + batch.record.len()
        + wanted
        + signs
        + lines
        + batch.promote
        + batch.rescue;
    (items, accepted + results + logged + aside)
}
