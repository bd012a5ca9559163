//! The third station where tasks pass gates. Candidates are found without locks and gone through in the order of the lanes:
//! those whose gates all have room are started, the others passed over, and what stands behind a full gate is not looked at.
//! Lanes without gates never come here unless they are asked for together with such, or with one that tenants share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use foldhash::fast::RandomState;
use tasklane_core::gate::Bounds;
use tasklane_core::lease::Home;
use tasklane_core::limit;
use tasklane_core::sabotage::{self, Sabotage};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::bounds::{Look, Span};
use super::error::Result;
use super::lease::{Given, ROW, Taken, Wanting, weight};
use super::rooms::Room;
use super::row::columns;
use super::session::{Statement, Value};
use super::strands::GateNo;
use super::tx::Tx;
use crate::encoding::LaneNo;

/// The first few of each span, without locks.
pub(crate) const CANDIDATES: Statement = Statement {
    sql: "SELECT c.lane, c.id, c.due, s.n::int, c.urgency, c.rank FROM unnest($1::int[], $2::smallint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::bigint[])
            WITH ORDINALITY AS s(lane, urgency, place, last_urgency, last_place, most, n)
          CROSS JOIN LATERAL (SELECT lane, id, due, urgency, place, rank FROM tasklane.tasks WHERE lane = s.lane AND place IS NOT NULL
              AND (urgency, place) >= (s.urgency, s.place) AND (urgency, place) <= (s.last_urgency, s.last_place)
            ORDER BY urgency, place, id LIMIT s.most) c
          ORDER BY c.urgency, c.place, c.id LIMIT $7",
    types: &[
        Type::INT4_ARRAY,
        Type::INT2_ARRAY,
        Type::INT8_ARRAY,
        Type::INT2_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8,
    ],
};

/// Those that were chosen, one after the other, unless somebody has locked or taken them.
pub(crate) const TAKE_CHOSEN: Statement = Statement {
    sql: concat!(
        "WITH taken AS MATERIALIZED (
           SELECT t.*, c.n FROM unnest($1::uuid[]) WITH ORDINALITY AS c(id, n) CROSS JOIN LATERAL (SELECT t.ctid AS row, t.* FROM tasklane.tasks t
             WHERE t.id = c.id AND t.state = 3 FOR UPDATE SKIP LOCKED) t),
         weighed AS (SELECT *, sum(octet_length(payload)) OVER (ORDER BY n
           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM taken)
         SELECT ",
        columns!(),
        ", t.row::text FROM weighed t WHERE coalesce(t.before, 0) < $2 ORDER BY t.n"
    ),
    types: &[Type::UUID_ARRAY, Type::INT8],
};

/// Most parts of lanes and strands that one look goes through.
const SPANS: usize = 2000;
/// Candidates of each beyond twice its share of what is wanted.
const SPARE: usize = 3;
/// Most candidates of one, however often more were looked for.
const EACH: usize = 20_000;
/// Candidates beyond twice of what is wanted: some of their gates turn out to be full.
const BEYOND: usize = 200;
/// Looks of one commit at the same lanes; then whoever waits looks again after it.
const PASSES: u32 = 8;

/// A queued task that may be started.
pub(super) struct Candidate {
    pub strand: LaneNo,
    pub id: Uuid,
    /// Which span it was found in.
    span: usize,
    /// A deadline of it has passed: it ends instead of taking slots.
    pub is_over: bool,
    /// The last of its span that was read, where there may be more.
    pub is_last: bool,
    /// Its urgency and rank: what counts between lanes.
    pub age: (i16, i64),
}

/// Where to look.
struct Plan {
    spans: Vec<Span>,
    look: Look,
    /// What is left for later, as there is too much.
    later: HashSet<LaneNo, RandomState>,
}

/// Candidates, and what was seen whole.
struct Found {
    all: Vec<Candidate>,
    /// How many of each strand, unless there may be more.
    of_whole: HashMap<LaneNo, usize, RandomState>,
    /// There may be more behind the last.
    is_cut: bool,
}

/// What earlier looks of the same lease were in vain for.
#[derive(Default)]
struct Vain {
    /// Tasks that somebody else has locked.
    tasks: HashSet<Uuid>,
    /// Strands in which nothing stands.
    strands: HashSet<LaneNo, RandomState>,
}

/// Who of the candidates may start.
#[derive(Default)]
pub(super) struct Walk {
    pub chosen: Vec<Uuid>,
    /// Gates that were not asked for yet; first those that the chosen pass.
    unknown: Vec<GateNo>,
    /// Some of the chosen pass a gate that was not asked for yet.
    is_guess: bool,
    /// There may be more behind.
    pub is_cut: bool,
    /// Lanes in which another commit's gate was met.
    busy: HashSet<LaneNo, RandomState>,
}

/// How the lanes of a look are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    ByPlace,
    /// Tenants share some of them: the age of what stands first in each counts.
    ByAge,
}

/// What a look was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Last,
    Again,
}

/// Room of gates in the course of a walk.
pub(super) type Scratch = HashMap<GateNo, usize, RandomState>;

impl Tx<'_> {
    /// Whether tasks of these lanes may have to pass gates.
    pub(super) fn pass_gates_in(&self, lanes: &[i32]) -> bool {
        let strands = &self.names.strands;
        strands.is_any() && lanes.iter().any(|no| strands.touches(LaneNo(*no as u32)))
    }

    /// Serves requests for lanes of which some have gates.
    pub(super) async fn lease_gated(&mut self, run: &mut [Wanting<'_>], lanes: &[i32]) -> Result<()> {
        let home = run.first().map_or(Home::Apart, |it| it.request.home);
        let (mut given, mut vain, mut passes) = (Given::at(home), Vain::default(), 0);
        while run.iter().any(|it| it.wants() > 0) {
            let pass = self.pass(run, lanes, &mut given, &mut vain, passes).await?;
            passes += 1;
            if pass == Pass::Last {
                break;
            }
            if passes == PASSES {
                self.look_again(run, lanes.iter().map(|no| LaneNo(*no as u32)));
                break;
            }
        }
        self.keep_starts().await?;
        match given.due {
            Some(due) => self.set_alarm(due, given.ids).await,
            None => Ok(()),
        }
    }

    async fn pass<'b>(
        &mut self,
        run: &mut [Wanting<'b>],
        lanes: &[i32],
        given: &mut Given<'b>,
        vain: &mut Vain,
        passes: u32,
    ) -> Result<Pass> {
        let most: usize = run.iter().map(Wanting::wants).sum();
        let began = self.shared.time.elapsed();
        let Plan { spans, mut look, later } = self.plan(lanes, began, vain);
        let order = if self.goes_by_age(lanes) { Order::ByAge } else { Order::ByPlace };
        let mut found = self.find(&spans, most.min(look.room()), passes, order).await?;
        found.of_whole.retain(|strand, _| !later.contains(strand));
        let mut walk = self.choose(&found.all, order, most, &vain.tasks).await?;
        walk.is_cut |= found.is_cut;
        let rows = self.session.rows(&TAKE_CHOSEN, &[&walk.chosen, &(limit::LEASE_BYTES as i64)]).await?;
        look.was_whole(self.shared.time.elapsed().saturating_sub(began));
        let taken = self.taken(&rows).await?;
        let ids: HashSet<Uuid> = taken.iter().map(|it| it.kept.task.facts.id.0).collect();
        let mut seen: HashMap<LaneNo, usize, RandomState> = HashMap::default();
        taken.iter().for_each(|it| *seen.entry(it.kept.strand).or_default() += 1);
        look.found(taken.len(), weight(&taken));
        if taken.len() < walk.chosen.len() && weight(&taken) >= limit::LEASE_BYTES {
            look.was_cut();
            self.news.all = true;
        }
        let (from, got) = (given.ids.len(), taken.len());
        let given_all = self.give(run, taken, given, &mut look).await;
        if look.is_all_taken() {
            let whole = found.of_whole.iter().filter(|(strand, n)| seen.get(*strand).copied().unwrap_or(0) == **n);
            whole.for_each(|(strand, _)| look.came_short_in(*strand));
        }
        let is_all = look.is_all_taken() && got == walk.chosen.len();
        self.looks.push(look);
        given_all?;
        self.start(given, from).await?;
        vain.tasks.extend(walk.chosen.iter().filter(|id| !ids.contains(*id)));
        vain.strands.extend(found.of_whole.iter().filter(|(_, n)| **n == 0).map(|(strand, _)| *strand));
        let is_last = later.is_empty() && !walk.is_cut && (walk.chosen.is_empty() || is_all);
        if is_last {
            self.look_again(run, walk.busy.into_iter());
        }
        Ok(if is_last { Pass::Last } else { Pass::Again })
    }

    /// Whoever still wants something looks again in these lanes after this commit: another one had gates of theirs.
    fn look_again(&mut self, run: &[Wanting<'_>], lanes: impl Iterator<Item = LaneNo>) {
        let wanted: usize = run.iter().map(Wanting::wants).sum();
        if wanted > 0 {
            lanes.for_each(|lane| self.was_busy(lane, wanted));
        }
    }

    /// Where to look: not where a gate is known to be full.
    fn plan(&self, lanes: &[i32], now: std::time::Duration, vain: &Vain) -> Plan {
        let names = &self.names.strands;
        let all = lanes.iter().flat_map(|no| names.strands_of(LaneNo(*no as u32)));
        let open: Vec<LaneNo> = {
            let fullness = self.shared.fullness.lock().unwrap_or_else(PoisonError::into_inner);
            let is_full = |gate: GateNo| match self.gates.rooms.get(&gate) {
                Some(Room::Mine(mine)) => mine.room(self.now) == 0,
                Some(Room::Busy) => false,
                None => fullness.is_full(gate, self.now, now) && !self.was_freed(gate) && names.bounds(gate).is_some(),
            };
            all.filter(|it| !vain.strands.contains(it) && !names.gates_of(*it).any(is_full)).collect()
        };
        let mut bounds = self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut spans, look) = bounds.plan_each(&open, &self.news.arrivals, now);
        let mut later = HashSet::default();
        if spans.len() > SPANS {
            // First where something may stand first.
            spans.sort_unstable_by_key(|it| it.from);
            later.extend(spans.drain(SPANS..).map(|it| it.lane));
        }
        Plan { spans, look, later }
    }

    async fn find(&mut self, spans: &[Span], most: usize, passes: u32, order: Order) -> Result<Found> {
        let mut found = Found { all: Vec::new(), of_whole: HashMap::default(), is_cut: false };
        if spans.is_empty() {
            return Ok(found);
        }
        let share = (2 * most / spans.len() + SPARE).saturating_mul(4_usize.saturating_pow(passes)).min(EACH);
        let limits: Vec<i64> = spans.iter().map(|span| self.at_most(span.lane, share, passes) as i64).collect();
        let lanes: Vec<i32> = spans.iter().map(|it| it.lane.0 as i32).collect();
        let (urgencies, places): (Vec<i16>, Vec<i64>) = spans.iter().map(|it| it.from).unzip();
        let (last_urgencies, last_places): (Vec<i16>, Vec<i64>) = spans.iter().map(|it| it.to).unzip();
        let beyond = match order {
            Order::ByPlace => (2 * most + BEYOND).saturating_mul(4_usize.saturating_pow(passes)) as i64,
            // What stands behind all others by its place may be the oldest.
            Order::ByAge => i64::MAX,
        };
        let values: [Value<'_>; 7] = [&lanes, &urgencies, &places, &last_urgencies, &last_places, &limits, &beyond];
        let rows = self.session.rows(&CANDIDATES, &values).await?;
        found.is_cut = rows.len() as i64 == beyond;
        let mut seen = vec![0; spans.len()];
        for row in &rows {
            let candidate = self.candidate(row)?;
            seen[candidate.span] += 1;
            found.all.push(Candidate { is_last: seen[candidate.span] == limits[candidate.span], ..candidate });
        }
        if found.is_cut {
            return Ok(found);
        }
        for (at, span) in spans.iter().enumerate() {
            *found.of_whole.entry(span.lane).or_default() += seen[at] as usize;
        }
        let is_short = |at: usize| seen[at] < limits[at];
        for (_, span) in spans.iter().enumerate().filter(|(at, _)| !is_short(*at)) {
            found.of_whole.remove(&span.lane);
        }
        Ok(found)
    }

    fn candidate(&self, row: &Row) -> Result<Candidate> {
        let (strand, due): (i32, Option<i64>) = (row.try_get(0)?, row.try_get(2)?);
        let is_over = due.is_some_and(|at| at <= self.now.as_micros());
        let span = row.try_get::<_, i32>(3)?.unsigned_abs() as usize - 1;
        let age = (row.try_get(4)?, row.try_get(5)?);
        Ok(Candidate { strand: LaneNo(strand as u32), id: row.try_get(1)?, span, is_over, is_last: false, age })
    }

    /// No more of a strand can start than this, and no more than `share` are wanted; more where earlier looks were in vain.
    fn at_most(&self, strand: LaneNo, share: usize, passes: u32) -> usize {
        let strands = &self.names.strands;
        let most =
            |bounds: Bounds| bounds.max_running.unwrap_or(u32::MAX).min(bounds.rate.map_or(u32::MAX, |it| it.count));
        let most = strands.gates_of(strand).filter_map(|gate| strands.bounds(gate)).map(most).min();
        let more = 4_usize.saturating_pow(passes);
        most.map_or(share, |most| share.min((most as usize).saturating_mul(more))).max(1)
    }

    /// Goes through the candidates, and asks for the gates of those that may start until it is known who does.
    async fn choose(
        &mut self,
        candidates: &[Candidate],
        order: Order,
        most: usize,
        missed: &HashSet<Uuid>,
    ) -> Result<Walk> {
        let mut beyond = 0;
        loop {
            let walk = match order {
                Order::ByPlace => self.walk(candidates, most, beyond, missed),
                Order::ByAge => self.walk_by_age(candidates, most, missed),
            };
            if !walk.is_guess {
                return Ok(walk);
            }
            self.ask_for(&walk.unknown).await?;
            beyond = (2 * beyond).max(most / 4 + 1);
        }
    }

    /// Chooses `most`, and goes on for so many `beyond` to see which gates they would pass.
    fn walk(&self, candidates: &[Candidate], most: usize, beyond: usize, missed: &HashSet<Uuid>) -> Walk {
        let (mut walk, mut scratch, mut started) = (Walk::default(), Scratch::default(), 0);
        let mut of_strand: HashMap<LaneNo, Arc<[GateNo]>, RandomState> = HashMap::default();
        for candidate in candidates {
            if started >= most + beyond {
                walk.is_cut = true;
                break;
            }
            let gates = of_strand.entry(candidate.strand).or_insert_with(|| self.bounded(candidate.strand));
            let gates = Arc::clone(gates);
            if !self.is_open(candidate, &gates, &mut scratch, &mut walk, started < most) {
                continue;
            }
            if !missed.contains(&candidate.id) {
                if started < most {
                    walk.chosen.push(candidate.id);
                }
                if !candidate.is_over {
                    started += 1;
                    gates.iter().for_each(|gate| *scratch.entry(*gate).or_default() -= 1);
                }
            }
            if candidate.is_last && gates.iter().all(|gate| scratch[gate] > 0) {
                // Something of its strand may come before what comes next.
                walk.is_cut = true;
                break;
            }
        }
        walk
    }

    /// The gates of a strand that do not let everything through.
    pub(super) fn bounded(&self, strand: LaneNo) -> Arc<[GateNo]> {
        let strands = &self.names.strands;
        let none = sabotage::is(Sabotage::UncountedGate);
        strands.gates_of(strand).filter(|gate| !none && strands.bounds(*gate).is_some()).collect()
    }

    /// Whether all gates of a candidate have room, as far as is known.
    pub(super) fn is_open(
        &self,
        candidate: &Candidate,
        gates: &[GateNo],
        scratch: &mut Scratch,
        walk: &mut Walk,
        is_wanted: bool,
    ) -> bool {
        let mut is_open = true;
        for gate in gates {
            let room = *scratch.entry(*gate).or_insert_with(|| match self.gates.rooms.get(gate) {
                Some(Room::Mine(mine)) => mine.room(self.now),
                Some(Room::Busy) => 0,
                None => self.most_of(*gate),
            });
            if room == 0 && matches!(self.gates.rooms.get(gate), Some(Room::Busy)) {
                walk.busy.extend(self.names.strands.lane_of(candidate.strand));
            }
            is_open &= room > 0;
        }
        if is_open {
            let is_unknown = |gate: &&GateNo| !self.gates.rooms.contains_key(*gate);
            for gate in gates.iter().filter(is_unknown) {
                walk.is_guess |= is_wanted;
                if !walk.unknown.contains(gate) {
                    walk.unknown.push(*gate);
                }
            }
        }
        is_open
    }

    /// The most that a gate can have room for.
    fn most_of(&self, gate: GateNo) -> usize {
        let bounds = self.names.strands.bounds(gate).unwrap_or_default();
        let most = bounds.max_running.unwrap_or(u32::MAX).min(bounds.rate.map_or(u32::MAX, |it| it.count));
        most as usize
    }

    async fn taken(&mut self, rows: &[Row]) -> Result<Vec<Taken>> {
        let kept = self.kept(rows).await?;
        kept.into_iter().zip(rows).map(|(kept, row)| Ok(Taken { kept, row: row.try_get(ROW)? })).collect()
    }
}
