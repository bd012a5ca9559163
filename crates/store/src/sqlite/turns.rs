//! Turns of tenants that share a lane, as a commit deals them out.

use tasklane_core::decision::Next;
use tasklane_core::fair::{Line, Turns};
use tasklane_core::state::State;
use tasklane_core::task::{Scope, Task};

use super::error::{Fault, Result};
use super::live::Live;
use super::names::LaneNo;
use super::row::Kept;
use super::tx::Tx;

/// The line of one lane and priority.
struct LineOf<'t, 'a, 'c> {
    tx: &'t mut Tx<'a, 'c>,
    lane: LaneNo,
    urgency: i32,
    /// Who asks is still counted.
    counted: u64,
}

impl LineOf<'_, '_, '_> {
    fn ends(&mut self) -> Result<Option<(i64, i64)>> {
        self.tx.live.takeable.ends(self.tx.sql, self.lane, self.urgency)
    }
}

impl Line for LineOf<'_, '_, '_> {
    type Error = Fault;

    fn first(&mut self) -> Result<Option<i64>> {
        Ok(self.ends()?.map(|(first, _)| first))
    }

    fn last(&mut self) -> Result<Option<i64>> {
        Ok(self.ends()?.map(|(_, last)| last))
    }

    fn queued(&mut self, tenant: &str) -> Result<u64> {
        self.tx.count_all();
        let live = &*self.tx.live;
        let scopes = live.names.scopes_of(tenant).iter();
        let queued: u64 = scopes.map(|scope| live.counters.queued(self.lane, *scope)).sum();
        Ok(queued.saturating_sub(self.counted))
    }
}

impl Tx<'_, '_> {
    /// A task of this scope is accepted: from the first one of a named tenant on, its lane is shared.
    pub(super) fn share(&mut self, lane: LaneNo, scope: &Scope) -> Result<()> {
        let Live { names, fairness, .. } = &mut *self.live;
        if scope.tenant.is_empty() || names.is_shared(lane) || fairness.in_lane(names.lane(lane)?).is_none() {
            return Ok(());
        }
        names.share(self.sql.db, lane)
    }

    /// The turn of a task that comes from a state and becomes queued by this; it stands in no line.
    pub(super) fn turn(&mut self, task: &Task, lane: LaneNo, from: Option<State>, to: Next) -> Result<Option<i64>> {
        if !self.live.names.is_shared(lane) || !matches!(to, Next::Queued | Next::QueuedAgain) {
            return Ok(None);
        }
        let tenant = &task.facts.scope.tenant;
        let Some(cost) = self.live.fairness.in_lane(&task.facts.lane).map(|weights| weights.cost(tenant)) else {
            return Ok(None);
        };
        let (key, counted) = ((lane, task.priority), u64::from(from == Some(State::Queued)));
        let mut turns = self.live.turns.remove(&key).unwrap_or_default();
        let (now, is_first) = (self.now, turns.front().is_none());
        let mut line = LineOf { tx: self, lane, urgency: -task.priority, counted };
        let turn = match to {
            Next::Queued => turns.next(tenant, cost, now, &mut line),
            _ => turns.again(now, &mut line),
        };
        self.live.turns.insert(key, turns);
        if is_first {
            self.fronts.push(key);
        }
        turn.map(Some)
    }

    /// A task leaves its line without being leased.
    pub(super) fn leave_line(&mut self, kept: &Kept) {
        if kept.task.turn.is_none() {
            return;
        }
        let (tenant, live) = (&kept.task.facts.scope.tenant, &mut *self.live);
        let cost = live.fairness.in_lane(&kept.task.facts.lane).map(|weights| weights.cost(tenant));
        if let Some((turns, cost)) = live.turns.get_mut(&(kept.lane, kept.task.priority)).zip(cost) {
            turns.left(tenant, cost);
        }
    }

    /// A task of this place starts.
    pub(super) fn lease_turn(&mut self, lane: LaneNo, priority: i32, place: i64) {
        if self.live.names.is_shared(lane) {
            let key = (lane, priority);
            self.live.turns.entry(key).or_default().leased(place);
            if self.fronts.last() != Some(&key) {
                self.fronts.push(key);
            }
        }
    }

    /// Writes down how far turns have come by this commit.
    pub(super) fn write_fronts(&mut self) -> Result<()> {
        self.fronts.sort_unstable();
        self.fronts.dedup();
        for (lane, priority) in std::mem::take(&mut self.fronts) {
            if let Some(front) = self.live.turns.get(&(lane, priority)).and_then(Turns::front) {
                self.sql.front_put(lane, -priority, front)?;
            }
        }
        Ok(())
    }
}
