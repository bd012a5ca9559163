//! Gates: who holds a slot is who runs, so slots are counted anew wherever they are asked for, and nothing but what is said
//! of gates and when tasks started is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tasklane_core::event::Transition;
use tasklane_core::gate::{self, Bounds, Definition, Gate, GateDetail, GateName, Limit, Rate, SetBy, SetGate, Starts};
use tasklane_core::limit;
use tasklane_core::queue::QueueState;
use tasklane_core::sabotage::{self, Sabotage};
use tasklane_core::state::{Reason, State};
use tasklane_core::task::{Facts, Lane, Scope, Task, TaskId};
use tasklane_core::time::Timestamp;

use super::{Model, Tx};

/// How many slots of which gate are taken.
pub(super) struct Slots(BTreeMap<GateName, u64>);

/// Whether tasks of paused queues count as such that could start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Paused {
    With,
    Without,
}

impl Slots {
    /// Those of all that runs.
    pub(super) fn of(model: &Model) -> Self {
        let mut slots = Self(BTreeMap::new());
        if model.knows_gates() {
            let running = model.tasks.values().map(|kept| &kept.task.facts).filter(|it| holds_slots(it));
            running.for_each(|facts| slots.take(facts));
        }
        slots
    }

    /// This task starts.
    pub(super) fn take(&mut self, facts: &Facts) {
        facts.passes().for_each(|name| *self.0.entry(name).or_default() += 1);
    }

    fn taken(&self, name: &GateName) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn room(&self, model: &Model, name: &GateName, at: Timestamp) -> u32 {
        let bounds = model.in_force(name).map(|it| it.bounds).unwrap_or_default();
        let starts = model.starts.get(name).cloned().unwrap_or_default();
        gate::room(&bounds, self.taken(name), &starts, at)
    }

    /// The room there was, or would have been, when it was last told that gates opened by time.
    fn room_then(&self, model: &Model, name: &GateName) -> u32 {
        let bounds = model.in_force(name).map(|it| it.bounds).unwrap_or_default();
        let free = gate::room(&Bounds { rate: None, ..bounds }, self.taken(name), &Starts::default(), model.told_at);
        let counted = |rate: Rate| {
            let starts = model.counted_then.get(name).into_iter().flatten();
            starts.filter(|at| at.plus(rate.per) > model.told_at).count() as u32
        };
        bounds.rate.map_or(free, |rate| free.min(rate.count.saturating_sub(counted(rate))))
    }

    /// The gates of a task that are full at this moment.
    fn full<'t>(&'t self, model: &'t Model, facts: &'t Facts, at: Timestamp) -> impl Iterator<Item = GateName> + 't {
        let names = model.knows_gates().then(|| facts.passes()).into_iter().flatten();
        names.filter(move |name| self.room(model, name, at) == 0)
    }

    /// Whether all gates of a task have room for one more.
    pub(super) fn is_open(&self, model: &Model, facts: &Facts, at: Timestamp) -> bool {
        self.full(model, facts, at).next().is_none()
    }

    /// What counts show of a task.
    pub(super) fn state_of(&self, model: &Model, facts: &Facts) -> State {
        let is_queued = facts.state == State::Queued;
        gate::shown(facts.state, is_queued && !self.is_open(model, facts, model.now))
    }

    /// What a read shows of a task.
    pub(super) fn show(&self, model: &Model, task: &Task) -> Task {
        let mut shown = task.clone();
        shown.facts.state = self.state_of(model, &task.facts);
        if shown.facts.state != task.facts.state {
            shown.reason = Reason::GateFull;
        }
        shown
    }
}

fn holds_slots(facts: &Facts) -> bool {
    facts.state == State::Running || (facts.attempt > 0 && sabotage::is(Sabotage::KeptSlot))
}

impl Model {
    /// Whether there is anything to count.
    pub(super) fn knows_gates(&self) -> bool {
        !self.gates.is_empty()
    }

    /// What holds at a gate; `None`: nobody said anything.
    fn in_force(&self, name: &GateName) -> Option<Definition> {
        let said = |name: &GateName| self.gates.get(name).copied();
        gate::in_force(said(name), name.stand_in().as_ref().and_then(said))
    }

    /// The full gates of a task that is queued but for them.
    pub(super) fn full_gates(&self, task: &Task) -> Vec<Gate> {
        let slots = Slots::of(self);
        let facts = Some(&task.facts).filter(|it| it.state == State::Queued);
        let full = facts.into_iter().flat_map(|facts| slots.full(self, facts, self.now));
        full.filter_map(|name| self.read_gate(&name, &slots)).collect()
    }

    pub(super) fn gates(&self, after: Option<&GateName>, most: usize) -> Vec<Gate> {
        let slots = Slots::of(self);
        let names = self.gates.keys().filter(|name| after.is_none_or(|after| *name > after));
        names.filter_map(|name| self.read_gate(name, &slots)).take(most).collect()
    }

    pub(super) fn gate(&self, name: &GateName) -> Option<GateDetail> {
        let gate = self.read_gate(name, &Slots::of(self)).filter(|_| self.gates.contains_key(name))?;
        let holders = self.passing(name, State::Running).map(|task| (task.facts.id, task.worker.clone()));
        Some(GateDetail { gate, holders: holders.take(limit::GATE_HOLDERS).collect() })
    }

    fn read_gate(&self, name: &GateName, slots: &Slots) -> Option<Gate> {
        let Definition { bounds, set_by } = self.in_force(name)?;
        let (running, waiting) = (slots.taken(name), self.passing(name, State::Queued).count() as u64);
        let opens_at = self.opens_at(name, self.now);
        Some(Gate { name: name.clone(), bounds, set_by, running, waiting, opens_at })
    }

    /// Tasks in this state that pass this gate.
    fn passing<'m>(&'m self, name: &'m GateName, state: State) -> impl Iterator<Item = &'m Task> {
        let tasks = self.tasks.values().map(|kept| &kept.task);
        tasks.filter(move |it| it.facts.state == state && it.facts.passes().any(|it| it == *name))
    }

    /// When the rate of a gate lets the next task start, if that is not at `at`.
    fn opens_at(&self, name: &GateName, at: Timestamp) -> Option<Timestamp> {
        self.starts.get(name)?.opens_at(self.in_force(name)?.bounds.rate?, at)
    }

    /// When the next gate that a task waits for opens by time, of those nobody was told of yet.
    pub(super) fn next_opening(&self) -> Option<Timestamp> {
        let awaited = |name: &&GateName| self.passing(name, State::Queued).next().is_some();
        self.starts.keys().filter(awaited).filter_map(|name| self.opens_at(name, self.told_at)).min()
    }

    /// Nobody asks any more for starts that do not count now.
    pub(super) fn forget_starts(&mut self) {
        let mut counted = std::mem::take(&mut self.counted_then);
        counted.retain(|name, starts| {
            let rate = self.in_force(name).and_then(|it| it.bounds.rate);
            starts.retain(|at| rate.is_some_and(|rate| at.plus(rate.per) > self.told_at));
            !starts.is_empty()
        });
        self.counted_then = counted;
    }

    /// Where something else holds at a gate, room that came to it by time is told together with that.
    fn tell_time(&mut self, name: &GateName) {
        let (now, rate) = (self.now, self.in_force(name).and_then(|it| it.bounds.rate));
        if let Some(starts) = self.counted_then.get_mut(name) {
            starts.retain(|at| rate.is_some_and(|rate| at.plus(rate.per) > now));
        }
    }

    /// What could start at the last moment whose openings were told, lane by lane, each as if it were the only one that is
    /// served.
    pub(super) fn startable(&self, paused: Paused) -> BTreeMap<Arc<Lane>, BTreeSet<TaskId>> {
        let (mut lanes, slots) = (BTreeMap::new(), Slots::of(self));
        let is_served =
            |lane: &Lane| paused == Paused::With || self.queues.get(&lane.queue) != Some(&QueueState::Paused);
        for lane in self.lanes.iter().filter(|lane| is_served(lane)) {
            let mut rooms: BTreeMap<GateName, u32> = BTreeMap::new();
            let mut ids = BTreeSet::new();
            for id in self.line(lane) {
                let Some(facts) = self.tasks.get(&id).map(|kept| &kept.task.facts) else { continue };
                let names: Vec<GateName> = facts.passes().collect();
                for name in &names {
                    rooms.entry(name.clone()).or_insert_with(|| slots.room_then(self, name));
                }
                if names.iter().all(|name| rooms[name] > 0) {
                    names.iter().for_each(|name| *rooms.entry(name.clone()).or_default() -= 1);
                    ids.insert(id);
                }
            }
            lanes.insert(Arc::clone(lane), ids);
        }
        lanes
    }
}

impl Tx<'_> {
    /// Somebody says what a gate is to let through.
    pub(super) fn set_gate(&mut self, set: SetGate) -> bool {
        let SetGate { name, by, bounds } = set;
        let yields = self.model.gates.get(&name).map(|it| it.yields_to(by));
        let before: Vec<_> = self.model.counted_then.keys().map(|it| (it.clone(), self.model.in_force(it))).collect();
        let counts = match bounds {
            Some(bounds) if yields.unwrap_or(true) => {
                self.model.gates.insert(name, Definition { bounds, set_by: by });
                true
            }
            None if yields.unwrap_or(false) => {
                self.model.gates.remove(&name);
                self.model.starts.remove(&name);
                self.model.counted_then.remove(&name);
                true
            }
            _ => false,
        };
        for (name, was) in before {
            let bounds = |it: Option<Definition>| it.map(|it| it.bounds);
            if bounds(self.model.in_force(&name)) != bounds(was) {
                self.model.tell_time(&name);
            }
        }
        counts
    }

    /// What an accepted task says of the gates it names.
    pub(super) fn name_gates(&mut self, scope: &Scope, limits: &[Limit]) {
        for Limit { key, bounds } in limits {
            let name = GateName::Key { tenant: scope.tenant.clone(), key: key.clone() };
            if *bounds == Bounds::default() {
                self.model.gates.entry(name).or_insert(Definition::of_task(*bounds));
            } else {
                self.set_gate(SetGate { name, by: SetBy::Task, bounds: Some(*bounds) });
            }
        }
    }

    /// A task starts: gates with a rate remember when.
    pub(super) fn pass_gates(&mut self, facts: &Facts) {
        for name in facts.passes() {
            if let Some(rate) = self.model.in_force(&name).and_then(|it| it.bounds.rate) {
                self.model.counted_then.entry(name.clone()).or_default().push(self.now);
                self.model.starts.entry(name).or_default().take(rate, self.now, 1);
            }
        }
    }

    /// What this commit's leases looked at and left is told again if it can start once more in the end.
    pub(super) fn still_startable(&self, before: &mut BTreeMap<Arc<Lane>, BTreeSet<TaskId>>) {
        let now = self.model.startable(Paused::With);
        for (lane, ids) in before {
            ids.retain(|id| now.get(lane).is_some_and(|it| it.contains(id)));
        }
    }

    /// Tells where tasks can start that could not `before`, beyond what the transitions tell.
    pub(super) fn tell_opened(&mut self, before: &BTreeMap<Arc<Lane>, BTreeSet<TaskId>>) {
        if sabotage::is(Sabotage::DeafGate) {
            return;
        }
        for (lane, now) in self.model.startable(Paused::Without) {
            let more = now.difference(before.get(&lane).unwrap_or(&BTreeSet::new())).count();
            let opened = more.saturating_sub(surplus(&self.answers.transitions, &lane));
            if opened > 0 {
                self.answers.opened.push((lane, opened));
            }
        }
    }
}

/// How many more tasks came into the line of a lane than left it to run.
fn surplus(transitions: &[Transition], lane: &Lane) -> usize {
    let to = |state| transitions.iter().filter(|it| *it.lane == *lane && it.to == state).count();
    to(State::Queued).saturating_sub(to(State::Running))
}
