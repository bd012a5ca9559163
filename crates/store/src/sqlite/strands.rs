//! Strands and the gates their tasks pass, by number. The tasks of a lane that name no keys are its plain strand, whose
//! number is the lane's own; those of one scope that name the same keys are a strand of their own, numbered with the top
//! bit set. A full gate closes whole strands, so that leasing never looks at what stands behind it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use rusqlite::Connection;
use tasklane_core::gate::{GateName, gates_of, no_keys};
use tasklane_core::task::{Lane, Scope};

use super::error::{Fault, Result};
use super::names::LaneEntry;
use crate::encoding::{LaneNo, ScopeNo, gate};
use foldhash::fast::RandomState as ById;

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

/// What readers have to be told of.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Strand(StrandNo, Option<Strand>),
    Gate(GateNo, Option<GateName>),
    Lane(LaneNo, Vec<GateNo>),
}

/// A number of a gate, and who has it.
#[derive(Debug, Default, Clone)]
struct Numbered {
    name: Option<GateName>,
    /// How many strands name it by a key.
    strands: u32,
    /// Whether it stands beside others in some strand.
    meets_others: bool,
}

/// Strands of one lane and scope.
type ByKeys = HashMap<Arc<[Box<str>]>, StrandNo>;

/// All strands, and the numbers of gates.
#[derive(Debug, Default, Clone)]
pub(crate) struct Strands {
    all: HashMap<StrandNo, Strand, ById>,
    by_keys: HashMap<(LaneNo, ScopeNo), ByKeys>,
    /// No strand had this number or a greater one.
    next: usize,
    gates: Vec<Numbered>,
    by_name: BTreeMap<GateName, GateNo>,
    /// Numbers of gates that nobody has any more.
    free: Vec<GateNo>,
    /// The gates of a lane's queue and type that were ever defined.
    of_lanes: Vec<Vec<GateNo>>,
    changes: Vec<Change>,
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
            self.next = usize::try_from(no).map_err(|_| Fault::damaged("a strand's number"))?;
            let there = lanes.get(lane.0 as usize).and(scopes.get(scope.0 as usize));
            let named = there.ok_or_else(|| Fault::damaged("a strand of an unknown lane or scope"))?;
            self.push(lane, (scope, named), &gate::keys(&keys)?);
        }
        Ok(())
    }

    /// A lane that was not there before, in the order of numbers.
    pub(crate) fn push_lane(&mut self, lane: &Lane) {
        let scope = Scope::default();
        let keys = no_keys();
        let gates = gates_of(lane, &scope, &keys).filter_map(|name| self.by_name.get(&name).copied());
        let gates: Vec<GateNo> = gates.collect();
        self.changes.push(Change::Lane(LaneNo(self.of_lanes.len() as u32), gates.clone()));
        self.of_lanes.push(gates);
    }

    fn push(&mut self, lane_no: LaneNo, (scope_no, scope): (ScopeNo, &Scope), keys: &Arc<[Box<str>]>) -> StrandNo {
        let no = StrandNo::keyed(self.next);
        self.next += 1;
        let name = |key: &str| GateName::Key { tenant: scope.tenant.clone(), key: key.into() };
        let gates: Box<[GateNo]> = keys.iter().map(|key| self.gate_no(&name(key))).collect();
        for gate in &gates {
            let numbered = &mut self.gates[gate.0 as usize];
            numbered.strands += 1;
            numbered.meets_others |= gates.len() > 1;
        }
        let strand = Strand { lane: lane_no, scope: scope_no, keys: Arc::clone(keys), gates };
        self.changes.push(Change::Strand(no, Some(strand.clone())));
        self.all.insert(no, strand);
        self.by_keys.entry((lane_no, scope_no)).or_default().insert(Arc::clone(keys), no);
        no
    }

    /// How many strands with keys there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The strand of these keys, if there is one.
    pub(crate) fn find(&self, lane: LaneNo, scope: ScopeNo, keys: &[Box<str>]) -> Option<StrandNo> {
        self.by_keys.get(&(lane, scope))?.get(keys).copied()
    }

    /// Strands with keys that are not among these.
    pub(crate) fn others(&self, met: &HashSet<StrandNo, ById>) -> impl Iterator<Item = StrandNo> {
        self.all.keys().filter(|no| !met.contains(no)).copied()
    }

    /// No task is of this strand any more. Answers with the gates that no strand names now.
    pub(crate) fn forget(&mut self, db: &Connection, no: StrandNo) -> Result<Vec<GateNo>> {
        let Some(strand) = self.all.remove(&no) else { return Ok(Vec::new()) };
        db.prepare_cached("DELETE FROM strands WHERE no = ?")?.execute([no.index().map(|it| it as i64)])?;
        if let Some(strands) = self.by_keys.get_mut(&(strand.lane, strand.scope)) {
            strands.remove(&strand.keys);
        }
        self.changes.push(Change::Strand(no, None));
        let mut unnamed = Vec::new();
        for gate in strand.gates {
            let numbered = &mut self.gates[gate.0 as usize];
            numbered.strands -= 1;
            if numbered.strands == 0 {
                unnamed.push(gate);
            }
        }
        Ok(unnamed)
    }

    /// Nobody says anything of a gate any more, and no task names it: another may have its number.
    pub(crate) fn forget_gate(&mut self, no: GateNo) {
        let numbered = std::mem::take(&mut self.gates[no.0 as usize]);
        if let Some(name) = numbered.name {
            self.by_name.remove(&name);
            self.free.push(no);
            self.changes.push(Change::Gate(no, None));
        }
    }

    /// The number of the strand of these keys, made where it is new.
    pub(crate) fn strand_no(
        &mut self,
        db: &Connection,
        lane_no: LaneNo,
        (scope_no, scope): (ScopeNo, &Scope),
        keys: &Arc<[Box<str>]>,
    ) -> Result<StrandNo> {
        if keys.is_empty() {
            return Ok(StrandNo::plain(lane_no));
        }
        if let Some(no) = self.find(lane_no, scope_no, keys) {
            return Ok(no);
        }
        let row = (self.next as i64, lane_no.0, scope_no.0, gate::text(keys)?);
        db.execute("INSERT INTO strands (no, lane, scope, keys) VALUES (?, ?, ?, ?)", row)?;
        Ok(self.push(lane_no, (scope_no, scope), keys))
    }

    /// The strand of this number, where it has keys.
    pub(crate) fn keyed(&self, no: StrandNo) -> Result<Option<&Strand>> {
        if no.index().is_none() {
            return Ok(None);
        }
        self.all.get(&no).map(Some).ok_or_else(|| Fault::damaged("a task of an unknown strand"))
    }

    /// The lane of a strand; of one that is not known, no lane that is.
    pub(crate) fn lane(&self, no: StrandNo) -> LaneNo {
        no.index().map_or(LaneNo(no.0), |_| self.all.get(&no).map_or(LaneNo(u32::MAX), |it| it.lane))
    }

    /// The gates of a lane that all its tasks pass.
    pub(crate) fn gates_of_lane(&self, lane: LaneNo) -> &[GateNo] {
        self.of_lanes.get(lane.0 as usize).map_or(&[], |gates| gates)
    }

    /// The gates of a strand's keys.
    pub(crate) fn gates_of_keys(&self, no: StrandNo) -> &[GateNo] {
        self.all.get(&no).filter(|_| no.index().is_some()).map_or(&[], |it| &it.gates)
    }

    /// Every gate that the tasks of a strand pass.
    pub(crate) fn gates_of(&self, no: StrandNo) -> impl Iterator<Item = GateNo> + '_ {
        self.gates_of_lane(self.lane(no)).iter().chain(self.gates_of_keys(no)).copied()
    }

    /// Whether some task that passes this gate passes others too.
    pub(crate) fn meets_others(&self, no: GateNo, lane: LaneNo) -> bool {
        self.gates[no.0 as usize].meets_others || !self.gates_of_lane(lane).is_empty()
    }

    /// The name of a gate.
    pub(crate) fn gate(&self, no: GateNo) -> Option<&GateName> {
        self.gates.get(no.0 as usize)?.name.as_ref()
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
        let no = self.free.pop().unwrap_or(GateNo(self.gates.len() as u32));
        self.put_gate(no, Some(name.clone()));
        self.changes.push(Change::Gate(no, Some(name.clone())));
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
                self.changes.push(Change::Lane(lane, gates.clone()));
            }
        }
    }

    fn put_gate(&mut self, no: GateNo, name: Option<GateName>) {
        let at = no.0 as usize;
        self.gates.resize_with(self.gates.len().max(at + 1), Numbered::default);
        if let Some(gone) = std::mem::replace(&mut self.gates[at].name, name.clone()) {
            self.by_name.remove(&gone);
        }
        name.map(|name| self.by_name.insert(name, no));
    }

    /// Whether readers have to be told of anything.
    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What readers have to be told of since they were told last.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Takes over what changed elsewhere. What only a writer needs is left out.
    pub(crate) fn follow(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Strand(no, Some(strand)) => drop(self.all.insert(no, strand)),
                Change::Strand(no, None) => drop(self.all.remove(&no)),
                Change::Gate(no, name) => self.put_gate(no, name),
                Change::Lane(lane, gates) => {
                    let at = lane.0 as usize;
                    self.of_lanes.resize_with(self.of_lanes.len().max(at + 1), Vec::new);
                    self.of_lanes[at] = gates;
                }
            }
        }
    }
}
