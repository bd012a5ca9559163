//! The third station: who wants work gets what stands first in the lanes it serves.

use std::sync::Arc;

use bytes::Bytes;
use tasklane_core::lease::{Home, LeaseRequest, Leased};
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::promote;
use tasklane_core::queue::QueueState;
use tasklane_core::state::State;
use tasklane_core::time::Timestamp;

use super::error::{Fault, Result};
use super::live::Live;
use super::names::LaneNo;
use super::row::Kept;
use super::running::GrantBody;
use super::strands::StrandNo;
use super::takeable::{Gating, Place};
use super::tx::{Before, Tx};

/// What is given to one request.
struct Giving<'r> {
    request: &'r LeaseRequest,
    worker_no: u32,
    grant: u64,
    tasks: Vec<(i64, u32)>,
    leased: Vec<Leased>,
    /// Of their payloads; over [`limit::LEASE_BYTES`] it is enough.
    bytes: usize,
    /// Nothing happens to any of them before this.
    due: Timestamp,
}

/// What became of a task that was taken.
#[derive(PartialEq, Eq)]
enum Given {
    /// It was dealt with.
    Itself,
    /// It ended instead of starting, and others have its slots.
    ItsSlots,
}

/// A task that was read, and whether its payload is what was accepted.
type Read = (Box<Kept>, Result<()>);

impl Tx<'_, '_> {
    pub(super) fn lease_all(&mut self, batch: &mut Batch) -> Result<()> {
        for request in &batch.lease {
            let leased = self.lease(request)?;
            self.answer().lease.push(leased);
        }
        Ok(())
    }

    fn lease(&mut self, request: &LeaseRequest) -> Result<Vec<Leased>> {
        self.let_in_by_time();
        let mut giving = None;
        loop {
            let most = request.limit - giving.as_ref().map_or(0, |giving: &Giving<'_>| giving.leased.len());
            let lanes = if most == 0 { Vec::new() } else { self.lanes_for(request) };
            let Live { takeable, gauges, names, .. } = &mut *self.live;
            let mut gating = Gating { names, strands: &names.strands, gauges, now: self.now };
            let taken = takeable.take(self.sql, &mut gating, &lanes, most)?;
            if taken.is_empty() {
                break;
            }
            if giving.is_none() {
                let worker_no = self.live.names.worker_no(self.sql.db, &request.worker)?.unwrap_or(0);
                let grant = self.live.running.next_grant();
                giving = Some(Giving {
                    request,
                    worker_no,
                    grant,
                    tasks: Vec::new(),
                    leased: Vec::new(),
                    bytes: 0,
                    due: Timestamp::MAX,
                });
            }
            if let Some(giving) = &mut giving {
                // What stands first may turn out to be over its deadline or damaged; then there is room for others.
                let given = self.give(giving, &taken)?;
                if given < taken.len() {
                    self.put_back(&taken[given..])?;
                }
                if giving.bytes >= limit::LEASE_BYTES {
                    break;
                }
            }
        }
        giving.map_or(Ok(Vec::new()), |giving| self.grant(giving))
    }

    /// The open lanes that this request is for.
    fn lanes_for(&self, request: &LeaseRequest) -> Vec<LaneNo> {
        let (names, takeable) = (&self.live.names, &self.live.takeable);
        let mut lanes = Vec::new();
        if let Some(named) = request.named() {
            lanes.extend(named.filter_map(|lane| names.lane_named(&lane)));
            lanes.sort_unstable();
            lanes.dedup();
            lanes.retain(|lane| takeable.is_open(*lane));
        } else {
            let serves = |lane: &LaneNo| request.serves(&names.lanes[lane.0 as usize].lane);
            lanes.extend(takeable.open().filter(serves));
        }
        lanes.retain(|lane| names.queue_of(*lane).state != QueueState::Paused);
        lanes
    }

    /// Starts an attempt of each that was taken, until it is enough; answers how many were dealt with.
    fn give(&mut self, giving: &mut Giving<'_>, taken: &[(StrandNo, Place)]) -> Result<usize> {
        let next_to = |a: &(StrandNo, Place), b: &(StrandNo, Place)| a.1.seq + 1 == b.1.seq;
        let (mut dealt, mut leaves_slots) = (0, false);
        while let Some(run) = taken[dealt..].chunk_by(next_to).next()
            && giving.bytes < limit::LEASE_BYTES
            && !leaves_slots
        {
            let (first, last) = (run[0].1.seq, run[run.len() - 1].1.seq);
            let (rows, mut next) = self.read(first, last)?;
            for (kept, payload) in rows {
                if giving.bytes >= limit::LEASE_BYTES || leaves_slots {
                    next = kept.seq;
                    break;
                }
                // Who does not start leaves its slots to whoever stands next at its gates, not to who was taken after it.
                leaves_slots = self.give_one(giving, kept, payload)? == Given::ItsSlots;
            }
            dealt += run.iter().take_while(|(_, place)| place.seq < next).count();
        }
        Ok(dealt)
    }

    /// Queued tasks in a row, with their payloads, and the number of the first one not read: it is `last + 1` unless
    /// they are too large to be held at once.
    fn read(&mut self, first: i64, last: i64) -> Result<(Vec<Read>, i64)> {
        let (mut rows, mut bytes, mut next) = (Vec::new(), 0, last + 1);
        let names = &self.live.names;
        self.sql.by_seqs(first, last, |row| {
            match Kept::read(row, names) {
                Ok(kept) if bytes >= limit::LEASE_BYTES => next = next.min(kept.seq),
                Ok(kept) => {
                    let mut kept = Box::new(kept);
                    let payload = kept.take_payload(row);
                    bytes += kept.task.payload.len();
                    rows.push((kept, payload));
                }
                Err(Fault::Damaged(cause)) => {
                    tracing::error!(cause, "a queued task cannot be read; it is passed over");
                }
                Err(fault) => return Err(fault),
            }
            Ok(())
        })?;
        Ok((rows, next))
    }

    /// Puts tasks that were taken and not given back where they stood.
    fn put_back(&mut self, rest: &[(StrandNo, Place)]) -> Result<()> {
        // What was taken is off the disk first, or noted, so that these can be added like any others.
        self.live.takeable.finish(self.sql)?;
        for (strand, place) in rest {
            self.live.takeable.add(&self.live.names.strands, *strand, *place);
            self.loosen(*strand);
        }
        Ok(())
    }

    fn give_one(&mut self, giving: &mut Giving<'_>, mut kept: Box<Kept>, payload: Result<()>) -> Result<Given> {
        let over = match payload {
            Ok(()) => promote::decide(&kept.task, self.now),
            Err(Fault::Damaged(cause)) => {
                let id = kept.task.facts.id;
                tracing::error!(task = %id, cause, "a stored payload is damaged; the task fails instead of running with it");
                Some(promote::damaged(&kept.task.facts, cause))
            }
            Err(fault) => return Err(fault),
        };
        if kept.task.facts.state != State::Queued {
            return Err(Fault::damaged(format!("task {} stands in a lane but is not queued", kept.task.facts.id)));
        }
        if let Some(decision) = over {
            let before = Before::taken(&kept);
            self.change(&mut kept, &before, decision)?;
            self.loosen(kept.strand);
            let has_gates = self.live.names.strands.gates_of(kept.strand).next().is_some();
            return Ok(if has_gates { Given::ItsSlots } else { Given::Itself });
        }
        self.no_longer_due(&kept.task)?;
        let request = giving.request;
        let lease = request.lease(giving.leased.len(), self.now);
        (kept.token, kept.worker, kept.settled, kept.grant) = (lease.token, giving.worker_no, None, giving.grant);
        let (waited, place) = (kept.task.waited(self.now), kept.task.place());
        let payload = std::mem::replace(&mut kept.task.payload, Bytes::new());
        kept.task.start(Some(&*request.worker).filter(|_| giving.worker_no == 0), lease, self.now);
        self.pass_gates(kept.strand);
        self.lease_turn(kept.lane, kept.task.priority, place);
        giving.due = kept.task.facts.due_at().map_or(giving.due, |at| at.min(giving.due));
        self.record(&kept, Some(State::Queued));
        let checkpoints = self.put_aside(&kept)?;
        giving.tasks.push((kept.seq, kept.task.facts.attempt));
        let leased = Leased { facts: kept.task.facts.clone(), payload, waited, checkpoints };
        giving.bytes += leased.bytes();
        giving.leased.push(leased);
        let id = kept.task.facts.id;
        self.live.running.put(kept);
        self.show(id, Some(&request.worker));
        Ok(Given::Itself)
    }

    /// Writes down what was given to a request.
    fn grant(&mut self, giving: Giving<'_>) -> Result<Vec<Leased>> {
        if giving.leased.is_empty() {
            return Ok(giving.leased);
        }
        let body = GrantBody {
            worker_no: giving.worker_no,
            worker: Arc::clone(&giving.request.worker),
            length: giving.request.length,
            started_at: self.now,
            seed: giving.request.seed,
            tasks: giving.tasks,
        };
        let inside = (giving.request.home == Home::InServer).then_some(self.live.opening.0);
        self.sql.lease_add(giving.grant, &body.encode(), inside)?;
        let ids = giving.leased.iter().map(|leased| leased.facts.id).collect();
        self.live.running.put_grant(giving.grant, ids, giving.due);
        Ok(giving.leased)
    }
}
