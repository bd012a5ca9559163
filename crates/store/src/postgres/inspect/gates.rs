//! Gates as they are read, and what they show of tasks: one that is queued behind a full gate is blocked. Nothing is locked;
//! a gate is as full as it was when it was looked at.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tasklane_core::gate::{self, Definition, Gate, GateDetail, GateName, Starts};
use tasklane_core::limit;
use tasklane_core::queue::Counts;
use tasklane_core::state::{Reason, State};
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Reader;
use crate::encoding::{LaneNo, ScopeNo, gate as coded};
use crate::postgres::counters::{RUNNING_IN, Sums};
use crate::postgres::error::{Fault, Result};
use crate::postgres::names::Names;
use crate::postgres::row::Kept;
use crate::postgres::session::{Session, Statement};
use crate::postgres::slots::stripe_of;
use crate::postgres::strands::GateNo;

const SEE: Statement = Statement {
    sql: "WITH rows AS (SELECT gates, n FROM tasklane.slots WHERE stripe = ANY($2)
            UNION ALL SELECT gates, n FROM tasklane.returned WHERE stripe = ANY($2)),
          held AS MATERIALIZED (SELECT h.gate, sum(h.n)::bigint AS n FROM rows r, unnest(r.gates, r.n) AS h(gate, n)
            WHERE h.gate = ANY($1) GROUP BY h.gate)
          SELECT g.no, g.set_by, g.bounds, g.starts, coalesce((SELECT n FROM held WHERE gate = g.no), 0)
          FROM tasklane.gates g WHERE g.no = ANY($1)",
    types: &[Type::INT4_ARRAY, Type::INT4_ARRAY],
};

const PAGE: Statement = Statement {
    sql: "SELECT no FROM tasklane.gates WHERE set_by IS NOT NULL AND (kind, tenant, key) > ($1, $2, $3)
          ORDER BY kind, tenant, key LIMIT $4",
    types: &[Type::INT2, Type::TEXT, Type::TEXT, Type::INT8],
};

/// How many tasks stand in these strands, of each at most so many.
const WAITING: Statement = Statement {
    sql: "SELECT u.gate, count(*) FROM unnest($1::int[], $2::int[]) AS u(gate, strand) CROSS JOIN LATERAL (
            SELECT 1 FROM tasklane.tasks WHERE lane = u.strand AND place IS NOT NULL LIMIT $3) waiting GROUP BY 1",
    types: &[Type::INT4_ARRAY, Type::INT4_ARRAY, Type::INT8],
};

/// The same by scope, of all of them together at most so many.
const BLOCKED: Statement = Statement {
    sql: "SELECT lane, scope, count(*) FROM (
            SELECT t.lane, t.scope FROM unnest($1::int[]) AS s(no) CROSS JOIN LATERAL (
              SELECT lane, scope FROM tasklane.tasks WHERE lane = s.no AND place IS NOT NULL LIMIT $2) t LIMIT $2) blocked
          GROUP BY 1, 2",
    types: &[Type::INT4_ARRAY, Type::INT8],
};

/// Every running task has an alarm.
const HOLDERS: Statement = Statement {
    sql: "SELECT t.id, t.worker FROM (SELECT DISTINCT unnest(tasks) AS id FROM tasklane.alarms) a
          JOIN tasklane.tasks t ON t.id = a.id WHERE t.state = 4 AND t.lane = ANY($1) ORDER BY t.id LIMIT $2",
    types: &[Type::INT4_ARRAY, Type::INT8],
};

/// A gate as it was seen.
struct Seen {
    holds: Option<Definition>,
    running: u64,
    starts: Starts,
}

/// Gates as they were seen at a moment.
pub(super) struct View {
    now: Timestamp,
    gates: HashMap<GateNo, Seen, RandomState>,
}

impl View {
    fn is_full(&self, gate: GateNo) -> bool {
        let full = |seen: &Seen| {
            let bounds = seen.holds.map(|it| it.bounds).unwrap_or_default();
            gate::room(&bounds, seen.running, &seen.starts, self.now) == 0
        };
        self.gates.get(&gate).is_some_and(full)
    }

    /// Whether a gate of this strand is full.
    pub(super) fn is_closed(&self, names: &Names, strand: LaneNo) -> bool {
        names.strands.gates_of(strand).any(|gate| self.is_full(gate))
    }

    /// What is shown of a task.
    pub(super) fn show(&self, names: &Names, kept: &mut Kept) {
        let stored = kept.task.facts.state;
        let shown = gate::shown(stored, stored == State::Queued && self.is_closed(names, kept.strand));
        if shown != stored {
            (kept.task.facts.state, kept.task.reason) = (shown, Reason::GateFull);
        }
    }

    fn gate(&self, names: &Names, no: GateNo, waiting: u64) -> Option<Gate> {
        let seen = self.gates.get(&no)?;
        let Definition { bounds, set_by } = seen.holds?;
        let opens_at = bounds.rate.and_then(|rate| seen.starts.opens_at(rate, self.now));
        Some(Gate { name: names.strands.name(no)?.clone(), bounds, set_by, running: seen.running, waiting, opens_at })
    }
}

fn numbers(lanes: impl IntoIterator<Item = LaneNo>) -> Vec<i32> {
    lanes.into_iter().map(|lane| lane.0 as i32).collect()
}

/// The strands whose tasks pass a gate.
fn strands_at(names: &Names, gate: GateNo) -> Vec<LaneNo> {
    names.passing(gate).into_iter().flat_map(|(_, strands)| strands).collect()
}

impl Reader {
    /// Looks at these gates.
    pub(super) async fn see(&self, session: &Session, names: &Names, gates: &[GateNo]) -> Result<View> {
        let mut view = View { now: self.shared.time.now(), gates: HashMap::default() };
        if gates.is_empty() {
            return Ok(view);
        }
        let wanted: Vec<i32> = gates.iter().map(|it| it.0).collect();
        let stripes: BTreeSet<i32> = gates.iter().map(|it| stripe_of(*it)).collect();
        let stripes: Vec<i32> = stripes.into_iter().collect();
        for row in session.rows(&SEE, &[&wanted, &stripes]).await? {
            let (no, seen) = seen(&row, names)?;
            view.gates.insert(no, seen);
        }
        let wide: Vec<GateNo> = gates.iter().copied().filter(|gate| names.strands.is_wide(*gate)).collect();
        if wide.is_empty() {
            return Ok(view);
        }
        let lanes_of = |gate: GateNo| names.passing(gate).into_iter().map(|(lane, _)| lane);
        let lanes = numbers(wide.iter().flat_map(|gate| lanes_of(*gate)));
        let mut running: HashMap<LaneNo, i64> = HashMap::new();
        for row in session.rows(&RUNNING_IN, &[&lanes]).await? {
            running.insert(LaneNo(row.try_get::<_, i32>(0)? as u32), row.try_get(1)?);
        }
        for gate in wide {
            if let Some(seen) = view.gates.get_mut(&gate) {
                let all: i64 = lanes_of(gate).filter_map(|lane| running.get(&lane)).sum();
                seen.running = all.max(0).unsigned_abs();
            }
        }
        Ok(view)
    }

    /// Looks at the gates that these strands pass and that do not let everything through.
    pub(super) async fn see_for(
        &self,
        session: &Session,
        names: &Names,
        strands: impl Iterator<Item = LaneNo>,
    ) -> Result<View> {
        let mut gates: Vec<GateNo> = strands.flat_map(|strand| names.strands.gates_of(strand)).collect();
        gates.sort_unstable();
        gates.dedup();
        gates.retain(|gate| names.strands.bounds(*gate).is_some());
        self.see(session, names, &gates).await
    }

    /// Changes tasks to what is shown of them.
    pub(super) async fn show(&self, session: &Session, kept: &mut [Kept]) -> Result<()> {
        let names = self.shared.book.look();
        let queued = kept.iter().filter(|it| it.task.facts.state == State::Queued).map(|it| it.strand);
        let queued: Vec<LaneNo> =
            queued.filter(|it| names.strands.is_any() && names.strands.touches_strand(*it)).collect();
        if queued.is_empty() {
            return Ok(());
        }
        let view = self.see_for(session, &names, queued.into_iter()).await?;
        kept.iter_mut().for_each(|kept| view.show(&names, kept));
        Ok(())
    }

    /// What is counted, as it is shown. What is blocked by gates of keys is counted one by one, up to
    /// [`limit::READ_ROWS`]; the rest counts as queued.
    pub(super) async fn sums(&self, session: &Session) -> Result<(Sums, Arc<Names>)> {
        let mut sums = Sums::read(session).await?;
        let names = self.shared.book.read_on(session).await?;
        if !names.strands.is_any() {
            return Ok((sums, names));
        }
        let waits = sums.by_lane.iter().filter(|(_, counts)| counts.of(State::Queued) > 0);
        let mut strands: Vec<LaneNo> =
            waits.flat_map(|((lane, _), _)| names.strands.strands_of(*lane).collect::<Vec<_>>()).collect();
        strands.sort_unstable();
        strands.dedup();
        let view = self.see_for(session, &names, strands.iter().copied()).await?;
        for ((lane, _), counts) in &mut sums.by_lane {
            if view.is_closed(&names, *lane) {
                block(counts, counts.of(State::Queued));
            }
        }
        let is_plain = |strand: &LaneNo| names.strands.lane_of(*strand) == Some(*strand);
        let of_open_lane =
            |strand: &LaneNo| names.strands.lane_of(*strand).is_some_and(|lane| !view.is_closed(&names, lane));
        strands.retain(|it| !is_plain(it) && of_open_lane(it) && view.is_closed(&names, *it));
        let most = limit::READ_ROWS as i64;
        for row in session.rows(&BLOCKED, &[&numbers(strands), &most]).await? {
            let (strand, scope): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
            let lane = names.strands.lane_of(LaneNo(strand as u32));
            let counts = lane.and_then(|lane| sums.by_lane.get_mut(&(lane, ScopeNo(scope as u32))));
            if let Some(counts) = counts {
                block(counts, row.try_get::<_, i64>(2)?.unsigned_abs());
            }
        }
        Ok((sums, names))
    }

    /// A page of gates in the order of names.
    pub(crate) async fn gates(&self, session: &Session, after: Option<&GateName>, most: usize) -> Result<Vec<Gate>> {
        let (kind, tenant, key) = after.map_or((0, "", ""), coded::columns);
        let rows = session.rows(&PAGE, &[&kind, &tenant, &key, &(most as i64)]).await?;
        let gates = rows.iter().map(|row| Ok(GateNo(row.try_get(0)?))).collect::<Result<Vec<_>>>()?;
        let names = self.shared.book.read_on(session).await?;
        self.read_gates(session, &names, &gates).await
    }

    /// A gate with its holders.
    pub(crate) async fn gate(&self, session: &Session, name: &GateName) -> Result<Option<GateDetail>> {
        let names = self.shared.book.read_on(session).await?;
        let defined = names.strands.gate_no(name).filter(|no| names.strands.own(*no).is_some());
        let Some(no) = defined else { return Ok(None) };
        let Some(gate) = self.read_gates(session, &names, &[no]).await?.pop() else { return Ok(None) };
        let strands = numbers(strands_at(&names, no));
        let rows = session.rows(&HOLDERS, &[&strands, &(limit::GATE_HOLDERS as i64)]).await?;
        let holder = |row: &Row| Ok((TaskId(row.try_get(0)?), row.try_get::<_, Option<&str>>(1)?.map(Box::from)));
        Ok(Some(GateDetail { gate, holders: rows.iter().map(holder).collect::<Result<_>>()? }))
    }

    /// The full gates that a task of this strand passes.
    pub(super) async fn full_gates(
        &self,
        session: &Session,
        names: &Names,
        view: &View,
        strand: LaneNo,
    ) -> Result<Vec<Gate>> {
        let full: Vec<GateNo> = names.strands.gates_of(strand).filter(|gate| view.is_full(*gate)).collect();
        if full.is_empty() { Ok(Vec::new()) } else { self.read_gates(session, names, &full).await }
    }

    /// These gates, as far as anything is said of them.
    async fn read_gates(&self, session: &Session, names: &Names, gates: &[GateNo]) -> Result<Vec<Gate>> {
        let view = self.see(session, names, gates).await?;
        let pairs: Vec<(i32, LaneNo)> =
            gates.iter().flat_map(|gate| strands_at(names, *gate).into_iter().map(|strand| (gate.0, strand))).collect();
        let (of, strands): (Vec<i32>, Vec<LaneNo>) = pairs.into_iter().unzip();
        let each = (limit::READ_ROWS / strands.len().max(1)).max(100) as i64;
        let mut waiting: HashMap<i32, u64> = HashMap::new();
        for row in session.rows(&WAITING, &[&of, &numbers(strands), &each]).await? {
            waiting.insert(row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs());
        }
        let gate = |no: &GateNo| view.gate(names, *no, waiting.get(&no.0).copied().unwrap_or(0));
        Ok(gates.iter().filter_map(gate).collect())
    }
}

fn seen(row: &Row, names: &Names) -> Result<(GateNo, Seen)> {
    let (no, starts): (i32, Option<&str>) = (row.try_get(0)?, row.try_get(3)?);
    let set_by = row.try_get::<_, Option<i16>>(1)?.map(coded::set_by).transpose()?;
    let bounds = coded::read(row.try_get(2)?)?;
    let own = set_by.map(|set_by| Definition { bounds, set_by });
    let starts = starts.map_or_else(|| Ok(Starts::default()), coded::read).map_err(Fault::from)?;
    let running = row.try_get::<_, i64>(4)?.max(0).unsigned_abs();
    Ok((GateNo(no), Seen { holds: names.strands.in_force_over(GateNo(no), own), running, starts }))
}

/// So many of these are shown as blocked.
fn block(counts: &mut Counts, many: u64) {
    let many = many.min(counts.of(State::Queued));
    counts.add(State::Queued, -(many as i64));
    counts.add(State::Blocked, many as i64);
}
