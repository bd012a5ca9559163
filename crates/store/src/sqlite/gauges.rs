//! What is known of every gate: what was said of it, how many pass it now, and when tasks started. The writer's is the true
//! one; readers see a copy that follows each commit.

use std::collections::BTreeSet;

use rusqlite::Connection;
use tasklane_core::gate::{self, Bounds, Definition, GateName, Starts};
use tasklane_core::time::Timestamp;

use super::error::Result;
use super::strands::{GateNo, Strands};
use crate::encoding::gate as encoding;

/// A gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gauge {
    /// What was said of it itself.
    pub own: Option<Definition>,
    /// What holds: its own word, or that of the one that stands in for it.
    pub in_force: Option<Definition>,
    /// Tasks that run and pass it.
    pub running: u64,
    pub starts: Starts,
    /// Taken by the lease under way, whose tasks do not run yet.
    reserved: u32,
    /// The entry in [`Gauges::opening`].
    opens: Option<Timestamp>,
}

impl Gauge {
    pub(crate) fn bounds(&self) -> Bounds {
        self.in_force.map(|it| it.bounds).unwrap_or_default()
    }

    /// How many more may start.
    pub(crate) fn room(&self, now: Timestamp) -> u32 {
        gate::room(&self.bounds(), self.running, &self.starts, now).saturating_sub(self.reserved)
    }

    pub(crate) fn is_full(&self, now: Timestamp) -> bool {
        self.room(now) == 0
    }

    /// Whether starts still count that were made.
    pub(crate) fn remembers_starts(&self, now: Timestamp) -> bool {
        self.bounds().rate.is_some_and(|rate| self.starts.room(rate, now) < rate.count)
    }

    /// When its rate lets the next task start, if that is not now.
    pub(crate) fn opens_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.starts.opens_at(self.bounds().rate?, now)
    }
}

/// All gates, by number.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    all: Vec<Gauge>,
    reserved: Vec<GateNo>,
    /// Gates of which a rate leaves less room than it could, and when it leaves more.
    opening: BTreeSet<(Timestamp, GateNo)>,
    /// What readers have to be told of.
    changed: BTreeSet<GateNo>,
    /// Those with something to be written.
    unwritten: BTreeSet<GateNo>,
}

impl Gauges {
    pub(crate) fn load(db: &Connection, strands: &Strands) -> Result<Self> {
        let mut gauges = Self::default();
        let mut rows = db.prepare("SELECT kind, tenant, key, set_by, bounds, starts FROM gates")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let (tenant, key): (String, String) = (row.get(1)?, row.get(2)?);
            let Some(no) = strands.find_gate(&encoding::name(row.get(0)?, &tenant, &key)?) else { continue };
            let (set_by, bounds, starts): (Option<i16>, Option<String>, Option<String>) =
                (row.get(3)?, row.get(4)?, row.get(5)?);
            let gauge = gauges.at(no);
            gauge.starts = starts.map(|it| encoding::read(&it)).transpose()?.unwrap_or_default();
            if let Some((set_by, bounds)) = set_by.zip(bounds) {
                let (set_by, bounds) = (encoding::set_by(set_by)?, encoding::read(&bounds)?);
                gauge.own = Some(Definition { bounds, set_by });
            }
        }
        strands.named().for_each(|(no, _)| gauges.bring_in_force(strands, no));
        Ok(gauges)
    }

    fn at(&mut self, no: GateNo) -> &mut Gauge {
        let at = no.0 as usize;
        if self.all.len() <= at {
            self.all.resize_with(at + 1, Gauge::default);
        }
        &mut self.all[at]
    }

    pub(crate) fn get(&self, no: GateNo) -> Option<&Gauge> {
        self.all.get(no.0 as usize)
    }

    pub(crate) fn all(&self) -> &[Gauge] {
        &self.all
    }

    pub(crate) fn room(&self, no: GateNo, now: Timestamp) -> u32 {
        self.get(no).map_or(u32::MAX, |it| it.room(now))
    }

    /// Something is said of a gate, or no longer.
    pub(crate) fn define(&mut self, strands: &Strands, no: GateNo, own: Option<Definition>) {
        let gauge = self.at(no);
        gauge.own = own;
        if own.is_none() {
            gauge.starts = Starts::default();
        }
        self.unwritten.insert(no);
        self.bring_in_force(strands, no);
    }

    /// What was said is what holds from now on.
    pub(crate) fn bring_in_force(&mut self, strands: &Strands, no: GateNo) {
        let stand_in = strands.gate(no).and_then(GateName::stand_in).and_then(|name| strands.find_gate(&name));
        let stand_in = stand_in.and_then(|no| self.get(no)?.own);
        let gauge = self.at(no);
        gauge.in_force = gate::in_force(gauge.own, stand_in);
        self.changed.insert(no);
        // A rate that was changed may keep it shut for another time.
        self.opens(no, Timestamp::EPOCH);
    }

    /// A task that runs passes this gate, whether it starts now or not.
    pub(crate) fn enter(&mut self, no: GateNo) {
        self.at(no).running += 1;
        self.changed.insert(no);
    }

    /// A task starts.
    pub(crate) fn start(&mut self, no: GateNo, now: Timestamp) {
        self.enter(no);
        let gauge = self.at(no);
        if let Some(rate) = gauge.bounds().rate {
            gauge.starts.take(rate, now, 1);
            self.unwritten.insert(no);
            self.opens(no, now);
        }
    }

    /// A task runs no longer.
    pub(crate) fn leave(&mut self, no: GateNo) {
        let gauge = self.at(no);
        gauge.running = gauge.running.saturating_sub(1);
        self.changed.insert(no);
    }

    /// So many tasks run that pass it, as was counted anew.
    pub(crate) fn recount(&mut self, no: GateNo, running: u64) {
        self.at(no).running = running;
        self.changed.insert(no);
    }

    /// Notes when a gate next has more room of itself, as seen from `now`: it need not be shut until then.
    fn opens(&mut self, no: GateNo, now: Timestamp) {
        let gauge = self.at(no);
        let opens = gauge.bounds().rate.and_then(|rate| gauge.starts.grows_at(rate, now));
        let before = std::mem::replace(&mut gauge.opens, opens);
        before.map(|at| self.opening.remove(&(at, no)));
        opens.map(|at| self.opening.insert((at, no)));
    }

    /// The next moment at which a gate opens of itself, if nobody was told of it.
    pub(crate) fn next_opening(&self) -> Option<Timestamp> {
        self.opening.first().map(|(at, _)| *at)
    }

    /// Gates that have more room of themselves, and nobody was told.
    pub(crate) fn opened(&self, now: Timestamp) -> Vec<GateNo> {
        self.opening.iter().take_while(|(at, _)| *at <= now).map(|(_, no)| *no).collect()
    }

    /// Those who wait for these gates were told that they have opened.
    pub(crate) fn told(&mut self, opened: &[GateNo], now: Timestamp) {
        opened.iter().for_each(|no| self.opens(*no, now));
    }

    /// The lease under way takes a slot.
    pub(crate) fn reserve(&mut self, no: GateNo) {
        self.at(no).reserved += 1;
        self.reserved.push(no);
    }

    /// What was reserved is taken by starting, or not at all.
    pub(crate) fn unreserve(&mut self) {
        for no in std::mem::take(&mut self.reserved) {
            self.at(no).reserved = 0;
        }
    }

    /// Nobody passes a gate any more, and nothing is said of it.
    pub(crate) fn forget(&mut self, no: GateNo) {
        let gone = std::mem::take(self.at(no));
        gone.opens.map(|at| self.opening.remove(&(at, no)));
        self.unwritten.remove(&no);
        self.changed.insert(no);
    }

    /// Gates whose rows are to be written.
    pub(crate) fn unwritten(&mut self) -> BTreeSet<GateNo> {
        std::mem::take(&mut self.unwritten)
    }

    /// What readers have to be told of since they were told last.
    pub(crate) fn changes(&mut self) -> Vec<(GateNo, Gauge)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().filter_map(|no| Some((no, self.get(no)?.clone()))).collect()
    }
}
