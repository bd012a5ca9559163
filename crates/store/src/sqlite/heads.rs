//! Which strands with keys have anything queued, each by the first of its tasks. One that was found behind a full gate is
//! parked under it, so that a lease does not look at it again before there is room. When a gate gets room for so many,
//! so many strands of each lane come back, first tasks first: no more of one lane could start, and what stands in another
//! lane may be all that is served.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::names::LaneNo;
use super::strands::{GateNo, StrandNo};
use super::takeable::Place;
use foldhash::fast::RandomState as ById;

/// Strands by their first tasks.
type InOrder = BTreeSet<(Place, StrandNo)>;

#[derive(Default)]
struct Lane {
    free: InOrder,
    parked: BTreeMap<GateNo, InOrder>,
    open: usize,
}

/// Where a strand with something queued stands.
#[derive(Clone, Copy)]
struct Stand {
    place: Place,
    parked: Option<GateNo>,
}

/// All strands with keys that have anything queued.
#[derive(Default)]
pub(crate) struct Heads {
    lanes: BTreeMap<LaneNo, Lane>,
    stands: HashMap<StrandNo, Stand, ById>,
    /// The strands whose tasks pass a gate by their keys.
    of_gates: HashMap<GateNo, BTreeSet<(LaneNo, StrandNo)>, ById>,
    /// Lanes with strands parked under a gate.
    parked: HashMap<GateNo, BTreeSet<LaneNo>, ById>,
}

impl Heads {
    /// Lanes that have such strands.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = LaneNo> + '_ {
        self.lanes.keys().copied()
    }

    pub(crate) fn is_open(&self, lane: LaneNo) -> bool {
        self.lanes.contains_key(&lane)
    }

    /// The first task of a strand.
    pub(crate) fn place(&self, strand: StrandNo) -> Option<Place> {
        self.stands.get(&strand).map(|it| it.place)
    }

    /// Every strand with its first task.
    pub(crate) fn all(&self) -> impl Iterator<Item = (StrandNo, Place)> + '_ {
        self.stands.iter().map(|(strand, stand)| (*strand, stand.place))
    }

    /// The first task of a lane's strands that are not parked.
    pub(crate) fn first(&self, lane: LaneNo) -> Option<(Place, StrandNo)> {
        self.lanes.get(&lane)?.free.first().copied()
    }

    /// The strands of a lane that have anything queued, those that are parked too.
    pub(crate) fn of_lane(&self, lane: LaneNo) -> impl Iterator<Item = (Place, StrandNo)> + '_ {
        let lane = self.lanes.get(&lane).into_iter();
        lane.flat_map(|lane| lane.parked.values().chain([&lane.free]).flatten().copied())
    }

    /// The strands of a lane whose tasks pass this gate by their keys.
    pub(crate) fn of_gate(&self, gate: GateNo, lane: LaneNo) -> impl Iterator<Item = StrandNo> + '_ {
        let strands = self.of_gates.get(&gate).into_iter();
        let strands = strands.flat_map(move |it| it.range((lane, StrandNo(0))..=(lane, StrandNo(u32::MAX))));
        strands.map(|(_, strand)| *strand)
    }

    /// The lanes that have such strands.
    pub(crate) fn lanes_of_gate(&self, gate: GateNo) -> impl Iterator<Item = LaneNo> + '_ {
        let strands = self.of_gates.get(&gate);
        let mut next = strands.and_then(|it| it.first()).map(|(lane, _)| *lane);
        std::iter::from_fn(move || {
            let lane = next?;
            next = strands?.range((LaneNo(lane.0 + 1), StrandNo(0))..).next().map(|(lane, _)| *lane);
            Some(lane)
        })
    }

    /// This is the first task of a strand now; a strand that comes to stand further ahead than it did is looked at again.
    pub(crate) fn put(&mut self, lane_no: LaneNo, strand: StrandNo, gates: &[GateNo], place: Place) {
        let lane = self.lanes.entry(lane_no).or_default();
        let before = self.stands.get(&strand).copied();
        let parked = before.filter(|it| it.place <= place).and_then(|it| it.parked);
        self.stands.insert(strand, Stand { place, parked });
        match before {
            Some(before) => {
                lane.set(before.parked).remove(&(before.place, strand));
            }
            None => {
                lane.open += 1;
                for gate in gates {
                    self.of_gates.entry(*gate).or_default().insert((lane_no, strand));
                }
            }
        }
        lane.set(parked).insert((place, strand));
    }

    /// A strand has nothing queued any more.
    pub(crate) fn remove(&mut self, lane_no: LaneNo, strand: StrandNo, gates: &[GateNo]) {
        let Some(stand) = self.stands.remove(&strand) else { return };
        for gate in gates {
            if let Some(strands) = self.of_gates.get_mut(gate) {
                strands.remove(&(lane_no, strand));
                if strands.is_empty() {
                    self.of_gates.remove(gate);
                }
            }
        }
        let Some(lane) = self.lanes.get_mut(&lane_no) else { return };
        lane.set(stand.parked).remove(&(stand.place, strand));
        lane.open -= 1;
        if lane.open == 0 {
            self.lanes.remove(&lane_no);
        }
    }

    /// A strand was found behind a full gate.
    pub(crate) fn park(&mut self, lane_no: LaneNo, strand: StrandNo, gate: GateNo) {
        let Some(stand) = self.stands.get_mut(&strand) else { return };
        let before = stand.parked.replace(gate);
        let place = stand.place;
        let lane = self.lanes.entry(lane_no).or_default();
        lane.set(before).remove(&(place, strand));
        lane.set(Some(gate)).insert((place, strand));
        self.parked.entry(gate).or_default().insert(lane_no);
    }

    /// A gate has room for so many: so many strands of each lane that are parked under it come back.
    pub(crate) fn let_in(&mut self, gate: GateNo, room: u32) {
        if room == 0 {
            return;
        }
        let lanes = self.parked.get(&gate).into_iter().flatten().copied().collect::<Vec<_>>();
        lanes.into_iter().for_each(|lane| self.let_in_of(lane, gate, room));
    }

    /// The same, in one lane.
    pub(crate) fn let_in_of(&mut self, lane_no: LaneNo, gate: GateNo, room: u32) {
        let Some(lane) = self.lanes.get_mut(&lane_no) else { return self.nobody_is_parked(lane_no, gate) };
        let parked = lane.parked.get(&gate).into_iter().flatten();
        let first: Vec<_> = parked.take(room as usize).copied().collect();
        for (place, strand) in first {
            lane.set(Some(gate)).remove(&(place, strand));
            lane.free.insert((place, strand));
            if let Some(stand) = self.stands.get_mut(&strand) {
                stand.parked = None;
            }
        }
        if lane.parked.get(&gate).is_none_or(BTreeSet::is_empty) {
            lane.parked.remove(&gate);
            self.nobody_is_parked(lane_no, gate);
        }
    }

    fn nobody_is_parked(&mut self, lane: LaneNo, gate: GateNo) {
        if let Some(lanes) = self.parked.get_mut(&gate) {
            lanes.remove(&lane);
            if lanes.is_empty() {
                self.parked.remove(&gate);
            }
        }
    }
}

impl Lane {
    fn set(&mut self, parked: Option<GateNo>) -> &mut InOrder {
        match parked {
            Some(gate) => self.parked.entry(gate).or_default(),
            None => &mut self.free,
        }
    }
}
