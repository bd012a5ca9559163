//! Gates, as a commit meets them: what is said of them, who takes a slot and who gives it back, and whom to tell that there
//! is room again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use tasklane_core::accept::NewTask;
use tasklane_core::gate::{Bounds, Definition, GateName, Limit, SetBy, SetGate};
use tasklane_core::ports::store::Batch;
use tasklane_core::queue::QueueState;
use tasklane_core::state::State;

use super::error::Result;
use super::live::Live;
use super::names::{LaneNo, ScopeNo};
use super::strands::{GateNo, StrandNo, Strands};
use super::tx::Tx;
use crate::encoding::gate;

/// Strands of a lane that are looked at for somebody who may start; behind more of them somebody is taken to be there.
const LOOKED_AT: usize = 64;

/// What a commit does to gates.
#[derive(Default)]
pub(crate) struct Gated {
    /// Gates that may have got room, or whose room somebody else may have, and how much of it those who wait know of.
    loosened: BTreeMap<GateNo, u32>,
    /// How many tasks that pass gates by their keys started at each.
    started: BTreeMap<GateNo, usize>,
}

impl Tx<'_, '_> {
    pub(super) fn gate_all(&mut self, batch: &mut Batch) -> Result<()> {
        // Left where it is: after a full disk the same batch is carried out again.
        for set in &batch.gate {
            let is_done = self.set_gate(set);
            self.answer().gate.push(is_done);
        }
        Ok(())
    }

    pub(super) fn set_gate(&mut self, set: &SetGate) -> bool {
        let own = self.live.names.strands.find_gate(&set.name).and_then(|no| self.live.gauges.get(no)?.own);
        if !own.map_or(set.bounds.is_some(), |it| it.yields_to(set.by)) {
            return false;
        }
        self.define(&set.name, set.bounds.map(|bounds| Definition { bounds, set_by: set.by }));
        true
    }

    /// This is what is said of a gate from now on; `None` is nothing.
    fn define(&mut self, name: &GateName, own: Option<Definition>) {
        let Live { names, gauges, running, .. } = &mut *self.live;
        let is_new = names.strands.find_gate(name).is_none();
        let no = names.strands.gate_no(name);
        if is_new && !matches!(name, GateName::Key { .. }) {
            let lanes = names.lanes.iter().enumerate().filter(|(_, it)| Strands::is_of_lane(name, &it.lane));
            let lanes: Vec<LaneNo> = lanes.map(|(at, _)| LaneNo(at as u32)).collect();
            names.strands.tell_lanes(no, lanes.iter().copied());
            let passing = running.all().filter(|kept| lanes.contains(&kept.lane)).count();
            gauges.recount(no, passing as u64);
        }
        gauges.define(&names.strands, no, own);
        self.loosen_gate(no);
        for other in self.stood_in_for(name) {
            self.live.gauges.bring_in_force(&self.live.names.strands, other);
            self.loosen_gate(other);
        }
    }

    /// The gates this one stands in for.
    fn stood_in_for(&self, name: &GateName) -> Vec<GateNo> {
        let strands = &self.live.names.strands;
        let is_every = matches!(name, GateName::Key { .. }) && name.stand_in().is_none();
        let others = strands.named().filter(|(_, other)| is_every && other.stand_in().as_ref() == Some(name));
        others.map(|(no, _)| no).collect()
    }

    /// What an accepted task says of the gates it names, and the strand it stands in.
    pub(super) fn name_gates(&mut self, new: NewTask, lane: LaneNo, scope: ScopeNo) -> Result<(NewTask, StrandNo)> {
        if new.limits.is_empty() {
            return Ok((new, StrandNo::plain(lane)));
        }
        let (keys, strands) = (Limit::keys(&new.limits), &mut self.live.names.strands);
        let strand = strands.strand_no(self.sql.db, lane, (scope, &new.scope), &keys)?;
        let gates = strands.gates_of_keys(strand).to_vec();
        for (no, limit) in gates.into_iter().zip(&*new.limits) {
            let own = self.live.gauges.get(no).and_then(|it| it.own);
            let said = Definition::of_task(limit.bounds);
            let only_names = limit.bounds == Bounds::default();
            if own.is_none_or(|it| !only_names && it.yields_to(SetBy::Task) && it != said) {
                let name = self.live.names.strands.gate(no).cloned();
                name.inspect(|name| self.define(name, Some(said)));
            }
        }
        Ok((new, strand))
    }

    /// A task starts: it takes its slots.
    pub(super) fn pass_gates(&mut self, strand: StrandNo) {
        let Live { names, gauges, .. } = &mut *self.live;
        names.strands.gates_of(strand).for_each(|no| gauges.start(no, self.now));
        for no in names.strands.gates_of_keys(strand) {
            *self.gating.started.entry(*no).or_default() += 1;
        }
    }

    /// An attempt ended: it gives its slots back.
    pub(super) fn leave_gates(&mut self, strand: StrandNo) {
        let Live { names, gauges, takeable, .. } = &mut *self.live;
        let lane = names.strands.lane(strand);
        for no in names.strands.gates_of(strand) {
            let known = if names.strands.meets_others(no, lane) { 0 } else { gauges.room(no, self.now) };
            self.gating.loosened.entry(no).or_insert(known);
            gauges.leave(no);
            takeable.heads.let_in(no, gauges.room(no, self.now));
        }
    }

    /// A task stood before others of this strand's gates, and does no longer.
    pub(super) fn loosen(&mut self, strand: StrandNo) {
        let Live { names, gauges, takeable, .. } = &mut *self.live;
        for no in names.strands.gates_of(strand) {
            takeable.heads.let_in(no, gauges.room(no, self.now));
            self.gating.loosened.insert(no, 0);
        }
    }

    fn loosen_gate(&mut self, no: GateNo) {
        self.live.takeable.heads.let_in(no, self.live.gauges.room(no, self.now));
        self.gating.loosened.insert(no, 0);
    }

    /// Gates that have opened of themselves let in who is parked under them.
    pub(super) fn let_in_by_time(&mut self) {
        for no in self.live.gauges.opened(self.now) {
            self.live.takeable.heads.let_in(no, self.live.gauges.room(no, self.now));
        }
    }

    /// The same, and those who wait are told.
    pub(super) fn open_gates(&mut self) {
        let opened = self.live.gauges.opened(self.now);
        opened.iter().for_each(|no| self.loosen_gate(*no));
        self.live.gauges.told(&opened, self.now);
    }

    /// Tells in which lanes tasks may be able to start that could not before: rather too many than too few.
    pub(super) fn tell_opened(&mut self) {
        if self.live.gauges.all().is_empty() {
            return;
        }
        let Gated { loosened, started } = std::mem::take(&mut self.gating);
        let mut more = self.queued_beside_starts();
        for (no, known) in loosened {
            let room = self.live.gauges.room(no, self.now);
            if room > known {
                self.waiting_for(no, known.into()..room.into(), &mut more);
            }
        }
        // Where a gate has less room for those who pass others too, those behind them have more of the others.
        for (no, starts) in started {
            let strands = &self.live.names.strands;
            let lanes: BTreeSet<LaneNo> = self.live.takeable.heads.lanes_of_gate(no).collect();
            for lane in lanes.into_iter().filter(|lane| strands.meets_others(no, *lane)) {
                *more.entry(lane).or_default() += starts as u64;
            }
        }
        let names = &self.live.names;
        more.retain(|lane, _| names.queue_of(*lane).state != QueueState::Paused);
        for (lane, more) in more {
            let most = self.live.takeable.queued_in(lane, more).min(more);
            if most > 0 {
                self.answers[0].opened.push((names.lanes[lane.0 as usize].lane.clone(), most as usize));
            }
        }
    }

    /// Where a batch both queues and starts tasks, its caller takes one for the other; but what started may have been told
    /// to nobody, as it waited for a gate.
    fn queued_beside_starts(&self) -> BTreeMap<LaneNo, u64> {
        let mut more = BTreeMap::new();
        for answers in self.answers.iter().filter(|it| it.lease.iter().any(|leased| !leased.is_empty())) {
            let mut lanes: BTreeMap<LaneNo, (u64, u64)> = BTreeMap::new();
            for event in &answers.transitions {
                if let Some(no) = self.live.names.lane_named(&event.lane) {
                    let (queued, started) = lanes.entry(no).or_default();
                    *queued += u64::from(event.to == State::Queued);
                    *started += u64::from(event.to == State::Running);
                }
            }
            for (lane, (queued, started)) in lanes {
                *more.entry(lane).or_default() += queued.min(started);
            }
        }
        more
    }

    /// Counts the tasks, lane by lane, that this gate has room for, beyond those that know.
    fn waiting_for(&self, no: GateNo, Range { start: known, end: room }: Range<u64>, more: &mut BTreeMap<LaneNo, u64>) {
        let (strands, takeable) = (&self.live.names.strands, &self.live.takeable);
        let new = |waiting: u64| waiting.min(room).saturating_sub(known);
        if !matches!(strands.gate(no), Some(GateName::Key { .. })) {
            for lane in takeable.open().filter(|lane| strands.gates_of_lane(*lane).contains(&no)) {
                *more.entry(lane).or_default() += new(takeable.queued_in(lane, room));
            }
            return;
        }
        for lane in takeable.heads.lanes_of_gate(no) {
            let (mut waiting, mut looked_at) = (0, 0);
            for strand in takeable.heads.of_gate(no, lane) {
                looked_at += 1;
                if looked_at > LOOKED_AT {
                    waiting = room;
                }
                if waiting >= room {
                    break;
                }
                if strands.gates_of(strand).all(|gate| self.live.gauges.room(gate, self.now) > 0) {
                    waiting += takeable.queued(strand);
                }
            }
            *more.entry(lane).or_default() += new(waiting);
        }
    }

    /// No task is of these strands any more: they are forgotten, with the gates that only their tasks spoke of.
    pub(super) fn forget_strands(&mut self, strands: &[StrandNo]) -> Result<()> {
        for strand in strands {
            for no in self.live.names.strands.forget(self.sql.db, *strand)? {
                let gauge = self.live.gauges.get(no).filter(|it| !it.remembers_starts(self.now));
                let own = gauge.and_then(|it| it.own);
                let is_of_tasks = own.is_some_and(|own| own.set_by == SetBy::Task);
                if let Some(name) = self.live.names.strands.gate(no).filter(|_| is_of_tasks) {
                    self.sql.gate_remove.execute(gate::columns(name))?;
                    self.live.gauges.forget(no);
                    self.live.names.strands.forget_gate(no);
                }
            }
        }
        Ok(())
    }

    /// Writes what is said of gates, and the starts of those with a rate.
    pub(super) fn write_gates(&mut self) -> Result<()> {
        for no in self.live.gauges.unwritten() {
            let there = self.live.names.strands.gate(no).zip(self.live.gauges.get(no));
            let Some((name, gauge)) = there else { continue };
            let (kind, tenant, key) = gate::columns(name);
            let starts = (!gauge.starts.is_empty()).then(|| gate::text(&gauge.starts)).transpose()?;
            if gauge.own.is_none() && starts.is_none() {
                self.sql.gate_remove.execute((kind, tenant, key))?;
                continue;
            }
            let bounds = gauge.own.map(|it| gate::text(&it.bounds)).transpose()?;
            let set_by = gauge.own.map(|it| gate::set_by_code(it.set_by));
            self.sql.gate_put.execute((kind, tenant, key, set_by, bounds, starts))?;
        }
        Ok(())
    }
}
