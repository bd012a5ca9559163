//! Places in a lane, and where between them something may stand.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::encoding::LaneNo;

/// A place in a lane: urgency, then rank.
pub(crate) type Place = (i16, i64);

/// The first and the last rank of what came in, by urgency.
pub(crate) type Ranges = BTreeMap<i16, (i64, i64)>;

/// Tasks that came into lanes.
pub(crate) type Arrivals = HashMap<LaneNo, Ranges, RandomState>;

/// Notes that a task came into a lane.
pub(crate) fn arrived(arrivals: &mut Arrivals, lane: LaneNo, place: Place) {
    add(arrivals.entry(lane).or_default(), place.0, (place.1, place.1));
}

pub(super) fn add(ranges: &mut Ranges, urgency: i16, (first, last): (i64, i64)) {
    let range = ranges.entry(urgency).or_insert((first, last));
    *range = (range.0.min(first), range.1.max(last));
}

/// A part of a lane to look at, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub lane: LaneNo,
    pub from: Place,
    pub to: Place,
}

/// Behind every place.
pub(crate) const END: Place = (i16::MAX, i64::MAX);
/// Before every place.
pub(crate) const BEGINNING: Place = (i16::MIN, i64::MIN);

/// Where in a lane something may stand.
#[derive(Clone)]
pub(super) struct Standing {
    frontier: Place,
    /// What came in before the frontier.
    before: Ranges,
    /// Nothing is left at all.
    empty: bool,
}

impl Standing {
    /// Something may stand anywhere.
    pub(super) fn unknown() -> Self {
        Self { frontier: BEGINNING, before: Ranges::default(), empty: false }
    }

    /// Something came: what lies before the frontier is remembered.
    pub(super) fn let_in(&mut self, came: &Ranges) {
        for (urgency, (first, last)) in came {
            if (*urgency, *first) < self.frontier {
                // No place is in two spans.
                let last = if *urgency == self.frontier.0 { (*last).min(self.frontier.1 - 1) } else { *last };
                add(&mut self.before, *urgency, (*first, last));
            }
            self.empty &= (*urgency, *last) < self.frontier;
        }
    }

    pub(super) fn spans(&self, lane: LaneNo) -> impl Iterator<Item = Span> + '_ {
        let before = self.before.iter().map(move |(urgency, (first, last))| Span {
            lane,
            from: (*urgency, *first),
            to: (*urgency, *last),
        });
        let rest = (!self.empty).then_some(Span { lane, from: self.frontier, to: END });
        before.chain(rest)
    }

    /// The last of what was taken of each urgency; `short`: there was no more.
    pub(super) fn took(&mut self, taken: &BTreeMap<i16, i64>, short: bool) {
        for (urgency, rank) in taken {
            if let Some(range) = self.before.get_mut(urgency) {
                range.0 = range.0.max(*rank);
            }
            self.frontier = self.frontier.max((*urgency, *rank));
        }
        if short {
            self.before.clear();
            self.empty = true;
        } else {
            self.before.retain(|_, (first, last)| first <= last);
        }
    }

    /// How many parts before the frontier are told apart.
    pub(super) fn parts(&self) -> usize {
        self.before.len()
    }

    /// Whether there may be anything.
    pub(super) fn may_hold(&self) -> bool {
        !self.empty || !self.before.is_empty()
    }
}
