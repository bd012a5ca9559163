//! What a commit does at gates: whom its leases let through, what it changes of their slots, and whom it tells that there is
//! room.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use foldhash::fast::RandomState;
use tasklane_core::gate::{Bounds, Starts};
use tasklane_core::queue::QueueState;
use tasklane_core::sabotage::{self, Sabotage};
use tasklane_core::state::State;
use tasklane_core::task::Lane;
use tasklane_core::time::Timestamp;
use tokio_postgres::types::Type;

use super::error::Result;
use super::fullness::Full;
use super::rooms::Room;
use super::row::micros;
use super::session::Statement;
use super::slots::{Changes, Held};
use super::strands::GateNo;
use super::tx::Tx;
use crate::encoding::{LaneNo, gate as coded};

/// Told of gates of which nobody knows how much room they got.
const ANY: usize = u32::MAX as usize;
/// Strands of a lane that are asked whether something waits in them; of more it is taken for granted.
const ASKED: usize = 1000;
/// Most gates whose rate is looked at by one commit that promotes.
const OPENING: i64 = 1000;

const OPENING_GATES: Statement = Statement {
    sql: "SELECT no, set_by, bounds, starts FROM tasklane.gates WHERE opens <= $1 ORDER BY opens LIMIT $2
          FOR UPDATE SKIP LOCKED",
    types: &[Type::INT8, Type::INT8],
};

/// When tasks started, and when there is more room.
pub(super) const KEEP_STARTS: Statement = Statement {
    sql: "UPDATE tasklane.gates g SET starts = u.starts, opens = u.opens
          FROM unnest($1::int[], $2::text[], $3::bigint[]) AS u(no, starts, opens) WHERE g.no = u.no",
    types: &[Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY],
};

/// Whether a commit waits for the stripes of gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stripes {
    #[default]
    WaitedFor,
    /// It was in vain, or they turned out to be others: what passes gates is left to the next.
    LeftAlone,
}

/// What a commit does at gates.
#[derive(Default)]
pub(crate) struct Passing {
    pub stripes: Stripes,
    /// Stripes that are locked: nobody else lets anybody through at their gates until this commit is over.
    pub held: Held,
    /// Gates that were asked for, as what is known of slots does not tell their room.
    pub rooms: HashMap<GateNo, Room, RandomState>,
    /// How many more tasks run that pass these gates of keys, as far as it is not written.
    pub changed: Changes,
    /// Gates that may have room.
    freed: HashMap<GateNo, Freed, RandomState>,
    /// How many more tasks those let through.
    opened: Vec<(GateNo, usize)>,
    /// How many tasks started at these gates.
    started: HashMap<GateNo, usize, RandomState>,
    /// Lanes in which something was passed over because another commit had its gate, and how many more were wanted.
    busy: HashMap<LaneNo, usize, RandomState>,
}

/// How a gate may have got room.
#[derive(Debug, Clone, Copy, Default)]
struct Freed {
    slots: usize,
    /// Nobody counted how much it got.
    anew: bool,
}

impl Tx<'_> {
    /// Something else holds at this gate now.
    pub(super) fn opens_anew(&mut self, gate: GateNo) {
        self.gates.freed.entry(gate).or_default().anew = true;
    }

    /// Notes that a task of this strand came from `from` to `to`: it takes the slots of its gates, or gives them back.
    pub(super) fn pass_gates(&mut self, strand: LaneNo, from: Option<State>, to: State) {
        let (was, is) = (from == Some(State::Running), to == State::Running);
        if from == Some(State::Queued) && !is {
            self.leave_line(strand);
        }
        if was == is || !self.names.strands.is_any() || (was && sabotage::is(Sabotage::KeptSlot)) {
            return;
        }
        let (names, by) = (Arc::clone(&self.names), if is { 1 } else { -1 });
        for gate in names.strands.keyed(strand) {
            *self.gates.changed.entry(*gate).or_default() += by;
        }
        for gate in names.strands.gates_of(strand) {
            if let Some(Room::Mine(mine)) = self.gates.rooms.get_mut(&gate) {
                mine.running += by;
                if let (Some(rate), true) = (mine.bounds.rate, is) {
                    mine.starts.take(rate, self.now, 1);
                    mine.taken = true;
                }
            }
            if was {
                self.gates.freed.entry(gate).or_default().slots += 1;
            } else {
                *self.gates.started.entry(gate).or_default() += 1;
            }
        }
    }

    /// A task of this strand stands no longer before others of its gates.
    fn leave_line(&mut self, strand: LaneNo) {
        let names = Arc::clone(&self.names);
        for gate in names.strands.gates_of(strand) {
            self.gates.freed.entry(gate).or_default().slots += 1;
        }
    }

    /// Something of this lane was passed over, as another commit had its gate.
    pub(super) fn was_busy(&mut self, lane: LaneNo, wanted: usize) {
        let known = self.gates.busy.entry(lane).or_default();
        *known = wanted.max(*known);
    }

    /// Whether it got room by this commit.
    pub(super) fn was_freed(&self, gate: GateNo) -> bool {
        self.gates.freed.contains_key(&gate)
    }

    /// Writes down when tasks started at gates with a rate.
    pub(super) async fn keep_starts(&mut self) -> Result<()> {
        let (mut gates, mut texts, mut opens) = (Vec::new(), Vec::new(), Vec::new());
        for (gate, room) in &mut self.gates.rooms {
            let Room::Mine(mine) = room else { continue };
            if let (true, Some(rate)) = (std::mem::take(&mut mine.taken), mine.bounds.rate) {
                gates.push(gate.0);
                texts.push(coded::text(&mine.starts)?);
                opens.push(mine.starts.grows_at(rate, self.now));
            }
        }
        self.write_starts(&gates, &texts, &opens).await
    }

    async fn write_starts(&mut self, gates: &[i32], texts: &[String], opens: &[Option<Timestamp>]) -> Result<()> {
        if gates.is_empty() {
            return Ok(());
        }
        opens.iter().for_each(|at| self.will_be_due(*at));
        let opens: Vec<Option<i64>> = opens.iter().map(|at| micros(*at)).collect();
        self.session.run(&KEEP_STARTS, &[&gates, &texts, &opens]).await
    }

    /// Tells of gates whose rates let more through by now.
    pub(super) async fn open_by_time(&mut self) -> Result<()> {
        if !self.names.strands.is_any() {
            return Ok(());
        }
        let rows = self.session.rows(&OPENING_GATES, &[&self.now.as_micros(), &OPENING]).await?;
        let (mut gates, mut texts, mut opens) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let (no, starts): (i32, Option<&str>) = (row.try_get(0)?, row.try_get(3)?);
            let starts: Starts = starts.map_or_else(|| Ok(Starts::default()), coded::read)?;
            let rate = self.names.strands.bounds(GateNo(no)).and_then(|it| it.rate);
            gates.push(no);
            texts.push(coded::text(&starts)?);
            opens.push(rate.and_then(|rate| starts.grows_at(rate, self.now)));
            let room = rate.map_or(ANY, |rate| starts.room(rate, self.now) as usize);
            self.gates.freed.entry(GateNo(no)).or_default().slots += room;
        }
        self.write_starts(&gates, &texts, &opens).await
    }

    /// Gates that were counted and are full.
    pub(super) fn full(&self) -> Vec<Full> {
        let now = self.shared.time.elapsed();
        let mine = self.gates.rooms.iter().filter_map(|(gate, room)| match room {
            Room::Mine(mine) if mine.room(self.now) == 0 => Some((*gate, mine)),
            _ => None,
        });
        mine.map(|(gate, mine)| Full::counted(gate, mine.word, mine.opens_at(self.now), now)).collect()
    }

    /// Counts what gates let through that have room by this commit, while nobody else can take it.
    pub(super) fn count_opened(&mut self) {
        let opened = self.gates.freed.iter().map(|(gate, freed)| (*gate, self.opened(*gate, *freed)));
        self.gates.opened = opened.filter(|(_, more)| *more > 0).collect();
    }

    /// Tells in which lanes tasks can start that could not before, beyond what the transitions tell.
    pub(super) fn tell_opened(&mut self) {
        if !self.names.strands.is_any() || sabotage::is(Sabotage::DeafGate) {
            return;
        }
        let mut lanes = self.gates.busy.clone();
        self.add_queued_beside_starts(&mut lanes);
        self.add_behind_started(&mut lanes);
        for (gate, more) in std::mem::take(&mut self.gates.opened) {
            self.news.freed.insert(gate);
            for (lane, strands) in self.names.passing(gate) {
                if self.is_served(lane) && self.may_wait(&strands) {
                    let known = lanes.entry(lane).or_default();
                    *known = known.saturating_add(more);
                }
            }
        }
        let names = Arc::clone(&self.names);
        let opened = lanes.into_iter().filter_map(|(lane, more)| Some((Arc::clone(names.lanes.get(&lane)?), more)));
        if let Some(answers) = self.answers.first_mut() {
            answers.opened.extend(opened);
        }
    }

    /// Where a batch both queues and starts tasks, its caller takes one for the other; but what started may have been told
    /// to nobody, as it waited for a gate.
    fn add_queued_beside_starts(&self, lanes: &mut HashMap<LaneNo, usize, RandomState>) {
        for answers in self.answers.iter().filter(|it| !it.lease.is_empty()) {
            let of = |state| answers.transitions.iter().filter(move |it| it.to == state);
            let mut queued: HashMap<&Arc<Lane>, (usize, usize)> = HashMap::new();
            of(State::Queued).for_each(|it| queued.entry(&it.lane).or_default().0 += 1);
            if queued.is_empty() {
                continue;
            }
            for event in of(State::Running) {
                if let Some((_, started)) = queued.get_mut(&event.lane) {
                    *started += 1;
                }
            }
            for (lane, (queued, started)) in queued {
                if let Some(no) = self.names.lane_no(lane).filter(|no| self.is_served(*no) && queued.min(started) > 0) {
                    *lanes.entry(no).or_default() += queued.min(started);
                }
            }
        }
    }

    /// Where a gate has less room for those who pass others too, those behind them have more of the others.
    fn add_behind_started(&self, lanes: &mut HashMap<LaneNo, usize, RandomState>) {
        let strands = &self.names.strands;
        for (gate, started) in &self.gates.started {
            if strands.bounds(*gate).is_none() {
                continue;
            }
            for (lane, passing) in self.names.passing(*gate) {
                let meets_others = |strand: &LaneNo| {
                    let others = strands.gates_of(*strand).filter(|it| it != gate);
                    others.filter(|it| strands.bounds(*it).is_some()).count() > 0
                };
                let all = || strands.strands_of(lane).collect::<Vec<_>>();
                if self.is_served(lane) && passing.iter().any(meets_others) && self.may_wait(&all()) {
                    *lanes.entry(lane).or_default() += started;
                }
            }
        }
    }

    /// How many more tasks a gate lets through.
    fn opened(&self, gate: GateNo, freed: Freed) -> usize {
        let bounds = self.names.strands.bounds(gate).unwrap_or_default();
        let most = bounds.max_running.map_or(ANY, |most| most as usize);
        let counted = if self.gates.held.has(gate) { self.room(gate).unwrap_or(ANY) } else { ANY };
        let more = if freed.anew { ANY } else { freed.slots };
        // One that lets everything through was open all the while.
        if bounds == Bounds::default() && !freed.anew { 0 } else { more.min(most).min(counted) }
    }

    fn is_served(&self, lane: LaneNo) -> bool {
        let queue = self.names.lanes.get(&lane).map(|it| &it.queue);
        queue.is_some_and(|queue| self.queues.get(queue) != Some(&QueueState::Paused))
    }

    /// Whether something may stand in one of these strands.
    fn may_wait(&self, strands: &[LaneNo]) -> bool {
        let bounds = self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let may = |strand: &LaneNo| self.news.arrivals.contains_key(strand) || bounds.may_hold(*strand);
        strands.len() > ASKED || strands.iter().any(may)
    }
}
