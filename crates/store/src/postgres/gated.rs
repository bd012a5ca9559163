//! The third station where tasks pass gates. Candidates are found without locks and gone through in the order of the lanes:
//! those whose gates all have room are started, the others passed over, and what stands behind a full gate is not looked at.
//! Lanes without gates never come here unless they are asked for together with such, or with one that tenants share.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use foldhash::fast::RandomState;
use tasklane_core::lease::Home;
use tasklane_core::limit;
use tasklane_core::sabotage::{self, Sabotage};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::bounds::WHOLE;
use super::candidates::{Candidate, Extent, Plan};
use super::error::Result;
use super::gate::Stripes;
use super::lease::{Given, ROW, Taken, Wanting, weight};
use super::rooms::Room;
use super::row::columns;
use super::session::Statement;
use super::slots::stripe_of;
use super::strands::GateNo;
use super::tx::Tx;
use crate::encoding::LaneNo;

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

/// Looks of one commit at the same lanes; then whoever waits looks again after it.
const PASSES: u32 = 8;

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
    pub chosen: Vec<(LaneNo, Uuid)>,
    /// Gates that were not asked for yet; first those that the chosen pass.
    unknown: Vec<GateNo>,
    /// Some of the chosen pass a gate that was not asked for yet.
    is_guess: bool,
    /// There may be more behind.
    pub is_cut: bool,
    /// Lanes in which a gate was met whose row another commit writes.
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

    /// Locks the stripes of the gates that tasks of these lanes may have to pass, all at once: whoever waits for one has no
    /// later one.
    pub(super) async fn lock_gates(&mut self, lanes: &[i32]) -> Result<()> {
        let stripes = self.stripes_of(lanes);
        if stripes.is_empty() || self.gates.stripes == Stripes::LeftAlone {
            return Ok(());
        }
        let now = (self.now, self.shared.time.elapsed());
        // Apart, as it is large.
        let (held, said) = Box::pin(self.shared.slots.lock(self.session, stripes, now)).await?;
        self.gates.held = held;
        if said != self.names.strands.version() {
            self.read_names().await?;
            // What was said meanwhile may be of gates of other stripes.
            self.gates.stripes = Stripes::LeftAlone;
        }
        Ok(())
    }

    fn stripes_of(&self, lanes: &[i32]) -> Vec<i32> {
        let (names, now) = (&self.names.strands, self.shared.time.elapsed());
        let bounds = self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let strands = lanes.iter().flat_map(|no| names.strands_of(LaneNo(*no as u32)));
        let looked_at =
            strands.filter(|strand| bounds.is_to_be_looked_at(*strand, now) || self.news.arrivals.contains_key(strand));
        let gates = looked_at.flat_map(|strand| names.gates_of(strand)).filter(|gate| names.bounds(*gate).is_some());
        let stripes: BTreeSet<i32> = gates.map(stripe_of).collect();
        stripes.into_iter().collect()
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
        if self.gates.stripes == Stripes::LeftAlone && self.pass_gates_in(lanes) {
            self.look_again(run, lanes.iter().map(|no| LaneNo(*no as u32)));
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
        let began = self.shared.time.elapsed();
        let wanted: usize = run.iter().map(Wanting::wants).sum();
        let mut plan = self.plan(lanes, Extent { wanted, passes }, &vain.strands);
        let wanted = wanted.min(plan.look.room());
        let found = self.find(&mut plan).await?;
        let Plan { mut look, later, .. } = plan;
        let order = if self.goes_by_age(lanes) { Order::ByAge } else { Order::ByPlace };
        let walk = self.choose(&found.all, order, wanted, &vain.tasks).await?;
        let chosen: Vec<Uuid> = walk.chosen.iter().map(|(_, id)| *id).collect();
        let rows = self.session.rows(&TAKE_CHOSEN, &[&chosen, &(limit::LEASE_BYTES as i64)]).await?;
        let turns = look.lanes.len().div_ceil(WHOLE) as u32;
        look.was_whole(self.shared.time.elapsed().saturating_sub(began) * turns);
        let taken = self.taken(&rows).await?;
        let ids: HashSet<Uuid> = taken.iter().map(|it| it.kept.task.facts.id.0).collect();
        let mut seen: HashMap<LaneNo, usize, RandomState> = HashMap::default();
        taken.iter().for_each(|it| *seen.entry(it.kept.strand).or_default() += 1);
        look.found(taken.len(), weight(&taken));
        if taken.len() < chosen.len() && weight(&taken) >= limit::LEASE_BYTES {
            look.was_cut();
            self.news.all = true;
        }
        let (from, got) = (given.ids.len(), taken.len());
        let given_all = self.give(run, taken, given, &mut look).await;
        if look.is_all_taken() {
            let whole = found.of_whole.iter().filter(|(strand, n)| seen.get(*strand).copied().unwrap_or(0) == **n);
            whole.for_each(|(strand, _)| look.came_short_in(*strand));
        }
        let is_all = look.is_all_taken() && got == chosen.len();
        self.takes(&walk.chosen, &ids);
        self.looks.push(look);
        given_all?;
        self.start(given, from).await?;
        vain.tasks.extend(chosen.iter().filter(|id| !ids.contains(*id)));
        vain.strands.extend(found.of_whole.iter().filter(|(_, n)| **n == 0).map(|(strand, _)| *strand));
        let is_last = later.is_empty() && !walk.is_cut && (chosen.is_empty() || is_all);
        if is_last {
            self.look_again(run, walk.busy.into_iter());
        }
        Ok(if is_last { Pass::Last } else { Pass::Again })
    }

    /// What was chosen is no longer ahead, if it was `taken`; else somebody else took of its strand.
    fn takes(&self, chosen: &[(LaneNo, Uuid)], taken: &HashSet<Uuid>) {
        let mut bounds = self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        for (strand, id) in chosen {
            if taken.contains(id) {
                bounds.takes(*strand, *id);
            } else {
                bounds.forget_ahead(*strand);
            }
        }
    }

    /// Whoever still wants something looks again in these lanes after this commit: another one had gates of theirs.
    fn look_again(&mut self, run: &[Wanting<'_>], lanes: impl Iterator<Item = LaneNo>) {
        let wanted: usize = run.iter().map(Wanting::wants).sum();
        if wanted > 0 {
            lanes.for_each(|lane| self.was_busy(lane, wanted));
        }
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
                    walk.chosen.push((candidate.strand, candidate.id));
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
            let room = *scratch.entry(*gate).or_insert_with(|| self.room(*gate).unwrap_or_else(|| self.most_of(*gate)));
            if room == 0 && matches!(self.gates.rooms.get(gate), Some(Room::Busy)) {
                walk.busy.extend(self.names.strands.lane_of(candidate.strand));
            }
            is_open &= room > 0;
        }
        if is_open {
            let is_unknown = |gate: &&GateNo| self.room(**gate).is_none();
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
    pub(super) fn most_of(&self, gate: GateNo) -> usize {
        let bounds = self.names.strands.bounds(gate).unwrap_or_default();
        let most = bounds.max_running.unwrap_or(u32::MAX).min(bounds.rate.map_or(u32::MAX, |it| it.count));
        most as usize
    }

    async fn taken(&mut self, rows: &[Row]) -> Result<Vec<Taken>> {
        let kept = self.kept(rows).await?;
        kept.into_iter().zip(rows).map(|(kept, row)| Ok(Taken { kept, row: row.try_get(ROW)? })).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::postgres::bounds::END;
    use crate::postgres::candidates::CANDIDATES;
    use crate::postgres::lease::tests::{filled, plan};
    use crate::postgres::rooms::LOCK_GATES;
    use crate::postgres::slots::{LAST, LOCK, READ, TAKE_UP};

    /// 1 000 strands with a gate each, whose slots thousands of commits have changed.
    const FILL_STRANDS: &str =
        "INSERT INTO tasklane.tasks (id, created, rank, place, lane, scope, urgency, state, reason, payload_sum, payload)
           SELECT ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, n, n, n, -1 - n % 1000, 1, 0, 3, 1, 0, '1'
           FROM generate_series(1, 30000) n;
         INSERT INTO tasklane.gates (kind, tenant, key, set_by, bounds, version)
           SELECT 3, '', n::text, 1, '{}', 1 FROM generate_series(1, 1000) n;
         INSERT INTO tasklane.slots SELECT n % 16, n / 16, 1, 1, ARRAY[n % 1000], ARRAY[1] FROM generate_series(16, 50000) n;
         INSERT INTO tasklane.returned SELECT n % 16, n, ARRAY[n % 1000], ARRAY[1] FROM generate_series(16, 50000) n";

    #[tokio::test]
    async fn a_lease_with_gates_goes_by_its_indexes_and_reads_hardly_more_than_it_takes() {
        let store = filled(FILL_STRANDS).await;
        let strands: Vec<i32> = (1..=1000).map(|n: i32| -n).collect();
        let (urgencies, places, most) = (vec![0_i16; 1000], vec![0_i64; 1000], vec![4_i64; 1000]);
        let (first, last, end) = (vec![Uuid::nil(); 1000], vec![END.0; 1000], vec![END.1; 1000]);
        let found = plan(&store, &CANDIDATES, &[&strands, &urgencies, &places, &first, &last, &end, &most]).await;
        assert!(found.contains("using tasks_takeable") && found.contains("rows=4000 "), "{found}");
        let ids: Vec<Uuid> = (1..=500).map(Uuid::from_u128).collect();
        let taken = plan(&store, &TAKE_CHOSEN, &[&ids, &(1_i64 << 20)]).await;
        assert!(taken.contains("using tasks_pkey"), "{taken}");
        let gates: Vec<i32> = (1..=100).collect();
        let asked = plan(&store, &LOCK_GATES, &[&gates]).await;
        assert!(asked.contains("using gates_pkey") && asked.contains("rows=100 "), "{asked}");
        let stripes: Vec<i32> = (0..16).collect();
        let locked = plan(&store, &LOCK, &[&stripes]).await;
        assert!(locked.contains("using stripes_pkey"), "{locked}");
        let last = plan(&store, &LAST, &[&stripes]).await;
        assert!(last.contains("using slots_pkey") && !last.contains("rows=2 "), "{last}");
        let read = plan(&store, &READ, &[&stripes, &vec![3100_i64; 16]]).await;
        assert!(read.contains("using slots_pkey") && !read.contains("rows=3000 "), "{read}");
        let taken_up = plan(&store, &TAKE_UP, &[&stripes, &49_000_i64]).await;
        assert!(taken_up.contains("using returned_stripe") && taken_up.contains("rows=1001 "), "{taken_up}");
        for plan in [found, taken, asked, locked, last, read, taken_up] {
            assert!(!plan.contains("Seq Scan") && !plan.contains("rows=30000 "), "{plan}");
        }
    }
}
