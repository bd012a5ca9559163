//! Names that many rows share, kept once under a number: queues, lanes, scopes, workers. All of them stay in memory; their
//! number is bounded by [`limit::LANES`] and [`WORKERS`].

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use tasklane_core::limit;
use tasklane_core::queue::QueueState;
use tasklane_core::task::{Lane, Scope};

use super::error::{Fault, Result};
use super::row::Kept;
use super::strands::{StrandNo, Strands};
use crate::encoding::{Damaged, Numbered, Result as Decoded};
pub(crate) use crate::encoding::{LaneNo, ScopeNo};

/// Most worker names kept under a number; a worker beyond them is written out in its tasks' rows.
pub(crate) const WORKERS: usize = 10_000;
/// Longest room for a result that a lane's tasks are given in advance.
const ROOM: usize = 256;
/// Room before anything is known of a lane's results.
const FIRST_ROOM: usize = 32;

/// A queue.
#[derive(Debug, Clone)]
pub(crate) struct QueueEntry {
    pub name: Box<str>,
    pub state: QueueState,
    pub lanes: Vec<LaneNo>,
}

/// A lane.
#[derive(Debug, Clone)]
pub(crate) struct LaneEntry {
    pub lane: Arc<Lane>,
    pub queue: u32,
    room: usize,
}

/// Everything named. Numbers of lanes, scopes and queues are places in these lists.
#[derive(Debug, Default, Clone)]
pub(crate) struct Names {
    pub queues: Vec<QueueEntry>,
    pub lanes: Vec<LaneEntry>,
    pub scopes: Vec<Arc<Scope>>,
    pub strands: Strands,
    workers: HashMap<u32, Arc<str>>,
    by_queue: HashMap<Box<str>, u32>,
    by_lane: HashMap<Arc<Lane>, LaneNo>,
    by_scope: HashMap<Arc<Scope>, ScopeNo>,
    by_worker: HashMap<Arc<str>, u32>,
    next_worker: u32,
    last_lane: Option<(Arc<Lane>, LaneNo)>,
    last_scope: Option<(Arc<Scope>, ScopeNo)>,
}

impl Names {
    pub(crate) fn load(db: &Connection) -> Result<Self> {
        let mut names = Self::default();
        names.strands.load_gates(db)?;
        let mut rows = db.prepare("SELECT no, name, state FROM queues ORDER BY no")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let state =
                QueueState::from_code(row.get(2)?).ok_or_else(|| Fault::damaged("a queue in no known state"))?;
            in_order(row.get(0)?, names.queues.len())?;
            names.push_queue(&row.get::<_, String>(1)?, state);
        }
        let mut rows = db.prepare("SELECT no, queue, type FROM lanes ORDER BY no")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            in_order(row.get(0)?, names.lanes.len())?;
            let queue = usize::try_from(row.get::<_, i64>(1)? - 1).ok().and_then(|at| names.queues.get(at));
            let queue = queue.ok_or_else(|| Fault::damaged("a lane of an unknown queue"))?.name.clone();
            let lane = Lane::new(&queue, &row.get::<_, String>(2)?);
            names.push_lane(&lane);
            names.strands.push_lane(&lane);
        }
        let mut rows = db.prepare("SELECT no, origin, tenant FROM scopes ORDER BY no")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            in_order(row.get(0)?, names.scopes.len())?;
            let (origin, tenant): (String, String) = (row.get(1)?, row.get(2)?);
            let scope = Scope { origin: origin.into(), tenant: tenant.into() };
            names.push_scope(&if scope == Scope::default() { Scope::native() } else { Arc::new(scope) });
        }
        let mut rows = db.prepare("SELECT no, name FROM workers")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            names.put_worker(row.get(0)?, &Arc::from(row.get::<_, String>(1)?));
        }
        names.strands.load(db, &names.lanes, &names.scopes)?;
        // Whoever reads this has all of it.
        names.strands.changes();
        Ok(names)
    }

    fn push_queue(&mut self, name: &str, state: QueueState) -> u32 {
        let no = self.queues.len() as u32;
        self.queues.push(QueueEntry { name: name.into(), state, lanes: Vec::new() });
        self.by_queue.insert(name.into(), no);
        no
    }

    fn push_lane(&mut self, lane: &Arc<Lane>) -> LaneNo {
        let no = LaneNo(self.lanes.len() as u32);
        let queue = self.by_queue.get(&lane.queue).copied();
        let queue = queue.unwrap_or_else(|| self.push_queue(&lane.queue, QueueState::Active));
        self.queues[queue as usize].lanes.push(no);
        self.lanes.push(LaneEntry { lane: Arc::clone(lane), queue, room: FIRST_ROOM });
        self.by_lane.insert(Arc::clone(lane), no);
        no
    }

    fn push_scope(&mut self, scope: &Arc<Scope>) -> ScopeNo {
        let no = ScopeNo(self.scopes.len() as u32);
        self.scopes.push(Arc::clone(scope));
        self.by_scope.insert(Arc::clone(scope), no);
        no
    }

    fn put_worker(&mut self, no: u32, name: &Arc<str>) {
        self.workers.insert(no, Arc::clone(name));
        self.by_worker.insert(Arc::clone(name), no);
        self.next_worker = self.next_worker.max(no + 1);
    }

    /// Whether `other`, which was the same, has names that this has not.
    pub(crate) fn lacks(&self, other: &Self) -> bool {
        let sizes = |it: &Self| (it.queues.len(), it.lanes.len(), it.scopes.len(), it.next_worker);
        sizes(self) != sizes(other) || other.strands.has_changes()
    }

    /// Makes this what `other` is, which is the same with names added or queues changed; strands follow by themselves.
    pub(crate) fn follow(&mut self, other: &Self) {
        for queue in &other.queues[self.queues.len().min(other.queues.len())..] {
            self.push_queue(&queue.name, queue.state);
        }
        for (mine, theirs) in self.queues.iter_mut().zip(&other.queues) {
            mine.state = theirs.state;
        }
        for entry in &other.lanes[self.lanes.len().min(other.lanes.len())..] {
            self.push_lane(&entry.lane);
        }
        for scope in &other.scopes[self.scopes.len().min(other.scopes.len())..] {
            self.push_scope(scope);
        }
        self.workers.clone_from(&other.workers);
        self.next_worker = other.next_worker;
    }

    pub(crate) fn lane(&self, no: LaneNo) -> Result<&Arc<Lane>> {
        Ok(self.lane_of(no)?)
    }

    /// The lane of a strand.
    pub(crate) fn lane_of_strand(&self, no: StrandNo) -> Result<LaneNo> {
        Ok(self.strands.keyed(no)?.map_or(LaneNo(no.0), |strand| strand.lane))
    }

    pub(crate) fn scope(&self, no: ScopeNo) -> Result<&Arc<Scope>> {
        Ok(self.scope_of(no)?)
    }

    /// The worker with this number; a name may have been forgotten before the last task that bears it.
    pub(crate) fn worker(&self, no: u32) -> Option<&Arc<str>> {
        self.workers.get(&no)
    }

    /// Writes out the worker of a running task, before anybody reads it.
    pub(crate) fn tell_worker(&self, kept: &mut Kept) {
        if kept.task.worker.is_none() {
            kept.task.worker = self.worker(kept.worker).map(|name| (**name).into());
        }
    }

    pub(crate) fn queue_of(&self, lane: LaneNo) -> &QueueEntry {
        &self.queues[self.lanes[lane.0 as usize].queue as usize]
    }

    pub(crate) fn find_queue(&self, name: &str) -> Option<&QueueEntry> {
        self.by_queue.get(name).map(|no| &self.queues[*no as usize])
    }

    /// The number of a lane that exists.
    pub(crate) fn find_lane(&mut self, lane: &Arc<Lane>) -> Option<LaneNo> {
        // Callers mostly bring the same lane many times over, and then the same pointer.
        if let Some((last, no)) = &self.last_lane
            && Arc::ptr_eq(last, lane)
        {
            return Some(*no);
        }
        let no = *self.by_lane.get(lane)?;
        self.last_lane = Some((Arc::clone(lane), no));
        Some(no)
    }

    pub(crate) fn lane_named(&self, lane: &Lane) -> Option<LaneNo> {
        self.by_lane.get(lane).copied()
    }

    pub(crate) fn scope_named(&self, scope: &Arc<Scope>) -> Option<ScopeNo> {
        self.by_scope.get(scope).copied()
    }

    /// The number of this lane, made where it is new. The name that is kept is the one to share.
    pub(crate) fn lane_no(&mut self, db: &Connection, lane: &Arc<Lane>) -> Result<LaneNo> {
        if let Some(no) = self.find_lane(lane) {
            return Ok(no);
        }
        debug_assert!(self.lanes.len() < limit::LANES, "admission refuses lanes beyond the limit");
        self.queue_no(db, &lane.queue)?;
        let no = self.push_lane(lane);
        self.strands.push_lane(lane);
        let queue = self.lanes[no.0 as usize].queue;
        db.execute("INSERT INTO lanes (no, queue, type) VALUES (?, ?, ?)", (no.0 + 1, queue + 1, &*lane.task_type))?;
        Ok(no)
    }

    /// The number of this queue, made where it is new.
    pub(crate) fn queue_no(&mut self, db: &Connection, name: &str) -> Result<u32> {
        if let Some(no) = self.by_queue.get(name) {
            return Ok(*no);
        }
        let no = self.push_queue(name, QueueState::Active);
        let state = QueueState::Active.code();
        db.execute("INSERT INTO queues (no, name, state) VALUES (?, ?, ?)", (no + 1, name, state))?;
        Ok(no)
    }

    /// The number of this scope, made where it is new.
    pub(crate) fn scope_no(&mut self, db: &Connection, scope: &Arc<Scope>) -> Result<ScopeNo> {
        if let Some((last, no)) = &self.last_scope
            && Arc::ptr_eq(last, scope)
        {
            return Ok(*no);
        }
        let no = match self.by_scope.get(scope) {
            Some(no) => *no,
            None => {
                let no = self.push_scope(scope);
                let row = (no.0 + 1, &*scope.origin, &*scope.tenant);
                db.execute("INSERT INTO scopes (no, origin, tenant) VALUES (?, ?, ?)", row)?;
                no
            }
        };
        self.last_scope = Some((Arc::clone(scope), no));
        Ok(no)
    }

    /// The number of this worker, made where it is new; `None` where [`WORKERS`] are known already.
    pub(crate) fn worker_no(&mut self, db: &Connection, name: &Arc<str>) -> Result<Option<u32>> {
        if let Some(no) = self.by_worker.get(name) {
            return Ok(Some(*no));
        }
        if self.workers.len() >= WORKERS {
            return Ok(None);
        }
        let no = self.next_worker.max(1);
        db.execute("INSERT INTO workers (no, name) VALUES (?, ?)", (no, &**name))?;
        self.put_worker(no, name);
        Ok(Some(no))
    }

    /// How much room for its result a new task of this lane is given, from what its results were like lately.
    pub(crate) fn room(&self, lane: LaneNo) -> usize {
        self.lanes.get(lane.0 as usize).map_or(FIRST_ROOM, |it| it.room)
    }

    /// A task of this lane had a result of this length.
    pub(crate) fn learn_room(&mut self, lane: LaneNo, length: usize) {
        if let Some(entry) = self.lanes.get_mut(lane.0 as usize) {
            let fading = entry.room - (entry.room - entry.room.min(FIRST_ROOM)).div_ceil(64);
            entry.room = fading.max(length.min(ROOM));
        }
    }
}

impl Numbered for Names {
    fn lane_of(&self, no: LaneNo) -> Decoded<&Arc<Lane>> {
        self.lanes.get(no.0 as usize).map(|it| &it.lane).ok_or_else(|| Damaged::new("a task of an unknown lane"))
    }

    fn scope_of(&self, no: ScopeNo) -> Decoded<&Arc<Scope>> {
        self.scopes.get(no.0 as usize).ok_or_else(|| Damaged::new("a task of an unknown scope"))
    }
}

fn in_order(no: i64, place: usize) -> Result<()> {
    if no == place as i64 + 1 { Ok(()) } else { Err(Fault::damaged("a name's number is missing")) }
}
