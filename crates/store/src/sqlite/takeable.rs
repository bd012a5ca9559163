//! What may start now. On disk a row of `takeable` holds up to [`GROUP`] tasks of one lane, priority and rank, so that what
//! was accepted together costs one row and not an index entry a task. In memory each lane keeps its first few, so that
//! leasing finds the first of a thousand lanes without looking at the disk.
//!
//! Tasks of one priority and rank stand in the order of acceptance, which is the order of ids wherever the server drew
//! them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use tasklane_core::task::Task;

use super::error::Result;
use super::names::LaneNo;
use super::seqs::{pack, unpack};
use super::sql::Sql;

/// Most tasks of a row; what is taken out of the middle rewrites its row.
const GROUP: usize = 512;
/// Most places of one lane kept in memory.
const LINE: usize = 1024;
/// Most places kept in memory in all; past it everything is forgotten and read again.
const LINES: usize = 400_000;

/// Where a task stands in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub urgency: i32,
    pub rank: i64,
    pub seq: i64,
}

impl Place {
    pub(crate) fn of(seq: i64, task: &Task) -> Self {
        Self { urgency: -task.priority, rank: task.rank.as_micros(), seq }
    }
}

/// The beginning of a lane.
#[derive(Default)]
struct Line {
    queued: u64,
    /// The first places in order; `whole`: there are no others.
    first: VecDeque<Place>,
    unread: bool,
}

/// All lanes.
#[derive(Default)]
pub(crate) struct Takeable {
    lines: Vec<Line>,
    /// Lanes with anything in them.
    open: BTreeSet<LaneNo>,
    cached: usize,
    /// To be written.
    staged: Vec<(LaneNo, Place)>,
    /// Taken up to here, to be removed.
    taken: BTreeMap<LaneNo, Place>,
}

impl Takeable {
    /// What is known when a store is opened: how many stand in each lane.
    pub(crate) fn load(counts: impl Iterator<Item = (LaneNo, u64)>) -> Self {
        let mut takeable = Self::default();
        for (lane, queued) in counts.filter(|(_, queued)| *queued > 0) {
            let line = takeable.line(lane);
            (line.queued, line.unread) = (line.queued + queued, true);
            takeable.open.insert(lane);
        }
        takeable
    }

    fn line(&mut self, lane: LaneNo) -> &mut Line {
        let at = lane.0 as usize;
        if self.lines.len() <= at {
            self.lines.resize_with(at + 1, Line::default);
        }
        &mut self.lines[at]
    }

    pub(crate) fn open(&self) -> impl ExactSizeIterator<Item = LaneNo> {
        self.open.iter().copied()
    }

    pub(crate) fn is_open(&self, lane: LaneNo) -> bool {
        self.open.contains(&lane)
    }

    pub(crate) fn add(&mut self, lane: LaneNo, place: Place) {
        self.staged.push((lane, place));
        let line = self.line(lane);
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
        if line.queued == 1 {
            self.open.insert(lane);
        }
        self.cached += grown;
        self.forget_if_too_many();
    }

    fn forget_if_too_many(&mut self) {
        if self.cached > LINES {
            for line in &mut self.lines {
                line.unread |= !line.first.is_empty();
                line.first = VecDeque::new();
            }
            self.cached = 0;
        }
    }

    /// Takes one out of the middle.
    pub(crate) fn remove(&mut self, sql: &mut Sql<'_>, lane: LaneNo, place: Place) -> Result<()> {
        self.write(sql)?;
        let line = self.line(lane);
        let found = line.first.binary_search(&place).map(|at| line.first.remove(at)).is_ok();
        line.queued = line.queued.saturating_sub(1);
        if line.queued == 0 {
            self.open.remove(&lane);
        }
        self.cached -= usize::from(found);
        let Some((first, packed)) = sql.takeable_at(lane, place)? else { return Ok(()) };
        let mut seqs = unpack(first, &packed)?;
        seqs.retain(|seq| *seq != place.seq);
        sql.takeable_put(lane, place, first, &seqs)
    }

    /// The first place of a lane.
    pub(crate) fn peek(&mut self, sql: &mut Sql<'_>, lane: LaneNo, wanted: usize) -> Result<Option<Place>> {
        if self.line(lane).first.is_empty() && self.line(lane).unread {
            self.read(sql, lane, wanted)?;
        }
        Ok(self.line(lane).first.front().copied())
    }

    /// Reads the beginning of a lane from disk, once what was taken is off it and what was added is on it.
    fn read(&mut self, sql: &mut Sql<'_>, lane: LaneNo, wanted: usize) -> Result<()> {
        self.write(sql)?;
        if let Some(last) = self.taken.remove(&lane) {
            sql.takeable_cut(lane, last)?;
        }
        let (first, whole) = sql.takeable_first(lane, wanted)?;
        self.cached += first.len();
        let line = self.line(lane);
        (line.first, line.unread) = (first, !whole);
        Ok(())
    }

    fn pop(&mut self, lane: LaneNo) -> Option<Place> {
        let line = self.line(lane);
        let place = line.first.pop_front()?;
        line.queued = line.queued.saturating_sub(1);
        if line.queued == 0 {
            self.open.remove(&lane);
        }
        self.cached -= 1;
        self.taken.insert(lane, place);
        Some(place)
    }

    /// Takes the first `most` of these lanes, merged by their places.
    pub(crate) fn take(&mut self, sql: &mut Sql<'_>, lanes: &[LaneNo], most: usize) -> Result<Vec<(LaneNo, Place)>> {
        let mut taken = Vec::with_capacity(most.min(LINE));
        // Of many lanes each gives little; of one lane all is wanted.
        let wanted = if lanes.len() <= 4 { most } else { (2 * most / lanes.len()).max(16) };
        let mut first = BinaryHeap::with_capacity(lanes.len());
        for lane in lanes {
            if let Some(place) = self.peek(sql, *lane, wanted)? {
                first.push(Reverse((place, *lane)));
            }
        }
        while let Some(Reverse((_, lane))) = first.pop().filter(|_| taken.len() < most) {
            let next = first.peek().map(|Reverse((place, _))| *place);
            while let Some(place) = self.peek(sql, lane, wanted)? {
                if taken.len() == most || next.is_some_and(|next| next < place) {
                    first.push(Reverse((place, lane)));
                    break;
                }
                self.pop(lane);
                taken.push((lane, place));
            }
        }
        Ok(taken)
    }

    /// Writes what was added and removes what was taken.
    pub(crate) fn finish(&mut self, sql: &mut Sql<'_>) -> Result<()> {
        self.write(sql)?;
        for (lane, last) in std::mem::take(&mut self.taken) {
            sql.takeable_cut(lane, last)?;
        }
        Ok(())
    }

    /// Brings what was added to the disk.
    pub(crate) fn write(&mut self, sql: &mut Sql<'_>) -> Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let mut staged = std::mem::take(&mut self.staged);
        staged.sort_unstable();
        let same_row =
            |a: &(LaneNo, Place), b: &(LaneNo, Place)| (a.0, a.1.urgency, a.1.rank) == (b.0, b.1.urgency, b.1.rank);
        for together in staged.chunk_by(same_row) {
            let (lane, place) = together[0];
            let mut seqs: Vec<i64> = together.iter().map(|(_, place)| place.seq).collect();
            let mut last = Place { seq: i64::MAX, ..place };
            // Rows of one rank must not overlap: where there are some already, they are written anew with these.
            while let Some((first, packed)) = sql.takeable_at(lane, last)? {
                if unpack(first, &packed)?.last().is_none_or(|end| *end < place.seq) {
                    break;
                }
                seqs.extend(unpack(first, &packed)?);
                sql.takeable_put(lane, place, first, &[])?;
                last.seq = first - 1;
            }
            seqs.sort_unstable();
            for group in seqs.chunks(GROUP) {
                sql.takeable_insert(lane, place, group[0], &pack(group[0], group))?;
            }
        }
        staged.clear();
        self.staged = staged;
        Ok(())
    }
}
