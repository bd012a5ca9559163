//! Strands and the gates their tasks pass, by number. The tasks of a lane that name no keys are its plain strand, whose
//! number is the lane's own; those of one scope that name the same keys are a strand of their own, numbered with the top
//! bit set. A full gate closes whole strands, so that leasing never looks at what stands behind it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use rusqlite::Connection;
use tasklane_core::gate::{GateName, gates_of, no_keys};
use tasklane_core::queue::is_of_system;
use tasklane_core::task::{Lane, Scope};

use super::error::{Fault, Result};
use super::names::LaneEntry;
use crate::encoding::{LaneNo, ScopeNo, gate};

/// The number of a strand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StrandNo(pub u32);

/// The number of a gate, while the store is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GateNo(pub u32);

impl StrandNo {
    /// From here on numbers are of strands with keys.
    pub(crate) const KEYED: u32 = 1 << 31;

    pub(crate) fn plain(lane: LaneNo) -> Self {
        Self(lane.0)
    }

    fn keyed(index: usize) -> Self {
        Self(Self::KEYED | index as u32)
    }

    /// Its place among the strands with keys, if it is one.
    pub(crate) fn index(self) -> Option<usize> {
        (self.0 >= Self::KEYED).then_some((self.0 & !Self::KEYED) as usize)
    }
}

/// A strand with keys.
#[derive(Debug, Clone)]
pub(crate) struct Strand {
    pub lane: LaneNo,
    pub scope: ScopeNo,
    pub keys: Arc<[Box<str>]>,
    /// Those of its keys.
    gates: Box<[GateNo]>,
}

/// All strands, and the numbers of gates.
#[derive(Debug, Default, Clone)]
pub(crate) struct Strands {
    all: Vec<Strand>,
    by_keys: HashMap<(LaneNo, ScopeNo), HashMap<Arc<[Box<str>]>, StrandNo>>,
    gates: Vec<GateName>,
    by_name: BTreeMap<GateName, GateNo>,
    /// Gates of keys that stand beside others in some strand.
    met: Vec<bool>,
    /// The gates of a lane's queue and type that were ever defined.
    of_lanes: Vec<Vec<GateNo>>,
}

impl Strands {
    /// Numbers the gates in the table; before the lanes are told.
    pub(crate) fn load_gates(&mut self, db: &Connection) -> Result<()> {
        let mut rows = db.prepare("SELECT kind, tenant, key FROM gates ORDER BY kind, tenant, key")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let (tenant, key): (String, String) = (row.get(1)?, row.get(2)?);
            self.gate_no(&gate::name(row.get(0)?, &tenant, &key)?);
        }
        Ok(())
    }

    /// The strands in the table, once their lanes and scopes are there.
    pub(crate) fn load(&mut self, db: &Connection, lanes: &[LaneEntry], scopes: &[Arc<Scope>]) -> Result<()> {
        let mut rows = db.prepare("SELECT no, lane, scope, keys FROM strands ORDER BY no")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let (no, keys): (i64, String) = (row.get(0)?, row.get(3)?);
            let (lane, scope) = (LaneNo(row.get(1)?), ScopeNo(row.get(2)?));
            if no != self.all.len() as i64 {
                return Err(Fault::damaged("a strand's number is missing"));
            }
            let there = lanes.get(lane.0 as usize).zip(scopes.get(scope.0 as usize));
            let (entry, named) = there.ok_or_else(|| Fault::damaged("a strand of an unknown lane or scope"))?;
            self.push((lane, &entry.lane), (scope, named), &gate::keys(&keys)?);
        }
        Ok(())
    }

    /// A lane that was not there before, in the order of numbers.
    pub(crate) fn push_lane(&mut self, lane: &Lane) {
        let scope = Scope::default();
        let keys = no_keys();
        let gates = gates_of(lane, &scope, &keys).filter_map(|name| self.by_name.get(&name).copied());
        let gates = gates.collect();
        self.of_lanes.push(gates);
    }

    fn push(
        &mut self,
        (lane_no, lane): (LaneNo, &Lane),
        (scope_no, scope): (ScopeNo, &Scope),
        keys: &Arc<[Box<str>]>,
    ) -> StrandNo {
        let no = StrandNo::keyed(self.all.len());
        let named = keys.iter().filter(|_| !is_of_system(&lane.queue));
        let name = |key: &Box<str>| GateName::Key { tenant: scope.tenant.clone(), key: key.clone() };
        let gates: Box<[GateNo]> = named.map(|key| self.gate_no(&name(key))).collect();
        for gate in gates.iter().filter(|_| gates.len() > 1) {
            self.met[gate.0 as usize] = true;
        }
        self.all.push(Strand { lane: lane_no, scope: scope_no, keys: Arc::clone(keys), gates });
        self.by_keys.entry((lane_no, scope_no)).or_default().insert(Arc::clone(keys), no);
        no
    }

    /// How many strands with keys there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The number of the strand of these keys, made where it is new.
    pub(crate) fn strand_no(
        &mut self,
        db: &Connection,
        (lane_no, lane): (LaneNo, &Lane),
        (scope_no, scope): (ScopeNo, &Scope),
        keys: &Arc<[Box<str>]>,
    ) -> Result<StrandNo> {
        if keys.is_empty() {
            return Ok(StrandNo::plain(lane_no));
        }
        if let Some(no) = self.by_keys.get(&(lane_no, scope_no)).and_then(|strands| strands.get(&**keys)) {
            return Ok(*no);
        }
        let row = (self.all.len() as i64, lane_no.0, scope_no.0, gate::text(keys)?);
        db.execute("INSERT INTO strands (no, lane, scope, keys) VALUES (?, ?, ?, ?)", row)?;
        Ok(self.push((lane_no, lane), (scope_no, scope), keys))
    }

    /// The strand of this number, where it has keys.
    pub(crate) fn keyed(&self, no: StrandNo) -> Result<Option<&Strand>> {
        let Some(index) = no.index() else { return Ok(None) };
        self.all.get(index).map(Some).ok_or_else(|| Fault::damaged("a task of an unknown strand"))
    }

    /// The lane of a strand; of one that is not known, no lane that is.
    pub(crate) fn lane(&self, no: StrandNo) -> LaneNo {
        no.index().map_or(LaneNo(no.0), |at| self.all.get(at).map_or(LaneNo(u32::MAX), |it| it.lane))
    }

    /// The gates of a lane that all its tasks pass.
    pub(crate) fn gates_of_lane(&self, lane: LaneNo) -> &[GateNo] {
        self.of_lanes.get(lane.0 as usize).map_or(&[], |gates| gates)
    }

    /// The gates of a strand's keys.
    pub(crate) fn gates_of_keys(&self, no: StrandNo) -> &[GateNo] {
        no.index().and_then(|index| self.all.get(index)).map_or(&[], |it| &it.gates)
    }

    /// Every gate that the tasks of a strand pass.
    pub(crate) fn gates_of(&self, no: StrandNo) -> impl Iterator<Item = GateNo> + '_ {
        self.gates_of_lane(self.lane(no)).iter().chain(self.gates_of_keys(no)).copied()
    }

    /// Whether some task that passes this gate passes others too.
    pub(crate) fn meets_others(&self, no: GateNo, lane: LaneNo) -> bool {
        self.met[no.0 as usize] || !self.gates_of_lane(lane).is_empty()
    }

    pub(crate) fn gate(&self, no: GateNo) -> &GateName {
        &self.gates[no.0 as usize]
    }

    pub(crate) fn find_gate(&self, name: &GateName) -> Option<GateNo> {
        self.by_name.get(name).copied()
    }

    /// The gates with their names, in the order of these.
    pub(crate) fn named(&self) -> impl Iterator<Item = (GateNo, &GateName)> {
        self.by_name.iter().map(|(name, no)| (*no, name))
    }

    /// Those after a name.
    pub(crate) fn named_after(&self, after: Option<&GateName>) -> impl Iterator<Item = (GateNo, &GateName)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name.range::<GateName, _>((from, Bound::Unbounded)).map(|(name, no)| (*no, name))
    }

    /// The number of a gate, made where it is new. One of a queue or type is told to the lanes by [`Strands::tell_lanes`].
    pub(crate) fn gate_no(&mut self, name: &GateName) -> GateNo {
        if let Some(no) = self.by_name.get(name) {
            return *no;
        }
        let no = GateNo(self.gates.len() as u32);
        self.gates.push(name.clone());
        self.met.push(false);
        self.by_name.insert(name.clone(), no);
        no
    }

    /// Whether all tasks of a lane pass this gate.
    pub(crate) fn is_of_lane(name: &GateName, lane: &Lane) -> bool {
        let (scope, keys) = (Scope::default(), no_keys());
        gates_of(lane, &scope, &keys).any(|it| it == *name)
    }

    /// A gate is new: these lanes pass it.
    pub(crate) fn tell_lanes(&mut self, no: GateNo, lanes: impl Iterator<Item = LaneNo>) {
        for lane in lanes {
            let gates = &mut self.of_lanes[lane.0 as usize];
            if !gates.contains(&no) {
                gates.push(no);
            }
        }
    }

    /// Makes this what `other` is, which is the same with more in it.
    pub(crate) fn follow(&mut self, other: &Self) {
        for name in &other.gates[self.gates.len().min(other.gates.len())..] {
            self.gate_no(name);
        }
        self.of_lanes.clone_from(&other.of_lanes);
        for strand in &other.all[self.all.len().min(other.all.len())..] {
            let no = StrandNo::keyed(self.all.len());
            self.by_keys.entry((strand.lane, strand.scope)).or_default().insert(Arc::clone(&strand.keys), no);
            self.all.push(strand.clone());
        }
    }

    /// Whether `other`, which was the same, has what this has not.
    pub(crate) fn lacks(&self, other: &Self) -> bool {
        let sizes = |it: &Self| (it.all.len(), it.gates.len());
        sizes(self) != sizes(other)
    }
}
