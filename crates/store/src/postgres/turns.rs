//! Turns of tenants that share a lane, as commits deal them out. Each server remembers the last turn of each tenant; how far
//! turns have come stands in the database, where it is read again after [`KEPT`] and written by whoever leases. Lanes that
//! nobody shares have nothing of this.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tasklane_core::accept::NewTask;
use tasklane_core::decision::Next;
use tasklane_core::fair::{Fairness, Line, Turns};
use tasklane_core::state::State;
use tasklane_core::task::{Lane, Scope, Task};
use tokio_postgres::types::Type;

use super::accept::urgency;
use super::error::Result;
use super::names::Names;
use super::row::Kept;
use super::session::{Session, Statement};
use super::tx::{Shared, Tx};
use crate::encoding::{LaneNo, ScopeNo};

/// How long it is taken for true how far turns have come: others lease too.
const KEPT: Duration = Duration::from_millis(50);

const FRONTS: Statement = Statement {
    sql: "SELECT t.lane, t.urgency, t.front FROM unnest($1::int[], $2::smallint[]) AS u(lane, urgency)
          JOIN tasklane.turns t ON t.lane = u.lane AND t.urgency = u.urgency",
    types: &[Type::INT4_ARRAY, Type::INT2_ARRAY],
};

/// How many of these scopes are queued in these lanes.
const QUEUED: Statement = Statement {
    sql: "SELECT lane, scope, sum(n)::bigint FROM tasklane.counters
          WHERE counted = 3 AND lane = ANY($1) AND scope = ANY($2) GROUP BY 1, 2",
    types: &[Type::INT4_ARRAY, Type::INT4_ARRAY],
};

/// The first and the last place of an urgency in a lane and its strands, but for one task.
pub(crate) const ENDS: Statement = Statement {
    sql: "SELECT min(e.first), max(e.last) FROM unnest($1::int[]) AS s(no) CROSS JOIN LATERAL (SELECT
            (SELECT place FROM tasklane.tasks WHERE lane = s.no AND place IS NOT NULL AND urgency = $2 AND id <> $3
             ORDER BY lane, urgency, place, id LIMIT 1) AS first,
            (SELECT place FROM tasklane.tasks WHERE lane = s.no AND place IS NOT NULL AND urgency = $2 AND id <> $3
             ORDER BY lane DESC, urgency DESC, place DESC, id DESC LIMIT 1) AS last) e",
    types: &[Type::INT4_ARRAY, Type::INT2, Type::UUID],
};

/// Turns have come this far. Nobody waits: what another commit is about to say is near enough.
pub(crate) const COME: Statement = Statement {
    sql: "WITH come AS (SELECT * FROM unnest($1::int[], $2::smallint[], $3::bigint[]) AS u(lane, urgency, front)),
          free AS MATERIALIZED (SELECT t.lane, t.urgency, c.front FROM come c
            JOIN tasklane.turns t ON t.lane = c.lane AND t.urgency = c.urgency WHERE t.front < c.front
            FOR UPDATE OF t SKIP LOCKED),
          moved AS (UPDATE tasklane.turns t SET front = f.front FROM free f WHERE t.lane = f.lane AND t.urgency = f.urgency)
          INSERT INTO tasklane.turns (lane, urgency, front) SELECT c.lane, c.urgency, c.front FROM come c
          WHERE NOT EXISTS (SELECT 1 FROM tasklane.turns t WHERE t.lane = c.lane AND t.urgency = c.urgency)
          ORDER BY 1, 2 ON CONFLICT DO NOTHING",
    types: &[Type::INT4_ARRAY, Type::INT2_ARRAY, Type::INT8_ARRAY],
};

/// Of the numbers of names: grows with each lane that comes to be shared.
const SHARE: Statement = Statement {
    sql: "WITH said AS (UPDATE tasklane.facts SET value = value + 1 WHERE name = 'gates' RETURNING value)
          UPDATE tasklane.lanes SET shared = said.value FROM said WHERE no = ANY($1) AND shared IS NULL",
    types: &[Type::INT4_ARRAY],
};

/// A lane and urgency.
pub(crate) type Key = (LaneNo, i16);

#[derive(Default)]
struct Known {
    turns: Turns,
    /// When it was last read how far they have come.
    read_at: Option<Duration>,
}

/// What a server knows of turns.
#[derive(Default)]
pub(crate) struct Ledger(HashMap<Key, Known, RandomState>);

impl Ledger {
    fn undo(&mut self, dealing: &Dealing) {
        for (key, scope, cost) in &dealing.charged {
            if let Some(known) = self.0.get_mut(key) {
                known.turns.left(&scope.tenant, *cost);
            }
        }
    }

    fn knows(&self, key: &Key, tenant: &str) -> bool {
        self.0.get(key).is_some_and(|it| it.turns.knows(tenant))
    }

    fn front(&self, key: &Key) -> Option<i64> {
        self.0.get(key).and_then(|it| it.turns.front())
    }
}

impl Shared {
    /// A commit failed: nobody is charged for what it queued.
    pub(crate) fn undo(&self, dealing: &Dealing) {
        if !dealing.charged.is_empty() {
            self.turns.lock().unwrap_or_else(PoisonError::into_inner).undo(dealing);
        }
    }
}

/// Turns of a commit.
#[derive(Default)]
pub(crate) struct Dealing {
    /// Whose tail was moved, and how far.
    charged: Vec<(Key, Arc<Scope>, i64)>,
    /// Where turns have come further.
    come: BTreeSet<Key>,
    /// How many are queued of a lane and scope, without what this commit has done.
    queued: HashMap<(LaneNo, ScopeNo), i64, RandomState>,
    /// The first and the last place that were looked up.
    ends: HashMap<Key, Option<(i64, i64)>, RandomState>,
    /// The last turns that were dealt out and do not stand in the table yet.
    dealt: HashMap<Key, i64, RandomState>,
}

/// Where turns have come to, as columns.
#[derive(Default)]
pub(crate) struct Rows {
    lanes: Vec<i32>,
    urgencies: Vec<i16>,
    fronts: Vec<i64>,
}

impl Rows {
    pub(crate) fn push(&mut self, (lane, urgency): Key, front: i64) {
        self.lanes.push(lane.0 as i32);
        self.urgencies.push(urgency);
        self.fronts.push(front);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}

/// Writes down how far turns have come.
pub(crate) async fn write(session: &Session, rows: &Rows) -> Result<()> {
    if rows.is_empty() { Ok(()) } else { session.run(&COME, &[&rows.lanes, &rows.urgencies, &rows.fronts]).await }
}

/// Tenants share these lanes from now on. It is the names' turn.
pub(crate) async fn share(session: &Session, lanes: &[i32]) -> Result<()> {
    session.run(&SHARE, &[&lanes]).await
}

/// The line of one lane and urgency, as it was looked up.
struct LineOf {
    ends: Option<(i64, i64)>,
    queued: u64,
}

impl Line for LineOf {
    type Error = Infallible;

    fn first(&mut self) -> Result<Option<i64>, Infallible> {
        Ok(self.ends.map(|(first, _)| first))
    }

    fn last(&mut self) -> Result<Option<i64>, Infallible> {
        Ok(self.ends.map(|(_, last)| last))
    }

    fn queued(&mut self, _: &str) -> Result<u64, Infallible> {
        Ok(self.queued)
    }
}

/// Who is about to join a line.
pub(super) struct Joining<'t> {
    pub task: &'t Task,
    pub lane: LaneNo,
}

impl<'t> Joining<'t> {
    pub(super) fn of(kept: &'t Kept) -> Self {
        Self { task: &kept.task, lane: kept.lane }
    }

    fn key(&self) -> Key {
        (self.lane, urgency(self.task.priority))
    }

    fn tenant(&self) -> &str {
        &self.task.facts.scope.tenant
    }
}

/// Which lanes were shared before a commit's new tasks, and which are since.
pub(super) struct Sharing<'n> {
    was: &'n Names,
    since: HashSet<LaneNo>,
}

impl Tx<'_> {
    fn cost(&self, task: &Task) -> Option<i64> {
        let weights = self.shared.fairness.in_lane(&task.facts.lane)?;
        Some(weights.cost(&task.facts.scope.tenant))
    }

    /// Whether tenants that share this lane take turns.
    pub(super) fn takes_turns(&self, lane: LaneNo) -> bool {
        self.names.strands.is_shared(lane) && self.shared.fairness != Fairness::Age
    }

    /// Learns what is not known of lines that some are about to join: how far turns have come, and how many of their
    /// tenants are queued.
    pub(super) async fn look_at_lines(&mut self, joining: impl Iterator<Item = Joining<'_>>) -> Result<()> {
        if !self.names.strands.is_any_shared() || self.shared.fairness == Fairness::Age {
            return Ok(());
        }
        let (mut keys, mut lanes, mut tenants) = (BTreeSet::new(), BTreeSet::new(), HashSet::new());
        let now = self.shared.time.elapsed();
        {
            let ledger = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
            for one in joining.filter(|one| self.names.strands.is_shared(one.lane)) {
                let key = one.key();
                let read_at = ledger.0.get(&key).and_then(|it| it.read_at);
                if read_at.is_none_or(|at| now.saturating_sub(at) >= KEPT) {
                    keys.insert(key);
                }
                if ledger.knows(&key, one.tenant()) {
                    continue;
                }
                lanes.insert(one.lane);
                if !tenants.contains(one.tenant()) {
                    tenants.insert(Box::<str>::from(one.tenant()));
                }
            }
        }
        if !keys.is_empty() {
            self.read_fronts(&keys, now).await?;
        }
        if tenants.is_empty() {
            return Ok(());
        }
        let scopes: Vec<i32> =
            tenants.iter().flat_map(|tenant| self.names.scopes_of(tenant)).map(|it| it.0 as i32).collect();
        let lanes: Vec<i32> = lanes.into_iter().map(|it| it.0 as i32).collect();
        for row in self.session.rows(&QUEUED, &[&lanes, &scopes]).await? {
            let (lane, scope): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
            self.dealing.queued.insert((LaneNo(lane as u32), ScopeNo(scope as u32)), row.try_get(2)?);
        }
        Ok(())
    }

    async fn read_fronts(&self, keys: &BTreeSet<Key>, now: Duration) -> Result<()> {
        let (lanes, urgencies): (Vec<i32>, Vec<i16>) = keys.iter().map(|it| (it.0.0 as i32, it.1)).unzip();
        let rows = self.session.rows(&FRONTS, &[&lanes, &urgencies]).await?;
        let mut fronts: BTreeMap<Key, i64> = BTreeMap::new();
        for row in rows {
            fronts.insert((LaneNo(row.try_get::<_, i32>(0)? as u32), row.try_get(1)?), row.try_get(2)?);
        }
        let mut ledger = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let known = ledger.0.entry(*key).or_default();
            known.read_at = Some(now);
            if let Some(front) = fronts.get(key) {
                known.turns.leased(*front);
            }
        }
        Ok(())
    }

    /// Whether the ends of its line are to be looked up before it joins: what was changed must stand in the table by then.
    pub(super) fn must_see_ends(&mut self, one: &Joining<'_>, to: Next) -> bool {
        if !matches!(to, Next::Queued | Next::QueuedAgain) || !self.takes_turns(one.lane) {
            return false;
        }
        let key = one.key();
        let (has_front, is_known) = {
            let ledger = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
            (ledger.front(&key).is_some(), ledger.knows(&key, one.tenant()))
        };
        let is_nobodys = to == Next::Queued && one.tenant().is_empty() && !is_known;
        !has_front || (is_nobodys && self.queued(one.lane, "", 0) > 0)
    }

    /// Looks up the ends of its line.
    pub(super) async fn see_ends(&mut self, one: &Joining<'_>) -> Result<()> {
        let (lane, urgency) = one.key();
        let strands: Vec<i32> = self.names.strands.strands_of(lane).map(|it| it.0 as i32).collect();
        let row = self.session.row(&ENDS, &[&strands, &urgency, &one.task.facts.id.0]).await?;
        let ends = row.try_get::<_, Option<i64>>(0)?.zip(row.try_get(1)?);
        self.dealing.ends.insert((lane, urgency), ends);
        Ok(())
    }

    /// How many of a tenant are queued in a lane, but for so many.
    fn queued(&mut self, lane: LaneNo, tenant: &str, but: i64) -> u64 {
        self.count_all();
        let of = |scope: &ScopeNo| {
            self.dealing.queued.get(&(lane, *scope)).copied().unwrap_or(0) + self.queued_since(lane, *scope)
        };
        (self.names.scopes_of(tenant).iter().map(of).sum::<i64>() - but).max(0).unsigned_abs()
    }

    /// The turn of a task that comes from a state and becomes queued by this.
    pub(super) fn turn(&mut self, one: &Joining<'_>, from: Option<State>, to: Next) -> Option<i64> {
        if !matches!(to, Next::Queued | Next::QueuedAgain) {
            return None;
        }
        let cost = self.cost(one.task)?;
        let key = one.key();
        let is_known = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner).knows(&key, one.tenant());
        let asks = to == Next::Queued && !is_known;
        let queued = if asks { self.queued(one.lane, one.tenant(), i64::from(from == Some(State::Queued))) } else { 0 };
        let (seen, dealt) = (self.dealing.ends.get(&key).copied().flatten(), self.dealing.dealt.get(&key).copied());
        let ends = seen.map(|(first, last)| (first, last.max(dealt.unwrap_or(last)))).or(dealt.map(|it| (it, it)));
        let mut line = LineOf { ends, queued };
        let mut ledger = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = &mut ledger.0.entry(key).or_default().turns;
        if turns.front().is_none() {
            self.dealing.come.insert(key);
        }
        let turn = match to {
            Next::Queued => {
                self.dealing.charged.push((key, Arc::clone(&one.task.facts.scope), cost));
                turns.next(one.tenant(), cost, self.now, &mut line)
            }
            _ => turns.again(self.now, &mut line),
        };
        let Ok(turn) = turn;
        drop(ledger);
        self.stands(key, turn);
        Some(turn)
    }

    /// Something stands at this place now, and not yet in the table.
    fn stands(&mut self, key: Key, place: i64) {
        let last = self.dealing.dealt.entry(key).or_insert(place);
        *last = place.max(*last);
    }

    /// Learns what is not known of the lines that new tasks join, unless nobody shares any lane. `was`: the names before these
    /// tasks shared some.
    pub(super) async fn look_at_new<'n>(
        &mut self,
        new: impl Iterator<Item = &Task>,
        was: &'n Names,
    ) -> Result<Option<Sharing<'n>>> {
        if !self.names.strands.is_any_shared() {
            return Ok(None);
        }
        let names = Arc::clone(&self.names);
        let queued = new.filter(|task| task.facts.state == State::Queued);
        let joining = queued.filter_map(|task| Some(Joining { task, lane: names.lane_no(&task.facts.lane)? }));
        self.look_at_lines(joining).await?;
        Ok(Some(Sharing { was, since: HashSet::new() }))
    }

    /// The turn of a new task, where its lane is shared by then.
    pub(super) async fn turn_of_new(&mut self, one: Joining<'_>, sharing: &mut Sharing<'_>) -> Result<Option<i64>> {
        if !self.takes_turns(one.lane) {
            return Ok(None);
        }
        if !one.tenant().is_empty() {
            sharing.since.insert(one.lane);
        }
        let is_shared = sharing.was.strands.is_shared(one.lane) || sharing.since.contains(&one.lane);
        if one.task.facts.state != State::Queued {
            return Ok(None);
        }
        if !is_shared {
            self.stands(one.key(), one.task.place());
            return Ok(None);
        }
        if self.must_see_ends(&one, Next::Queued) {
            self.see_ends(&one).await?;
        }
        Ok(self.turn(&one, None, Next::Queued))
    }

    /// The turn of a task that took the payload and time of a newer one.
    pub(super) async fn turn_of_newer(&mut self, kept: &Kept, from: State) -> Result<Option<i64>> {
        if kept.task.facts.state != State::Queued || !self.takes_turns(kept.lane) {
            return Ok(None);
        }
        if self.must_see_ends(&Joining::of(kept), Next::Queued) {
            self.see_ends(&Joining::of(kept)).await?;
        }
        Ok(self.turn(&Joining::of(kept), Some(from), Next::Queued))
    }

    /// Whether a new task is of a named tenant in a lane that nobody shared.
    pub(super) fn shares(&self, new: &NewTask) -> bool {
        let is_shared = || self.names.lane_no(&new.lane).is_some_and(|lane| self.names.strands.is_shared(lane));
        !new.scope.tenant.is_empty() && self.shared.fairness.in_lane(&new.lane).is_some() && !is_shared()
    }

    /// Tenants share these lanes from now on. It is the names' turn.
    pub(super) async fn share(&mut self, lanes: &HashSet<Arc<Lane>>) -> Result<()> {
        if lanes.is_empty() {
            return Ok(());
        }
        let mut numbers: Vec<i32> =
            lanes.iter().filter_map(|it| self.names.lane_no(it)).map(|it| it.0 as i32).collect();
        numbers.sort_unstable();
        share(self.session, &numbers).await?;
        self.read_names().await
    }

    /// The same of one that is there, as a decision is carried out.
    pub(super) fn next_turn(&mut self, kept: &Kept, to: Next) -> Option<i64> {
        let from = Some(kept.task.facts.state);
        self.takes_turns(kept.lane).then(|| self.turn(&Joining::of(kept), from, to)).flatten()
    }

    /// What was dealt out stands in the table from here on.
    pub(super) fn dealt_stands(&mut self) {
        self.dealing.dealt.clear();
        self.dealing.ends.clear();
    }

    /// A task leaves its line without being leased.
    pub(super) fn leave_turn(&mut self, task: &Task, lane: LaneNo) {
        if task.turn.is_none() {
            return;
        }
        let Some(cost) = self.cost(task) else { return };
        let key = (lane, urgency(task.priority));
        let mut ledger = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = ledger.0.get_mut(&key) {
            known.turns.left(&task.facts.scope.tenant, cost);
            self.dealing.charged.push((key, Arc::clone(&task.facts.scope), -cost));
        }
    }

    /// A task that stands there starts.
    pub(super) fn lease_turn(&mut self, kept: &Kept) {
        if !self.names.strands.is_shared(kept.lane) {
            return;
        }
        let key = (kept.lane, urgency(kept.task.priority));
        let mut ledger = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.0.entry(key).or_default().turns.leased(kept.task.place());
        self.dealing.come.insert(key);
    }

    /// How far turns have come by this commit.
    pub(super) fn fronts(&self) -> Rows {
        let mut rows = Rows::default();
        if !self.dealing.come.is_empty() {
            let ledger = self.shared.turns.lock().unwrap_or_else(PoisonError::into_inner);
            self.dealing.come.iter().for_each(|key| {
                if let Some(front) = ledger.front(key) {
                    rows.push(*key, front);
                }
            });
        }
        rows
    }
}
