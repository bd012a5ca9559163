//! What is said of gates, and the numbers of strands. Both grow by one commit at a time, in the turn of the names, so that
//! whoever can read a word about gates can read every earlier one.

use std::collections::BTreeMap;
use std::sync::Arc;

use tasklane_core::accept::NewTask;
use tasklane_core::gate::{Definition, GateName, Limit, SetGate};
use tasklane_core::ports::store::Batch;
use tasklane_core::task::{Lane, Scope};
use tasklane_core::time::Timestamp;
use tokio_postgres::types::Type;

use super::error::{Fault, Result};
use super::session::{Session, Statement};
use super::strands::{GateNo, changes, digest};
use super::tx::Tx;
use crate::encoding::{LaneNo, gate as coded};

/// Says it, as the next word about gates. Whoever promotes looks at their rates anew.
const DEFINE: Statement = Statement {
    sql: "WITH said AS (UPDATE tasklane.facts SET value = value + 1 WHERE name = 'gates' RETURNING value)
          INSERT INTO tasklane.gates AS g (kind, tenant, key, set_by, bounds, version)
          SELECT u.kind, u.tenant, u.key, u.set_by, u.bounds, said.value
          FROM unnest($1::smallint[], $2::text[], $3::text[], $4::smallint[], $5::text[]) AS u(kind, tenant, key, set_by, bounds), said
          ON CONFLICT (kind, tenant, key) DO UPDATE SET set_by = excluded.set_by, bounds = excluded.bounds,
            version = excluded.version, opens = CASE WHEN g.starts IS NOT NULL THEN $6 END",
    types: &[
        Type::INT2_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT2_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT8,
    ],
};

/// Forgets what was said, with the starts; the number stays.
const REMOVE: Statement = Statement {
    sql: "WITH said AS (UPDATE tasklane.facts SET value = value + 1 WHERE name = 'gates' RETURNING value)
          UPDATE tasklane.gates SET set_by = NULL, bounds = '{}', starts = NULL, opens = NULL, version = said.value
          FROM said WHERE no = $1",
    types: &[Type::INT4],
};

/// Whoever promotes looks at the rates of these anew.
const LOOK_AT: Statement = Statement {
    sql: "UPDATE tasklane.gates SET opens = $2 WHERE no = ANY($1) AND starts IS NOT NULL",
    types: &[Type::INT4_ARRAY, Type::INT8],
};

const ADD_STRANDS: Statement = Statement {
    sql: "WITH said AS (UPDATE tasklane.facts SET value = value + 1 WHERE name = 'gates' RETURNING value)
          INSERT INTO tasklane.strands (lane, tenant, keys, gates, digest, version)
          SELECT u.lane, u.tenant, u.keys, u.gates::int[], u.digest, said.value
          FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bytea[]) AS u(lane, tenant, keys, gates, digest), said",
    types: &[Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::BYTEA_ARRAY],
};

/// Gates and what is said of them.
pub(super) type Said<'s> = [(&'s GateName, Option<Definition>)];

/// Says what gates let through, as of `now`.
pub(super) async fn put_gates(session: &Session, said: &Said<'_>, now: Timestamp) -> Result<()> {
    let (mut kinds, mut tenants, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    let (mut set_by, mut bounds) = (Vec::new(), Vec::new());
    for (name, definition) in said {
        let (kind, tenant, key) = coded::columns(name);
        kinds.push(kind);
        tenants.push(tenant);
        keys.push(key);
        set_by.push(definition.map(|it| coded::set_by_code(it.set_by)));
        bounds.push(coded::text(&definition.map(|it| it.bounds).unwrap_or_default())?);
    }
    session.run(&DEFINE, &[&kinds, &tenants, &keys, &set_by, &bounds, &now.as_micros()]).await
}

/// A strand that has no number yet.
pub(super) struct NewStrand {
    pub lane: LaneNo,
    pub tenant: Box<str>,
    pub keys: Arc<[Box<str>]>,
    /// Of these keys, in their order.
    pub gates: Vec<GateNo>,
}

impl NewStrand {
    fn digest(&self) -> u128 {
        digest(&self.tenant, self.keys.iter().map(|key| &**key))
    }
}

/// Numbers these strands, each once.
pub(super) async fn put_strands(session: &Session, strands: Vec<NewStrand>) -> Result<()> {
    let new: BTreeMap<(LaneNo, u128), NewStrand> =
        strands.into_iter().map(|strand| ((strand.lane, strand.digest()), strand)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let lanes: Vec<i32> = new.keys().map(|(lane, _)| lane.0 as i32).collect();
    let digests: Vec<Vec<u8>> = new.keys().map(|(_, digest)| digest.to_be_bytes().to_vec()).collect();
    let tenants: Vec<&str> = new.values().map(|it| &*it.tenant).collect();
    let keys = new.values().map(|it| Ok(coded::text(&it.keys.iter().collect::<Vec<_>>())?));
    let keys = keys.collect::<Result<Vec<String>>>()?;
    let list = |gates: &[GateNo]| gates.iter().map(|it| it.0.to_string()).collect::<Vec<_>>().join(",");
    let gates: Vec<String> = new.values().map(|it| format!("{{{}}}", list(&it.gates))).collect();
    session.run(&ADD_STRANDS, &[&lanes, &tenants, &keys, &gates, &digests]).await
}

/// A new task that has something to say of gates, or whose strand has no number.
pub(super) struct Limited {
    lane: Arc<Lane>,
    scope: Arc<Scope>,
    limits: Arc<[Limit]>,
}

impl Limited {
    pub(super) fn of(new: &NewTask) -> Self {
        let (lane, scope) = (Arc::clone(&new.lane), Arc::clone(&new.scope));
        Self { lane, scope, limits: Arc::clone(&new.limits) }
    }

    /// The gates it names, with what it says of each.
    fn names(&self) -> impl Iterator<Item = (GateName, &Limit)> {
        let name = |limit: &Limit| GateName::Key { tenant: self.scope.tenant.clone(), key: limit.key.clone() };
        self.limits.iter().map(move |limit| (name(limit), limit))
    }
}

fn unnumbered() -> Fault {
    Fault::damaged("a lane or gate that was just numbered has no number")
}

impl Tx<'_> {
    /// What callers say of gates; the records that follow may say more, and the turn is theirs too.
    pub(super) async fn gate_all(&mut self, batches: &[Batch]) -> Result<()> {
        let says_something = |it: &Batch| !it.gate.is_empty() || it.record.iter().any(|set| set.gate.is_some());
        if !batches.iter().any(says_something) {
            return Ok(());
        }
        self.take_names_turn().await?;
        self.read_names().await?;
        for (caller, batch) in batches.iter().enumerate() {
            self.caller = caller;
            for set in &batch.gate {
                let counts = self.set_gate(set).await?;
                self.answer().gate.push(counts);
            }
        }
        Ok(())
    }

    pub(super) async fn set_gate(&mut self, set: &SetGate) -> Result<bool> {
        let no = self.names.strands.gate_no(&set.name);
        let yields = no.and_then(|no| self.names.strands.own(no)).map(|own| own.yields_to(set.by));
        match (set.bounds, no) {
            (Some(bounds), _) if yields.unwrap_or(true) => {
                self.define(&[(&set.name, Some(Definition { bounds, set_by: set.by }))]).await?;
            }
            (None, Some(no)) if yields.unwrap_or(false) => {
                let stood_in = self.names.strands.stood_in_by(no);
                self.session.run(&REMOVE, &[&no.0]).await?;
                self.read_names().await?;
                self.open_anew(stood_in).await?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Says what gates let through. It is the names' turn, and no stronger word was said.
    async fn define(&mut self, said: &Said<'_>) -> Result<()> {
        put_gates(self.session, said, self.now).await?;
        self.read_names().await?;
        let gates: Vec<GateNo> = said.iter().filter_map(|(name, ..)| self.names.strands.gate_no(name)).collect();
        for gate in gates {
            let stood_in = self.names.strands.stood_in_by(gate);
            self.open_anew(stood_in).await?;
        }
        Ok(())
    }

    /// Of these gates something else holds now.
    async fn open_anew(&mut self, gates: Vec<GateNo>) -> Result<()> {
        if gates.len() > 1 {
            let others: Vec<i32> = gates.iter().map(|it| it.0).collect();
            self.session.run(&LOOK_AT, &[&others, &self.now.as_micros()]).await?;
        }
        gates.into_iter().for_each(|gate| self.opens_anew(gate));
        self.will_be_due(Some(self.now));
        Ok(())
    }

    /// What accepted tasks say of the gates they name, in their order; and their strands. It is the names' turn.
    pub(super) async fn name_gates(&mut self, limited: &[Limited]) -> Result<()> {
        let mut said: BTreeMap<GateName, Definition> = BTreeMap::new();
        for (name, limit) in limited.iter().flat_map(Limited::names) {
            let stands = || self.names.strands.own(self.names.strands.gate_no(&name)?);
            if changes(said.get(&name).copied().or_else(stands), limit) {
                said.insert(name, Definition::of_task(limit.bounds));
            }
        }
        let said: Vec<_> = said.iter().map(|(name, it)| (name, Some(*it))).collect();
        if !said.is_empty() {
            self.define(&said).await?;
        }
        self.add_strands(limited).await
    }

    async fn add_strands(&mut self, limited: &[Limited]) -> Result<()> {
        let mut new = Vec::new();
        for one in limited {
            let lane = self.names.lane_no(&one.lane).ok_or_else(unnumbered)?;
            let keys = Limit::keys(&one.limits);
            if self.names.strand_no(lane, &one.scope, &keys).is_none() {
                let gates = one.names().map(|(name, _)| self.names.strands.gate_no(&name)).collect::<Option<Vec<_>>>();
                let gates = gates.ok_or_else(unnumbered)?;
                new.push(NewStrand { lane, tenant: one.scope.tenant.clone(), keys, gates });
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        put_strands(self.session, new).await?;
        self.read_names().await
    }
}
