//! Lanes with their counts, from memory alone.

use std::sync::Arc;

use tasklane_core::queue::LaneCounts;

use crate::sqlite::view::View;

/// The lanes that are not of system queues, in the order of types, then queues. A name whose commit did not come about
/// is left out.
pub(crate) fn lanes(view: &View) -> Vec<LaneCounts> {
    let entries = view.names.lanes.iter().zip(&view.counts);
    let shown = entries.filter(|(entry, counts)| !entry.lane.queue.starts_with('~') && counts.total() > 0);
    let mut lanes: Vec<_> =
        shown.map(|(entry, counts)| LaneCounts { lane: Arc::clone(&entry.lane), counts: *counts }).collect();
    lanes.sort_unstable_by(|a, b| {
        let key = |it: &LaneCounts| (it.lane.task_type.clone(), it.lane.queue.clone());
        key(a).cmp(&key(b))
    });
    lanes
}
