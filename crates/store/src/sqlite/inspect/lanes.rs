//! Lanes with their counts, from memory alone.

use std::sync::Arc;

use tasklane_core::queue::{Counts, LaneCounts, is_of_system};
use tasklane_core::time::Timestamp;

use crate::sqlite::names::{LaneEntry, LaneNo};
use crate::sqlite::view::View;

/// The lanes that are not of system queues, in no order. A name whose commit did not come about is left out.
pub(crate) fn lanes(view: &View, now: Timestamp) -> Vec<LaneCounts> {
    let entries = view.names.lanes.iter().zip(&view.counts).enumerate();
    let shown = entries.filter(|(_, (entry, counts))| !is_of_system(&entry.lane.queue) && counts.total() > 0);
    let blocked = view.blocked(now);
    let of_lane = |(no, (entry, counts)): (usize, (&LaneEntry, &Counts))| LaneCounts {
        lane: Arc::clone(&entry.lane),
        counts: blocked.of_lane(LaneNo(no as u32), counts),
    };
    shown.map(of_lane).collect()
}

/// The same, in the order of types, then queues.
pub(crate) fn in_order(mut lanes: Vec<LaneCounts>) -> Vec<LaneCounts> {
    fn key(of: &LaneCounts) -> (&str, &str) {
        (&of.lane.task_type, &of.lane.queue)
    }
    lanes.sort_unstable_by(|a, b| key(a).cmp(&key(b)));
    lanes
}
