//! Lanes with their counts, from memory alone.

use std::sync::Arc;

use tasklane_core::queue::{LaneCounts, is_of_system};

use crate::sqlite::view::View;

/// The lanes that are not of system queues, in no order. A name whose commit did not come about is left out.
pub(crate) fn lanes(view: &View) -> Vec<LaneCounts> {
    let entries = view.names.lanes.iter().zip(&view.counts);
    let shown = entries.filter(|(entry, counts)| !is_of_system(&entry.lane.queue) && counts.total() > 0);
    shown.map(|(entry, counts)| LaneCounts { lane: Arc::clone(&entry.lane), counts: *counts }).collect()
}

/// The same, in the order of types, then queues.
pub(crate) fn in_order(mut lanes: Vec<LaneCounts>) -> Vec<LaneCounts> {
    fn key(of: &LaneCounts) -> (&str, &str) {
        (&of.lane.task_type, &of.lane.queue)
    }
    lanes.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    lanes
}
