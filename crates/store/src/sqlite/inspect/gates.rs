//! Gates, from memory alone.

use std::collections::HashMap;

use tasklane_core::gate::{Gate, GateDetail, GateName};
use tasklane_core::limit;
use tasklane_core::state::State;
use tasklane_core::time::Timestamp;

use crate::sqlite::names::LaneNo;
use crate::sqlite::strands::GateNo;
use crate::sqlite::view::View;

/// The first gates after `after` that somebody defined or a task named.
pub(crate) fn page(view: &View, after: Option<&GateName>, most: usize, now: Timestamp) -> Vec<Gate> {
    let known = view.names.strands.named_after(after).filter(|(no, _)| view.is_known(*no));
    let page: Vec<GateNo> = known.map(|(no, _)| no).take(most).collect();
    let waiting = view.waiting(&page);
    page.into_iter().filter_map(|no| view.read(no, waiting.get(&no).copied(), now)).collect()
}

/// A gate and who holds its slots.
pub(crate) fn one(view: &View, name: &GateName, now: Timestamp) -> Option<GateDetail> {
    let no = view.names.strands.find_gate(name).filter(|no| view.is_known(*no))?;
    let gate = view.gate(no, now)?;
    let passing = view.running.iter().filter(|(_, it)| view.names.strands.gates_of(it.strand).any(|gate| gate == no));
    let mut holders: Vec<_> = passing.map(|(id, it)| (*id, it.worker.as_deref().map(Box::from))).collect();
    holders.sort_unstable();
    holders.truncate(limit::GATE_HOLDERS);
    Some(GateDetail { gate, holders })
}

impl View {
    fn is_known(&self, no: GateNo) -> bool {
        self.gauges.get(no.0 as usize).is_some_and(|it| it.own.is_some())
    }

    /// A gate as it is read.
    pub(crate) fn gate(&self, no: GateNo, now: Timestamp) -> Option<Gate> {
        self.read(no, self.waiting(&[no]).get(&no).copied(), now)
    }

    fn read(&self, no: GateNo, waiting: Option<u64>, now: Timestamp) -> Option<Gate> {
        let (gauge, name) = (self.gauges.get(no.0 as usize)?, self.names.strands.gate(no)?.clone());
        let said = gauge.in_force?;
        let (running, waiting, opens_at) = (gauge.running, waiting.unwrap_or(0), gauge.opens_at(now));
        Some(Gate { name, bounds: said.bounds, set_by: said.set_by, running, waiting, opens_at })
    }

    /// How many queued tasks pass these gates.
    fn waiting(&self, gates: &[GateNo]) -> HashMap<GateNo, u64> {
        let mut waiting: HashMap<GateNo, u64> = gates.iter().map(|no| (*no, 0)).collect();
        let mut add = |no, many| {
            waiting.entry(no).and_modify(|it| *it += many);
        };
        for (strand, (queued, _)) in &self.strands {
            for no in self.names.strands.gates_of_keys(*strand) {
                add(*no, *queued);
            }
        }
        for (lane, counts) in self.counts.iter().enumerate() {
            for no in self.names.strands.gates_of_lane(LaneNo(lane as u32)) {
                add(*no, counts.of(State::Queued));
            }
        }
        waiting
    }
}
