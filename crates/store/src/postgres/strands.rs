//! What a server knows of gates, strands and shared lanes. A strand has a number of its own in the place of its lane's: minus its number
//! in its table, so that the two never meet.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use tasklane_core::accept::NewTask;
use tasklane_core::gate::{self, Bounds, Definition, EVERY_TENANT, GateName, Limit};
use tasklane_core::queue::is_of_system;
use tasklane_core::task::Lane;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use xxhash_rust::xxh3::Xxh3;

use super::error::Result;
use super::session::{Session, Statement};
use crate::encoding::{LaneNo, gate as coded};

/// Read before the rows, which are then at least as new.
const VERSION: Statement = Statement { sql: "SELECT value FROM tasklane.facts WHERE name = 'gates'", types: &[] };

const STRANDS: Statement =
    Statement { sql: "SELECT no, lane, tenant, keys, gates FROM tasklane.strands WHERE no > $1", types: &[Type::INT4] };

const GATES: Statement = Statement {
    sql: "SELECT no, kind, tenant, key, set_by, bounds FROM tasklane.gates WHERE version > $1",
    types: &[Type::INT8],
};

const SHARED: Statement = Statement { sql: "SELECT no FROM tasklane.lanes WHERE shared > $1", types: &[Type::INT8] };

/// The number of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GateNo(pub i32);

/// What one lane has of tasks of one tenant with the same keys.
#[derive(Debug)]
pub(crate) struct Strand {
    pub lane: LaneNo,
    pub keys: Arc<[Box<str>]>,
    /// Of these keys, in their order.
    pub gates: Box<[GateNo]>,
}

/// A gate, and what was said of it.
#[derive(Debug, Clone)]
struct Known {
    name: GateName,
    own: Option<Definition>,
}

/// Gates and strands.
#[derive(Debug, Default, Clone)]
pub(crate) struct Strands {
    strands: HashMap<LaneNo, Arc<Strand>, RandomState>,
    by_digest: HashMap<(LaneNo, u128), LaneNo, RandomState>,
    of_lane: HashMap<LaneNo, Vec<LaneNo>, RandomState>,
    of_gate: HashMap<GateNo, Vec<LaneNo>, RandomState>,
    gates: HashMap<GateNo, Known, RandomState>,
    by_name: HashMap<GateName, GateNo, RandomState>,
    /// Gates that stand in for those of every tenant, by their keys.
    stand_ins: HashMap<Box<str>, GateNo, RandomState>,
    /// What gates let through that do not let everything through.
    bounded: HashMap<GateNo, Bounds, RandomState>,
    /// The defined gates of queues and types, by lane.
    wide: HashMap<LaneNo, Vec<GateNo>, RandomState>,
    /// Lanes that tenants share.
    shared: HashSet<LaneNo, RandomState>,
    last: i32,
    version: i64,
}

/// What was read of them.
pub(crate) struct News {
    /// How far the last word is; `None`: nothing was said.
    version: Option<i64>,
    strands: Vec<Row>,
    gates: Vec<Row>,
    shared: Vec<Row>,
}

impl News {
    pub(crate) fn is_empty(&self) -> bool {
        self.version.is_none()
    }
}

impl Strands {
    /// Up to which word about gates everything is known.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    /// What was said since.
    pub(crate) async fn news(&self, session: &Session) -> Result<News> {
        let version: i64 = session.row(&VERSION, &[]).await?.try_get(0)?;
        if version == self.version {
            return Ok(News { version: None, strands: Vec::new(), gates: Vec::new(), shared: Vec::new() });
        }
        let strands = session.rows(&STRANDS, &[&self.last]).await?;
        let gates = session.rows(&GATES, &[&self.version]).await?;
        Ok(News { version: Some(version), strands, gates, shared: session.rows(&SHARED, &[&self.version]).await? })
    }

    pub(crate) fn add(&mut self, news: &News) -> Result<()> {
        for row in &news.gates {
            let (no, set_by) = (GateNo(row.try_get(0)?), row.try_get::<_, Option<i16>>(4)?);
            let name = coded::name(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)?;
            let definition = |code| Ok::<_, super::error::Fault>((coded::set_by(code)?, row.try_get::<_, &str>(5)?));
            let own = match set_by.map(definition).transpose()? {
                Some((set_by, bounds)) => Some(Definition { bounds: coded::read(bounds)?, set_by }),
                None => None,
            };
            if let GateName::Key { tenant, key } = &name
                && **tenant == *EVERY_TENANT
            {
                self.stand_ins.insert(key.clone(), no);
            }
            self.by_name.insert(name.clone(), no);
            self.gates.insert(no, Known { name, own });
        }
        for row in &news.gates {
            self.bound(GateNo(row.try_get(0)?));
        }
        for row in &news.strands {
            self.add_strand(row)?;
        }
        for row in &news.shared {
            self.shared.insert(LaneNo(row.try_get::<_, i32>(0)? as u32));
        }
        self.version = self.version.max(news.version.unwrap_or(0));
        Ok(())
    }

    /// What was said of this gate holds there and where it stands in.
    fn bound(&mut self, gate: GateNo) {
        for gate in self.stood_in_by(gate) {
            match self.in_force(gate).map(|it| it.bounds).filter(|it| *it != Bounds::default()) {
                Some(bounds) => self.bounded.insert(gate, bounds),
                None => self.bounded.remove(&gate),
            };
        }
    }

    fn add_strand(&mut self, row: &Row) -> Result<()> {
        let (no, lane): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
        self.last = self.last.max(no);
        let (strand, lane) = (LaneNo((-no) as u32), LaneNo(lane as u32));
        let keys = coded::keys(row.try_get(3)?)?;
        let gates: Box<[GateNo]> = row.try_get::<_, Vec<i32>>(4)?.into_iter().map(GateNo).collect();
        let digest = digest(row.try_get(2)?, keys.iter().map(|key| &**key));
        if self.by_digest.insert((lane, digest), strand).is_none() {
            self.of_lane.entry(lane).or_default().push(strand);
            gates.iter().for_each(|gate| self.of_gate.entry(*gate).or_default().push(strand));
            self.strands.insert(strand, Arc::new(Strand { lane, keys, gates }));
        }
        Ok(())
    }

    /// Which lanes pass gates of their queues and types. To be called when lanes or gates have come.
    pub(crate) fn widen(&mut self, lanes: &HashMap<LaneNo, Arc<Lane>, RandomState>) {
        let defined = self.gates.iter().filter(|(_, it)| it.own.is_some());
        let mut wide: Vec<(GateNo, GateName)> = defined
            .filter(|(_, it)| !matches!(it.name, GateName::Key { .. }))
            .map(|(no, it)| (*no, it.name.clone()))
            .collect();
        wide.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        self.wide.clear();
        for (no, lane) in lanes.iter().filter(|_| !wide.is_empty()) {
            let of_lane = wide.iter().filter(|(_, name)| is_wide_of(name, lane));
            let gates: Vec<GateNo> = of_lane.map(|(gate, _)| *gate).collect();
            if !gates.is_empty() {
                self.wide.insert(*no, gates);
            }
        }
    }

    /// Whether there is anything to pass.
    pub(crate) fn is_any(&self) -> bool {
        !self.gates.is_empty() || !self.strands.is_empty()
    }

    /// Whether tenants share any lane.
    pub(crate) fn is_any_shared(&self) -> bool {
        !self.shared.is_empty()
    }

    /// Whether tenants share this lane.
    pub(crate) fn is_shared(&self, lane: LaneNo) -> bool {
        !self.shared.is_empty() && self.shared.contains(&lane)
    }

    /// Whether tasks of this lane may have to pass gates.
    pub(crate) fn touches(&self, lane: LaneNo) -> bool {
        self.of_lane.contains_key(&lane) || self.wide.contains_key(&lane)
    }

    /// Whether tasks of this strand may have to pass gates.
    pub(crate) fn touches_strand(&self, strand: LaneNo) -> bool {
        self.gates_of(strand).next().is_some()
    }

    /// The lane of a strand; a lane is its own.
    pub(crate) fn lane_of(&self, strand: LaneNo) -> Option<LaneNo> {
        if (strand.0 as i32) >= 0 { Some(strand) } else { self.strands.get(&strand).map(|it| it.lane) }
    }

    /// The keys of a strand; `None`: it is a lane, or not known.
    pub(crate) fn keys_of(&self, strand: LaneNo) -> Option<&Arc<[Box<str>]>> {
        self.strands.get(&strand).map(|it| &it.keys)
    }

    /// The strand of tasks with these keys, if it has a number.
    pub(crate) fn strand_no<'k>(
        &self,
        lane: LaneNo,
        tenant: &str,
        keys: impl Iterator<Item = &'k str>,
    ) -> Option<LaneNo> {
        self.by_digest.get(&(lane, digest(tenant, keys))).copied()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.strands.len()
    }

    fn strand_for(&self, lane: Option<LaneNo>, new: &NewTask) -> Option<&Arc<Strand>> {
        let keys = new.limits.iter().map(|it| &*it.key);
        self.strands.get(&self.strand_no(lane?, &new.scope.tenant, keys)?)
    }

    /// Whether the strand of this task has a number.
    pub(crate) fn is_numbered(&self, lane: Option<LaneNo>, new: &NewTask) -> bool {
        self.strand_for(lane, new).is_some()
    }

    /// Whether the strand of this task has a number and nothing is to be said of its gates.
    pub(crate) fn is_known(&self, lane: Option<LaneNo>, new: &NewTask) -> bool {
        let is_said = |strand: &Arc<Strand>| {
            new.limits.iter().zip(&strand.gates).all(|(limit, gate)| !changes(self.own(*gate), limit))
        };
        self.strand_for(lane, new).is_some_and(is_said)
    }

    /// A lane and its strands.
    pub(crate) fn strands_of(&self, lane: LaneNo) -> impl Iterator<Item = LaneNo> + '_ {
        std::iter::once(lane).chain(self.of_lane.get(&lane).into_iter().flatten().copied())
    }

    /// The gates of keys that a strand passes.
    pub(crate) fn keyed(&self, strand: LaneNo) -> &[GateNo] {
        self.strands.get(&strand).map_or(&[], |it| &it.gates)
    }

    /// All gates that a strand passes, in the order of names.
    pub(crate) fn gates_of(&self, strand: LaneNo) -> impl Iterator<Item = GateNo> + '_ {
        let lane = self.lane_of(strand);
        let wide = lane.and_then(|lane| self.wide.get(&lane)).map_or(&[][..], |it| it);
        wide.iter().chain(self.keyed(strand)).copied()
    }

    /// The lanes whose tasks pass this gate of a key, each with its strands that do.
    pub(crate) fn passing(&self, gate: GateNo) -> Vec<(LaneNo, Vec<LaneNo>)> {
        let mut lanes: HashMap<LaneNo, Vec<LaneNo>> = HashMap::new();
        for strand in self.of_gate.get(&gate).into_iter().flatten() {
            let lane = self.lane_of(*strand).unwrap_or(*strand);
            lanes.entry(lane).or_default().push(*strand);
        }
        lanes.into_iter().collect()
    }

    /// Whether it is one of a queue or a type.
    pub(crate) fn is_wide(&self, gate: GateNo) -> bool {
        self.gates.get(&gate).is_some_and(|it| !matches!(it.name, GateName::Key { .. }))
    }

    pub(crate) fn gate_no(&self, name: &GateName) -> Option<GateNo> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn name(&self, gate: GateNo) -> Option<&GateName> {
        self.gates.get(&gate).map(|it| &it.name)
    }

    /// What was said of this gate itself.
    pub(crate) fn own(&self, gate: GateNo) -> Option<Definition> {
        self.gates.get(&gate)?.own
    }

    /// What holds at a gate of which `own` was said.
    pub(crate) fn in_force_over(&self, gate: GateNo, own: Option<Definition>) -> Option<Definition> {
        let stand_in = match &self.gates.get(&gate)?.name {
            GateName::Key { tenant, key } if **tenant != *EVERY_TENANT => self.stand_ins.get(key),
            _ => None,
        };
        gate::in_force(own, stand_in.and_then(|it| self.own(*it)))
    }

    /// What holds at a gate.
    pub(crate) fn in_force(&self, gate: GateNo) -> Option<Definition> {
        self.in_force_over(gate, self.own(gate))
    }

    /// What a gate lets through, if it does not let everything through.
    pub(crate) fn bounds(&self, gate: GateNo) -> Option<Bounds> {
        self.bounded.get(&gate).copied()
    }

    /// The gate itself and, of one that stands in for others, those.
    pub(crate) fn stood_in_by(&self, gate: GateNo) -> Vec<GateNo> {
        match self.name(gate) {
            Some(GateName::Key { tenant, key }) if **tenant == *EVERY_TENANT => {
                let is_of = |name: &GateName| matches!(name, GateName::Key { key: of, .. } if of == key);
                self.gates.iter().filter(|(_, it)| is_of(&it.name)).map(|(no, _)| *no).collect()
            }
            _ => vec![gate],
        }
    }
}

/// Whether every task of this lane passes this gate of a queue or a type.
pub(crate) fn is_wide_of(name: &GateName, lane: &Lane) -> bool {
    !is_of_system(&lane.queue)
        && match name {
            GateName::Queue(queue) => *queue == lane.queue,
            GateName::Type(task_type) => *task_type == lane.task_type,
            GateName::Key { .. } => false,
        }
}

/// Whether what a task says of a gate changes what was said of it.
pub(crate) fn changes(own: Option<Definition>, limit: &Limit) -> bool {
    let said = Definition::of_task(limit.bounds);
    match own {
        None => true,
        Some(own) => limit.bounds != Bounds::default() && own.yields_to(said.set_by) && own != said,
    }
}

/// Of a tenant and keys.
pub(crate) fn digest<'k>(tenant: &str, keys: impl Iterator<Item = &'k str>) -> u128 {
    let mut hash = Xxh3::new();
    let mut add = |part: &str| {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    };
    add(tenant);
    keys.for_each(add);
    hash.digest128()
}
