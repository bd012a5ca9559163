//! What is shown of tasks behind full gates: they are kept as queued, and read as blocked. Told from memory alone.

use std::collections::{BTreeSet, HashMap};

use tasklane_core::gate::{self, Gate};
use tasklane_core::queue::{Counted, Counts};
use tasklane_core::state::{Reason, State};
use tasklane_core::time::Timestamp;

use crate::sqlite::names::{LaneNo, ScopeNo};
use crate::sqlite::row::Kept;
use crate::sqlite::strands::{GateNo, StrandNo};
use crate::sqlite::takeable::Place;
use crate::sqlite::view::View;

/// How many of what is kept as queued is blocked.
#[derive(Default)]
pub(crate) struct Blocked {
    lanes: HashMap<LaneNo, u64>,
    scopes: HashMap<ScopeNo, u64>,
}

impl Blocked {
    pub(crate) fn of_lane(&self, lane: LaneNo, counts: &Counts) -> Counts {
        shown(counts, self.lanes.get(&lane))
    }

    pub(crate) fn of_scope(&self, scope: ScopeNo, counts: &Counts) -> Counts {
        shown(counts, self.scopes.get(&scope))
    }

    fn add(&mut self, lane: LaneNo, scope: ScopeNo, many: u64) {
        *self.lanes.entry(lane).or_default() += many;
        *self.scopes.entry(scope).or_default() += many;
    }
}

fn shown(counts: &Counts, blocked: Option<&u64>) -> Counts {
    let (mut counts, blocked) = (*counts, blocked.map_or(0, |it| *it as i64));
    counts.add(Counted::In(State::Blocked), blocked);
    counts.add(Counted::In(State::Queued), -blocked);
    counts
}

impl View {
    fn is_full(&self, gate: GateNo, now: Timestamp) -> bool {
        self.gauges.get(gate.0 as usize).is_some_and(|it| it.is_full(now))
    }

    /// Whether nothing of a lane may start.
    fn is_shut(&self, lane: LaneNo, now: Timestamp) -> bool {
        self.names.strands.gates_of_lane(lane).iter().any(|gate| self.is_full(*gate, now))
    }

    /// Whether nothing of a strand may start.
    pub(crate) fn is_closed(&self, strand: StrandNo, now: Timestamp) -> bool {
        self.names.strands.gates_of(strand).any(|gate| self.is_full(gate, now))
    }

    /// Makes a task what is shown of it.
    pub(crate) fn show(&self, kept: &mut Kept, now: Timestamp) {
        let state = kept.task.facts.state;
        let is_closed = state == State::Queued && self.is_closed(kept.strand, now);
        kept.task.facts.state = gate::shown(state, is_closed);
        if is_closed {
            kept.task.reason = Reason::GateFull;
        }
    }

    /// What of all that is queued is blocked.
    pub(crate) fn blocked(&self, now: Timestamp) -> Blocked {
        let mut blocked = Blocked::default();
        if self.gauges.is_empty() {
            return blocked;
        }
        for ((lane, scope), queued) in &self.queued {
            if self.is_shut(*lane, now) {
                blocked.add(*lane, *scope, *queued);
            }
        }
        for (strand, (queued, _)) in &self.strands {
            if let Ok(Some(keyed)) = self.names.strands.keyed(*strand)
                && self.is_closed(*strand, now)
                && !self.is_shut(keyed.lane, now)
            {
                blocked.add(keyed.lane, keyed.scope, *queued);
            }
        }
        blocked
    }

    /// The full gates of a strand, in their order.
    pub(crate) fn full_gates(&self, strand: StrandNo, now: Timestamp) -> Vec<Gate> {
        let full = self.names.strands.gates_of(strand).filter(|gate| self.is_full(*gate, now));
        let mut gates: Vec<Gate> = full.filter_map(|gate| self.gate(gate, now)).collect();
        gates.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        gates
    }

    /// The strands of a lane with anything queued that may start: the plain one, and those with keys in the order of their
    /// first tasks.
    pub(crate) fn open_strands(&self, lane: LaneNo, now: Timestamp) -> Vec<StrandNo> {
        let keyed = self.strands.iter().filter(|(strand, _)| self.names.strands.lane(**strand) == lane);
        let mut keyed: Vec<_> = keyed.map(|(strand, (_, first))| (*first, *strand)).collect();
        keyed.sort_unstable();
        let strands = [StrandNo::plain(lane)].into_iter().chain(keyed.into_iter().map(|(_, strand)| strand));
        strands.filter(|strand| !self.is_closed(*strand, now)).collect()
    }

    /// The strands with keys that have anything queued, by lane, in the order of their first tasks.
    pub(crate) fn keyed_by_lane(&self) -> HashMap<LaneNo, BTreeSet<(Place, StrandNo)>> {
        let mut lanes: HashMap<LaneNo, BTreeSet<_>> = HashMap::new();
        for (strand, (_, first)) in &self.strands {
            lanes.entry(self.names.strands.lane(*strand)).or_default().insert((*first, *strand));
        }
        lanes
    }
}
