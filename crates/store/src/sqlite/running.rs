//! What runs now. A lease is not written to the task's row: one row of `leases` tells of everything leased together, and
//! the tasks are held here until they are settled, so that a settlement finds its task without reading and a task's row is
//! written twice in its life, when it is accepted and when it is settled. A renewal changes memory alone: after an outage
//! every lease counts anew anyway.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tasklane_core::lease::{Lease, LeaseKey, Token};
use tasklane_core::rescue::Host;
use tasklane_core::state::State;
use tasklane_core::task::{Task, TaskId};
use tasklane_core::time::Timestamp;

use super::error::{Fault, Result};
use super::row::Kept;
use crate::encoding::varint::{Bytes, put};
use foldhash::fast::RandomState as ById;

/// What was leased together.
struct Grant {
    ids: Vec<TaskId>,
    left: usize,
    /// Not later than the earliest moment at which something happens to one of them.
    due: Timestamp,
}

/// Everything that runs. A task here names its worker by number alone, where the worker has one:
/// [`super::names::Names::tell_worker`].
#[derive(Default)]
pub(crate) struct Registry {
    tasks: HashMap<TaskId, Box<Kept>, ById>,
    grants: HashMap<u64, Grant, ById>,
    due: BTreeSet<(Timestamp, u64)>,
    next: u64,
    /// Grants to workers in a server that ended.
    cut_off: BTreeSet<u64>,
}

impl Registry {
    pub(crate) fn get(&self, id: TaskId) -> Option<&Kept> {
        self.tasks.get(&id).map(|kept| &**kept)
    }

    /// The task that runs under this lease.
    pub(crate) fn held(&mut self, key: &LeaseKey) -> Option<&mut Kept> {
        self.tasks.get_mut(&key.id).map(|kept| &mut **kept).filter(|kept| kept.task.facts.runs_under(key))
    }

    /// A running task, whoever runs it.
    pub(crate) fn get_mut(&mut self, id: TaskId) -> Option<&mut Kept> {
        self.tasks.get_mut(&id).map(|kept| &mut **kept)
    }

    /// Takes out the task that runs under this lease.
    pub(crate) fn take_held(&mut self, key: &LeaseKey) -> Option<Box<Kept>> {
        match self.tasks.entry(key.id) {
            Entry::Occupied(entry) if entry.get().task.facts.runs_under(key) => Some(entry.remove()),
            Entry::Occupied(_) | Entry::Vacant(_) => None,
        }
    }

    /// Takes out a running task, whoever runs it.
    pub(crate) fn take(&mut self, id: TaskId) -> Option<Box<Kept>> {
        self.tasks.remove(&id)
    }

    /// The number of the next grant.
    pub(crate) fn next_grant(&self) -> u64 {
        self.next + 1
    }

    /// A grant of these tasks. Nothing happens to any of them before `due`.
    pub(crate) fn put_grant(&mut self, no: u64, ids: Vec<TaskId>, due: Timestamp) {
        self.next = self.next.max(no);
        if ids.is_empty() {
            return;
        }
        self.due.insert((due, no));
        self.grants.insert(no, Grant { left: ids.len(), ids, due });
    }

    pub(crate) fn put(&mut self, kept: Box<Kept>) {
        self.tasks.insert(kept.task.facts.id, kept);
    }

    /// One of a grant ended. Answers whether it was the last of it.
    pub(crate) fn ended(&mut self, grant: u64) -> bool {
        let Some(entry) = self.grants.get_mut(&grant) else { return false };
        entry.left = entry.left.saturating_sub(1);
        if entry.left > 0 {
            return false;
        }
        self.due.remove(&(entry.due, grant));
        self.grants.remove(&grant);
        self.cut_off.remove(&grant);
        true
    }

    /// The server in which the tasks of this grant ran has ended: nobody holds their leases.
    pub(crate) fn cut_off(&mut self, grant: u64) {
        self.cut_off.insert(grant);
    }

    /// What is known of the server in which the tasks of this grant run.
    pub(crate) fn host_of(&self, grant: u64) -> Host {
        if self.cut_off.contains(&grant) { Host::Ended } else { Host::Up }
    }

    /// Something may happen to a task of this grant as early as `at`.
    pub(crate) fn due_by(&mut self, grant: u64, at: Timestamp) {
        if let Some(entry) = self.grants.get_mut(&grant)
            && at < entry.due
        {
            self.due.remove(&(entry.due, grant));
            entry.due = at;
            self.due.insert((at, grant));
        }
    }

    /// The running tasks to which something happens at `now`, the longest due first, at most `most`.
    pub(crate) fn due(&mut self, now: Timestamp, most: usize) -> Vec<TaskId> {
        let grants: Vec<u64> = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, grant)| *grant).collect();
        let mut due = Vec::new();
        for grant in grants {
            let Some(ids) = self.grants.get(&grant).map(|grant| &grant.ids) else { continue };
            let runs = |id: &&TaskId| self.tasks.get(id).filter(|kept| kept.grant == grant);
            let moments = ids.iter().filter_map(|id| Some((runs(&id)?.task.facts.due_at()?, *id)));
            let (past, future): (Vec<_>, Vec<_>) = moments.partition(|(at, _)| *at <= now);
            // A grant of renewed leases moves on; one with a task that is due now stays until that task is settled.
            let earliest = past.iter().chain(&future).map(|(at, _)| *at).min();
            self.move_grant(grant, earliest.unwrap_or(Timestamp::MAX));
            due.extend(past);
        }
        due.sort_unstable();
        due.truncate(most);
        due.into_iter().map(|(_, id)| id).collect()
    }

    fn move_grant(&mut self, grant: u64, at: Timestamp) {
        if let Some(entry) = self.grants.get_mut(&grant) {
            self.due.remove(&(entry.due, grant));
            entry.due = at;
            self.due.insert((at, grant));
        }
    }

    /// A moment not later than the next one at which something happens to a running task.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Kept> {
        self.tasks.values().map(|kept| &**kept)
    }

    /// Leases that were granted before an outage count anew from `now`: [`Lease::count_anew`]; what is cut off is lost now.
    pub(crate) fn count_anew(&mut self, now: Timestamp) {
        for kept in self.tasks.values_mut() {
            if let Some(lease) = &mut kept.task.facts.lease {
                if self.cut_off.contains(&kept.grant) {
                    lease.cut_off(now);
                } else {
                    lease.count_anew(now);
                }
            }
        }
        let due = self.due.iter().map(|(_, grant)| *grant).collect::<Vec<_>>();
        due.into_iter().for_each(|grant| self.move_grant(grant, now));
    }
}

/// What a row of `leases` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantBody {
    pub worker_no: u32,
    pub worker: Arc<str>,
    pub length: Duration,
    pub started_at: Timestamp,
    pub seed: u64,
    /// Number and attempt of each, in the order of their tokens.
    pub tasks: Vec<(i64, u32)>,
}

impl GrantBody {
    /// The lease of the task at `index`, as it was when it was granted.
    pub(crate) fn lease(&self, index: usize) -> Lease {
        Lease::begun(Token::nth(self.seed, index), self.length, self.started_at)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(64 + 3 * self.tasks.len());
        put(&mut body, self.worker_no.into());
        let name: &[u8] = if self.worker_no == 0 { self.worker.as_bytes() } else { &[] };
        put(&mut body, name.len() as u128);
        body.extend_from_slice(name);
        put(&mut body, self.length.as_micros());
        put(&mut body, self.started_at.as_micros().max(0) as u128);
        body.extend_from_slice(&self.seed.to_le_bytes());
        let mut last = 0_i64;
        for (seq, attempt) in &self.tasks {
            let difference = seq - last - 1;
            put(&mut body, ((difference << 1) ^ (difference >> 63)) as u64 as u128);
            put(&mut body, (*attempt).into());
            last = *seq;
        }
        body
    }

    /// Reads a body; `name` knows the names of workers by number.
    pub(crate) fn decode(body: &[u8], name: impl Fn(u32) -> Option<Arc<str>>) -> Result<Self> {
        let mut bytes = Bytes(body);
        let worker_no = bytes.fitting()?;
        let length = bytes.fitting()?;
        let inline = std::str::from_utf8(bytes.take(length)?).map_err(|_| Fault::damaged("a lease's worker"))?;
        let worker = if worker_no == 0 { Arc::from(inline) } else { name(worker_no).unwrap_or_else(|| "".into()) };
        let length = Duration::from_micros(bytes.fitting()?);
        let started_at = Timestamp::from_micros(bytes.fitting()?);
        let seed = bytes.take(8)?.try_into().map(u64::from_le_bytes).map_err(|_| Fault::damaged("a lease's seed"))?;
        let (mut tasks, mut last) = (Vec::new(), 0_i64);
        while !bytes.is_empty() {
            let zigzag: u64 = bytes.fitting()?;
            let difference = ((zigzag >> 1) ^ (zigzag & 1).wrapping_neg()) as i64;
            last = last.wrapping_add(difference).wrapping_add(1);
            tasks.push((last, bytes.fitting()?));
        }
        Ok(Self { worker_no, worker, length, started_at, seed, tasks })
    }
}

/// Whether the lease of attempt `attempt` is the one this row's task has now: its row is that of before the attempt, or
/// was written during it.
pub(crate) fn is_current(task: &Task, attempt: u32) -> bool {
    let facts = &task.facts;
    (facts.state == State::Queued && facts.attempt + 1 == attempt)
        || (facts.state == State::Running && facts.attempt == attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_leads_back() {
        let grant = GrantBody {
            worker_no: 0,
            worker: "w".into(),
            length: Duration::from_secs(30),
            started_at: Timestamp::from_micros(77),
            seed: u64::MAX,
            tasks: vec![(5, 1), (6, 1), (3, 9), (900, 2)],
        };
        assert_eq!(GrantBody::decode(&grant.encode(), |_| None).expect("what was encoded"), grant);
    }
}
