//! What may start now. On disk a row of `takeable` holds up to [`GROUP`] tasks of one strand, priority and rank, so that what
//! was accepted together costs one row and not an index entry a task. In memory each strand keeps its first few, so that
//! leasing finds the first of a thousand lanes without looking at the disk.
//!
//! Where much is queued, each strand's rows lie on pages of their own. Of a strand that gave little, of which there may be a
//! thousand in a lease, it is only noted in `cuts` how far it was taken, all of them side by side: nothing up to there stands
//! any more, whatever the rows say. They are cut with the [`CUT`]th that is taken, when the strand is emptied, before it is
//! read, and before anything is written that stands before what was taken.
//!
//! Tasks of one priority and rank stand in the order of acceptance, which is the order of ids wherever the server drew
//! them.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};

use tasklane_core::task::Task;
use tasklane_core::time::Timestamp;

use super::error::Result;
use super::gauges::Gauges;
use super::heads::Heads;
use super::names::{LaneNo, Names};
use super::seqs::{pack, unpack};
use super::sql::Sql;
use super::strands::{GateNo, StrandNo, Strands};
use foldhash::fast::RandomState as ById;

/// Most tasks of a row; what is taken out of the middle rewrites its row.
const GROUP: usize = 512;
/// Once so many of a strand were taken, they are cut off its rows.
const CUT: u32 = 16;
/// Most places of one strand kept in memory.
const LINE: usize = 1024;
/// Places read of a strand that gives little.
pub(super) const FEW: usize = 16;
/// Most places kept in memory in all; past it everything is forgotten and read again.
const LINES: usize = 400_000;

/// Where a task stands in its strand, and among all of its lane: by its rank, or its turn where tenants share the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub urgency: i32,
    pub rank: i64,
    pub seq: i64,
}

impl Place {
    pub(crate) fn of(seq: i64, task: &Task) -> Self {
        Self { urgency: -task.priority, rank: task.place(), seq }
    }
}

/// The beginning of a strand.
#[derive(Default)]
struct Line {
    queued: u64,
    /// The first places in order; `whole`: there are no others.
    first: VecDeque<Place>,
    unread: bool,
}

/// What was taken of a strand since its rows were cut.
struct Taken {
    last: Place,
    many: u32,
    /// Some of it is noted in `cuts`.
    is_noted: bool,
}

/// All strands.
#[derive(Default)]
pub(crate) struct Takeable {
    plain: Vec<Line>,
    /// Those with keys that have anything in them.
    keyed: HashMap<StrandNo, Line, ById>,
    /// Lanes whose plain strand has anything in it.
    open: BTreeSet<LaneNo>,
    /// Strands with keys that have anything in them.
    pub heads: Heads,
    cached: usize,
    /// To be written.
    staged: Vec<(StrandNo, Place)>,
    /// What was taken and is not cut off the rows.
    taken: HashMap<StrandNo, Taken, ById>,
    /// Those of them of which it is not noted how far.
    taken_now: BTreeSet<StrandNo>,
    /// Taken and noted up to there, and something is to be written before that.
    overtaken: Vec<(StrandNo, Place)>,
    /// Strands with keys that are longer or shorter than readers know.
    changed: BTreeSet<StrandNo>,
}

/// What says whether a task may be taken.
pub(crate) struct Gating<'g> {
    pub names: &'g Names,
    pub strands: &'g Strands,
    pub gauges: &'g mut Gauges,
    pub now: Timestamp,
}

impl Gating<'_> {
    pub(super) fn full(&self, gates: &[GateNo]) -> Option<GateNo> {
        gates.iter().copied().find(|gate| self.gauges.room(*gate, self.now) == 0)
    }

    /// Whether no task of a lane may start.
    pub(super) fn is_shut(&self, lane: LaneNo) -> bool {
        self.full(self.strands.gates_of_lane(lane)).is_some()
    }

    pub(super) fn reserve(&mut self, strand: StrandNo) {
        self.strands.gates_of(strand).for_each(|gate| self.gauges.reserve(gate));
    }
}

impl Takeable {
    /// What is known when a store is opened: how many stand in each plain strand, and those with keys with their first.
    pub(crate) fn load(
        counts: impl Iterator<Item = (LaneNo, u64)>,
        strands: &Strands,
        keyed: Vec<(StrandNo, Place, u64)>,
        cuts: HashMap<StrandNo, Place>,
    ) -> Self {
        let mut takeable = Self::default();
        let taken = |last| Taken { last, many: 1, is_noted: true };
        takeable.taken = cuts.into_iter().map(|(strand, last)| (strand, taken(last))).collect();
        for (lane, queued) in counts.filter(|(_, queued)| *queued > 0) {
            let line = takeable.line(StrandNo::plain(lane));
            (line.queued, line.unread) = (line.queued + queued, true);
            takeable.open.insert(lane);
        }
        for (strand, first, queued) in keyed {
            let lane = strands.lane(strand);
            let line = takeable.line(strand);
            (line.queued, line.unread) = (queued, true);
            takeable.heads.put(lane, strand, strands.gates_of_keys(strand), first);
            // What the counters say of a lane is of all its strands.
            let line = takeable.line(StrandNo::plain(lane));
            line.queued = line.queued.saturating_sub(queued);
            if line.queued == 0 {
                line.unread = false;
                takeable.open.remove(&lane);
            }
        }
        takeable
    }

    fn line(&mut self, strand: StrandNo) -> &mut Line {
        if strand.index().is_some() {
            return self.keyed.entry(strand).or_default();
        }
        let at = strand.0 as usize;
        if self.plain.len() <= at {
            self.plain.resize_with(at + 1, Line::default);
        }
        &mut self.plain[at]
    }

    /// How many stand in a strand.
    pub(crate) fn queued(&self, strand: StrandNo) -> u64 {
        let line = match strand.index() {
            Some(_) => self.keyed.get(&strand),
            None => self.plain.get(strand.0 as usize),
        };
        line.map_or(0, |it| it.queued)
    }

    /// How many stand in a lane, or at least `most`.
    pub(crate) fn queued_in(&self, lane: LaneNo, most: u64) -> u64 {
        let mut queued = self.queued(StrandNo::plain(lane));
        for (_, strand) in self.heads.of_lane(lane) {
            if queued >= most {
                break;
            }
            queued += self.queued(strand);
        }
        queued
    }

    /// Lanes with anything in them.
    pub(crate) fn open(&self) -> impl Iterator<Item = LaneNo> {
        let keyed = self.heads.lanes().filter(|lane| !self.open.contains(lane));
        self.open.iter().copied().chain(keyed)
    }

    pub(crate) fn is_open(&self, lane: LaneNo) -> bool {
        self.open.contains(&lane) || self.heads.is_open(lane)
    }

    /// Strands with keys whose lengths readers do not know, and these.
    pub(crate) fn changes(&mut self) -> Vec<(StrandNo, u64, Option<Place>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|strand| (strand, self.queued(strand), self.heads.place(strand))).collect()
    }

    pub(crate) fn add(&mut self, strands: &Strands, strand: StrandNo, place: Place) {
        if self.taken.get(&strand).is_some_and(|taken| place <= taken.last) {
            // What was added and taken since the last write is not on disk yet: written after the cut, it would stand again.
            debug_assert!(!self.taken_now.contains(&strand), "what was taken is noted before anything is added");
            self.overtaken.extend(self.taken.remove(&strand).map(|taken| (strand, taken.last)));
        }
        self.staged.push((strand, place));
        let line = self.line(strand);
        line.queued += 1;
        let known = line.first.back().is_some_and(|last| place < *last);
        let mut grown = 0;
        if known {
            let at = line.first.partition_point(|it| *it < place);
            line.first.insert(at, place);
            grown = 1;
        } else if !line.unread {
            line.first.push_back(place);
            grown = 1;
        }
        if line.first.len() > LINE {
            line.first.pop_back();
            line.unread = true;
            grown = 0;
        }
        let is_only_one = line.queued == 1;
        self.cached += grown;
        if strand.index().is_none() {
            if is_only_one {
                self.open.insert(LaneNo(strand.0));
            }
        } else {
            self.changed.insert(strand);
            if self.heads.place(strand).is_none_or(|first| place < first) {
                self.heads.put(strands.lane(strand), strand, strands.gates_of_keys(strand), place);
            }
        }
        self.forget_if_too_many();
    }

    fn forget_if_too_many(&mut self) {
        if self.cached > LINES {
            for line in self.plain.iter_mut().chain(self.keyed.values_mut()) {
                line.unread |= !line.first.is_empty();
                line.first = VecDeque::new();
            }
            self.cached = 0;
        }
    }

    /// Takes one out of the middle.
    pub(crate) fn remove(
        &mut self,
        sql: &mut Sql<'_>,
        strands: &Strands,
        strand: StrandNo,
        place: Place,
    ) -> Result<()> {
        self.write(sql)?;
        let line = self.line(strand);
        let found = line.first.binary_search(&place).map(|at| line.first.remove(at)).is_ok();
        line.queued = line.queued.saturating_sub(1);
        self.cached -= usize::from(found);
        if let Some((first, packed)) = sql.takeable_at(strand, place)? {
            let mut seqs = unpack(first, &packed)?;
            seqs.retain(|seq| *seq != place.seq);
            sql.takeable_put(strand, place, first, &seqs)?;
        }
        if self.queued(strand) == 0 {
            self.cut(sql, strand)?;
        }
        self.shortened(sql, strands, strand)
    }

    /// The first place of a strand.
    pub(super) fn peek(&mut self, sql: &mut Sql<'_>, strand: StrandNo, wanted: usize) -> Result<Option<Place>> {
        if self.line(strand).first.is_empty() && self.line(strand).unread {
            self.read(sql, strand, wanted)?;
        }
        Ok(self.line(strand).first.front().copied())
    }

    /// Reads the beginning of a strand from disk, once what was taken is off it and what was added is on it.
    fn read(&mut self, sql: &mut Sql<'_>, strand: StrandNo, wanted: usize) -> Result<()> {
        self.write(sql)?;
        self.cut(sql, strand)?;
        let (first, whole) = sql.takeable_first(strand, wanted)?;
        self.cached += first.len();
        let line = self.line(strand);
        (line.first, line.unread) = (first, !whole);
        Ok(())
    }

    pub(super) fn pop(&mut self, strand: StrandNo) -> Option<Place> {
        let line = self.line(strand);
        let place = line.first.pop_front()?;
        line.queued = line.queued.saturating_sub(1);
        self.cached -= 1;
        let taken = self.taken.entry(strand).or_insert(Taken { last: place, many: 0, is_noted: false });
        (taken.last, taken.many) = (place, taken.many + 1);
        self.taken_now.insert(strand);
        Some(place)
    }

    /// Something was taken out of a strand.
    pub(super) fn shortened(&mut self, sql: &mut Sql<'_>, strands: &Strands, strand: StrandNo) -> Result<()> {
        let lane = strands.lane(strand);
        if strand.index().is_none() {
            if self.queued(strand) == 0 {
                self.open.remove(&lane);
            }
            return Ok(());
        }
        self.changed.insert(strand);
        let gates = strands.gates_of_keys(strand);
        match self.peek(sql, strand, FEW)? {
            Some(place) => self.heads.put(lane, strand, gates, place),
            None => {
                self.heads.remove(lane, strand, gates);
                self.keyed.remove(&strand);
            }
        }
        Ok(())
    }

    /// Takes the first `most` of these lanes that their gates have room for, merged by their places. The slots are reserved.
    pub(crate) fn take(
        &mut self,
        sql: &mut Sql<'_>,
        gating: &mut Gating<'_>,
        lanes: &[LaneNo],
        most: usize,
    ) -> Result<Vec<(StrandNo, Place)>> {
        // Of many lanes each gives little; of one lane all is wanted.
        let wanted = if lanes.len() <= 4 { most } else { (2 * most / lanes.len()).max(FEW) };
        if lanes.iter().any(|lane| gating.names.is_shared(*lane)) {
            return self.take_by_age(sql, gating, lanes, (most, wanted));
        }
        let mut taken = Vec::with_capacity(most.min(LINE));
        let mut first = BinaryHeap::with_capacity(lanes.len());
        for lane in lanes.iter().filter(|lane| !gating.is_shut(**lane)) {
            let plain = StrandNo::plain(*lane);
            first.extend(self.peek(sql, plain, wanted)?.map(|place| Reverse((place, plain))));
            first.extend(self.heads.first(*lane).map(Reverse));
        }
        while let Some(Reverse((_, strand))) = first.pop().filter(|_| taken.len() < most) {
            if strand.index().is_some() {
                taken.extend(self.take_keyed(sql, gating, strand)?);
                let lane = gating.strands.lane(strand);
                first.extend(self.heads.first(lane).filter(|_| !gating.is_shut(lane)).map(Reverse));
                continue;
            }
            let next = first.peek().map(|Reverse((place, _))| *place);
            let gates = gating.strands.gates_of_lane(LaneNo(strand.0));
            while let Some(place) = self.peek(sql, strand, wanted)?.filter(|_| gating.full(gates).is_none()) {
                if taken.len() == most || next.is_some_and(|next| next < place) {
                    first.push(Reverse((place, strand)));
                    break;
                }
                self.pop(strand);
                gates.iter().for_each(|gate| gating.gauges.reserve(*gate));
                taken.push((strand, place));
            }
            self.shortened(sql, gating.strands, strand)?;
        }
        gating.gauges.unreserve();
        Ok(taken)
    }

    /// Takes the first of a strand with keys, or parks it under a gate that is full.
    fn take_keyed(
        &mut self,
        sql: &mut Sql<'_>,
        gating: &mut Gating<'_>,
        strand: StrandNo,
    ) -> Result<Option<(StrandNo, Place)>> {
        if gating.is_shut(gating.strands.lane(strand)) {
            return Ok(None);
        }
        if self.park_if_full(gating, strand) {
            return Ok(None);
        }
        if self.peek(sql, strand, FEW)?.is_none() {
            self.shortened(sql, gating.strands, strand)?;
            return Ok(None);
        }
        let place = self.pop(strand);
        gating.reserve(strand);
        self.shortened(sql, gating.strands, strand)?;
        Ok(place.map(|place| (strand, place)))
    }

    /// Parks a strand with keys under a gate that is full.
    pub(super) fn park_if_full(&mut self, gating: &Gating<'_>, strand: StrandNo) -> bool {
        let (lane, gates) = (gating.strands.lane(strand), gating.strands.gates_of_keys(strand));
        let Some(full) = gating.full(gates) else { return false };
        self.heads.park(lane, strand, full);
        // The others may let in those who stand behind it.
        for gate in gates.iter().filter(|gate| **gate != full) {
            self.heads.let_in_of(lane, *gate, gating.gauges.room(*gate, gating.now));
        }
        true
    }

    /// Writes what was added, and removes what was taken or notes how far.
    pub(crate) fn finish(&mut self, sql: &mut Sql<'_>) -> Result<()> {
        self.write(sql)?;
        for strand in std::mem::take(&mut self.taken_now) {
            let is_all = self.queued(strand) == 0;
            match self.taken.get_mut(&strand) {
                Some(taken) if taken.many < CUT && !is_all => {
                    taken.is_noted = true;
                    sql.cut_note(strand, taken.last)?;
                }
                _ => self.cut(sql, strand)?,
            }
        }
        Ok(())
    }

    /// Removes what was taken of a strand.
    pub(super) fn cut(&mut self, sql: &mut Sql<'_>, strand: StrandNo) -> Result<()> {
        let Some(taken) = self.taken.remove(&strand) else { return Ok(()) };
        self.taken_now.remove(&strand);
        sql.takeable_cut(strand, taken.last)?;
        if taken.is_noted { sql.cut_forget(strand) } else { Ok(()) }
    }

    /// Brings what was added to the disk.
    pub(crate) fn write(&mut self, sql: &mut Sql<'_>) -> Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        for (strand, last) in self.overtaken.drain(..) {
            sql.takeable_cut(strand, last)?;
            sql.cut_forget(strand)?;
        }
        let mut staged = std::mem::take(&mut self.staged);
        staged.sort_unstable();
        let same_row =
            |a: &(StrandNo, Place), b: &(StrandNo, Place)| (a.0, a.1.urgency, a.1.rank) == (b.0, b.1.urgency, b.1.rank);
        for together in staged.chunk_by(same_row) {
            let (strand, place) = together[0];
            let mut seqs: Vec<i64> = together.iter().map(|(_, place)| place.seq).collect();
            let mut last = Place { seq: i64::MAX, ..place };
            // Rows of one rank must not overlap: where there are some already, they are written anew with these.
            while let Some((first, packed)) = sql.takeable_at(strand, last)? {
                if unpack(first, &packed)?.last().is_none_or(|end| *end < place.seq) {
                    break;
                }
                seqs.extend(unpack(first, &packed)?);
                sql.takeable_put(strand, place, first, &[])?;
                last.seq = first - 1;
            }
            seqs.sort_unstable();
            for group in seqs.chunks(GROUP) {
                sql.takeable_insert(strand, place, group[0], &pack(group[0], group))?;
            }
        }
        staged.clear();
        self.staged = staged;
        Ok(())
    }
}
