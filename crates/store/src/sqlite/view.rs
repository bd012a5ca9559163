//! What readers see beside the file: names, counts, and what runs. Changed once a commit, after it is on disk and before
//! anybody is answered.
//!
//! A reader copies what it needs from here *before* it begins to read the file: a lease it sees here that is over by then
//! is told by the row ([`super::running::is_current`]), and one it does not see yet is a task that was still queued.

use std::collections::HashMap;
use std::sync::Arc;

use tasklane_core::event::Position;
use tasklane_core::lease::Lease;
use tasklane_core::queue::{Counted, Counts};
use tasklane_core::state::State;
use tasklane_core::task::{Task, TaskId};
use tasklane_core::time::Timestamp;

use super::gauges::Gauge;
use super::live::Live;
use super::names::{LaneNo, Names, ScopeNo};
use super::running::is_current;
use super::strands::{Change, GateNo, StrandNo};
use super::takeable::Place;
use crate::encoding::log::Way;
use foldhash::fast::RandomState as ById;

/// A running task's part that is not in its row.
#[derive(Debug, Clone)]
pub(crate) struct Overlay {
    pub attempt: u32,
    pub lease: Lease,
    pub started_at: Timestamp,
    pub worker: Option<Arc<str>>,
    pub strand: StrandNo,
}

impl Overlay {
    /// Makes a task read from its row what it is.
    pub(crate) fn lay_over(&self, task: &mut Task) {
        if !is_current(task, self.attempt) {
        } else if task.facts.state == State::Running {
            task.facts.lease = Some(self.lease.clone());
        } else {
            task.start(self.worker.as_deref(), self.lease.clone(), self.started_at);
        }
    }
}

/// What a commit changes here.
#[derive(Default)]
pub(crate) struct Changes {
    pub running: Vec<(TaskId, Option<Overlay>)>,
    pub counts: Vec<(Way, i64)>,
    pub gauges: Vec<(GateNo, Gauge)>,
    /// How many are queued in strands with keys, and the first.
    pub strands: Vec<(StrandNo, u64, Option<Place>)>,
    /// Names were added or a queue's state changed.
    pub names: bool,
}

/// What readers see.
#[derive(Default)]
pub(crate) struct View {
    pub names: Names,
    /// Of each lane, by its number.
    pub counts: Vec<Counts>,
    /// Of each scope, by its number.
    pub scopes: Vec<Counts>,
    /// Of each lane and scope.
    pub queued: HashMap<(LaneNo, ScopeNo), u64>,
    /// Gates, by number.
    pub gauges: Vec<Gauge>,
    /// How many are queued in strands with keys that have any, and the first of them.
    pub strands: HashMap<StrandNo, (u64, Place), ById>,
    pub running: HashMap<TaskId, Overlay, ById>,
    pub position: Position,
    pub commits: u64,
}

impl View {
    pub(crate) fn of(live: &Live) -> Self {
        let mut view = Self { names: live.names.clone(), position: live.position, ..Self::default() };
        for (lane, scope, counts) in live.counters.each() {
            at(&mut view.counts, lane.0).add_all(counts);
            at(&mut view.scopes, scope.0).add_all(counts);
            view.queued.insert((lane, scope), counts.of(State::Queued));
        }
        view.gauges = live.gauges.all().to_vec();
        let strands = live.takeable.heads.all();
        view.strands = strands.map(|(strand, first)| (strand, (live.takeable.queued(strand), first))).collect();
        for kept in live.running.all() {
            let task = &kept.task;
            if let (Some(lease), Some(started_at)) = (task.facts.lease.clone(), task.facts.started_at) {
                let worker = task.worker.as_deref().map(Arc::from).or_else(|| live.names.worker(kept.worker).cloned());
                let overlay = Overlay { attempt: task.facts.attempt, lease, started_at, worker, strand: kept.strand };
                view.running.insert(task.facts.id, overlay);
            }
        }
        view
    }

    /// Takes over new names. This comes *before* the commit is on disk: a row must never bear a name a reader lacks, while
    /// a name without rows harms nobody.
    pub(crate) fn follow_names(&mut self, names: &Names, strands: Vec<Change>) {
        self.names.follow(names);
        self.names.strands.follow(strands);
    }

    /// Takes over what a commit changed.
    pub(crate) fn follow(&mut self, changes: Changes, live: &Live) {
        for (id, overlay) in changes.running {
            match overlay {
                Some(overlay) => drop(self.running.insert(id, overlay)),
                None => drop(self.running.remove(&id)),
            }
        }
        for (way, by) in changes.counts {
            for counts in [at(&mut self.counts, way.lane.0), at(&mut self.scopes, way.scope.0)] {
                way.to.inspect(|to| counts.add(*to, by));
                way.from.inspect(|from| counts.add(*from, -by));
            }
            self.count_queued(&way, by);
        }
        for (no, gauge) in changes.gauges {
            let gate = no.0 as usize;
            self.gauges.resize_with(self.gauges.len().max(gate + 1), Gauge::default);
            self.gauges[gate] = gauge;
        }
        for (strand, queued, first) in changes.strands {
            match first {
                Some(first) => drop(self.strands.insert(strand, (queued, first))),
                None => drop(self.strands.remove(&strand)),
            }
        }
        (self.position, self.commits) = (live.position, live.commits);
    }

    fn count_queued(&mut self, way: &Way, by: i64) {
        let is_queued = |counted: Option<Counted>| counted == Some(Counted::In(State::Queued));
        let more = i64::from(is_queued(way.to)) - i64::from(is_queued(way.from));
        if more != 0 {
            let queued = self.queued.entry((way.lane, way.scope)).or_default();
            *queued = queued.saturating_add_signed(more * by);
        }
    }
}

fn at(counts: &mut Vec<Counts>, no: u32) -> &mut Counts {
    let at = no as usize;
    if counts.len() <= at {
        counts.resize(at + 1, Counts::default());
    }
    &mut counts[at]
}
