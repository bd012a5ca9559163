//! Candidates of several lanes of which tenants share some. Each lane goes by its places; between lanes the age of what could
//! start first in each counts, so that no lane's turns, which say nothing of time, set it before or behind another.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use uuid::Uuid;

use super::candidates::Candidate;
use super::gated::{Scratch, Walk};
use super::strands::GateNo;
use super::tx::Tx;
use crate::encoding::LaneNo;

/// The candidates of a lane, in its order.
type Line<'c> = VecDeque<&'c Candidate>;

/// How old what stands first in a line is.
type Age = ((i16, i64), Uuid);

/// What a walk by age knows.
#[derive(Default)]
struct Merge<'c> {
    lines: Vec<Line<'c>>,
    /// Lines by the age of what could start first in each.
    firsts: BinaryHeap<Reverse<(Age, usize)>>,
    gates: HashMap<LaneNo, Arc<[GateNo]>, RandomState>,
    scratch: Scratch,
    walk: Walk,
}

impl Tx<'_> {
    /// Whether lanes are merged by age.
    pub(super) fn goes_by_age(&self, lanes: &[i32]) -> bool {
        let strands = &self.names.strands;
        lanes.len() > 1 && strands.is_any_shared() && lanes.iter().any(|no| strands.is_shared(LaneNo(*no as u32)))
    }

    /// Chooses `most`.
    pub(super) fn walk_by_age(&self, candidates: &[Candidate], most: usize, missed: &HashSet<Uuid>) -> Walk {
        let mut merge = Merge { lines: self.lines_of(candidates), ..Merge::default() };
        (0..merge.lines.len()).for_each(|line| self.stand_in(&mut merge, line));
        let mut started = 0;
        while started < most
            && let Some(Reverse((_, at))) = merge.firsts.pop()
        {
            let Some(candidate) = merge.lines[at].pop_front() else { continue };
            let gates = self.gates_in(&mut merge, candidate.strand);
            let is_taken = !missed.contains(&candidate.id);
            if is_taken {
                merge.walk.chosen.push((candidate.strand, candidate.id));
            }
            let takes_slots = is_taken && !candidate.is_over;
            if takes_slots {
                started += 1;
                gates.iter().for_each(|gate| *merge.scratch.entry(*gate).or_default() -= 1);
            }
            let fills = gates.iter().any(|gate| merge.scratch[gate] == 0);
            if candidate.is_last && !fills {
                // Something of its strand may come before what comes next.
                merge.walk.is_cut = true;
                return merge.walk;
            }
            if takes_slots && fills {
                // What stood first in other lanes may pass the same gate.
                merge.firsts.clear();
                (0..merge.lines.len()).for_each(|line| self.stand_in(&mut merge, line));
            } else {
                self.stand_in(&mut merge, at);
            }
        }
        merge.walk.is_cut |= !merge.firsts.is_empty();
        merge.walk
    }

    fn lines_of<'c>(&self, candidates: &'c [Candidate]) -> Vec<Line<'c>> {
        let mut lines: HashMap<LaneNo, Line<'c>, RandomState> = HashMap::default();
        for candidate in candidates {
            let lane = self.names.strands.lane_of(candidate.strand).unwrap_or(candidate.strand);
            lines.entry(lane).or_default().push_back(candidate);
        }
        lines.into_values().collect()
    }

    fn gates_in(&self, merge: &mut Merge<'_>, strand: LaneNo) -> Arc<[GateNo]> {
        Arc::clone(merge.gates.entry(strand).or_insert_with(|| self.bounded(strand)))
    }

    /// Puts the first of a line that may start to where it is found; those before it that may not will not in this walk.
    fn stand_in(&self, merge: &mut Merge<'_>, at: usize) {
        while let Some(candidate) = merge.lines[at].front().copied() {
            let gates = self.gates_in(merge, candidate.strand);
            if self.is_open(candidate, &gates, &mut merge.scratch, &mut merge.walk, true) {
                merge.firsts.push(Reverse(((candidate.age, candidate.id), at)));
                return;
            }
            merge.lines[at].pop_front();
        }
    }
}
