//! What the writer keeps in memory. All of it can be read from the file again, and is after a commit that failed.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use rusqlite::{Connection, OptionalExtension};
use tasklane_core::event::Position;
use tasklane_core::fair::{Fairness, Turns};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::counters::{COUNTED_TO, Counters};
use super::error::{Fault, Result};
use super::gauges::Gauges;
use super::keys;
use super::names::{LaneNo, Names};
use super::notes::Tallies;
use super::row::{COLUMNS, Kept};
use super::running::{GrantBody, Registry, is_current};
use super::seqs::unpack;
use super::strands::StrandNo;
use super::sweep::Cursor;
use super::takeable::{Place, Takeable};
use foldhash::fast::RandomState as ById;

/// The writer's memory.
pub(crate) struct Live {
    pub names: Names,
    pub counters: Counters,
    pub takeable: Takeable,
    pub running: Registry,
    pub gauges: Gauges,
    pub fairness: Fairness,
    /// Of lanes and priorities.
    pub turns: HashMap<(LaneNo, i32), Turns, ById>,
    pub tallies: Tallies,
    pub position: Position,
    pub next_seq: i64,
    /// No stored id is greater.
    pub greatest: Option<TaskId>,
    /// Whether there are idempotency or unique keys at all.
    pub keys: bool,
    /// The first moment in the table `due`.
    pub due: Option<Timestamp>,
    pub sweep: Cursor,
    pub commits: u64,
    /// About how many bytes the event log has: after a crash it lacks what was added since the counters were written.
    pub log_bytes: u64,
    /// Which opening of the file this is.
    pub opening: Opening,
}

/// A number that no other opening of the file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opening(pub i64);

impl Opening {
    /// A new one, at random: it need not be secret.
    pub(crate) fn draw() -> Self {
        Self(RandomState::new().hash_one(std::process::id()) as i64)
    }
}

/// The fact that says how large the event log is.
pub(crate) const LOG_SIZE: &str = "log_bytes";

impl Live {
    pub(crate) fn load(db: &Connection, opening: Opening, fairness: Fairness) -> Result<Self> {
        let names = Names::load(db)?;
        let position = Position(db.query_row("SELECT coalesce(max(position), 0) FROM log", [], u64_of)?);
        let counters = Counters::load(db, Position(fact(db, COUNTED_TO)?.unwrap_or(0) as u64))?;
        let queued = counters.each().map(|(lane, _, counts)| (lane, counts.of(State::Queued)));
        let cuts = cuts(db)?;
        let takeable = Takeable::load(queued, &names.strands, load_keyed(db, &cuts)?, cuts);
        let last_seq: i64 = db.query_row("SELECT coalesce(max(seq), 0) FROM tasks", [], |row| row.get(0))?;
        // A grant may still name a task that is gone: another of its number would be taken for it.
        let granted = grants(db, &names)?.into_iter().flat_map(|(_, grant)| grant.tasks).map(|(seq, _)| seq).max();
        let greatest = db.query_row("SELECT max(id) FROM tasks", [], |row| row.get::<_, Option<[u8; 16]>>(0))?;
        let due = db.query_row("SELECT min(at) FROM due", [], |row| row.get::<_, Option<i64>>(0))?;
        let running = load_running(db, &names, opening)?;
        let mut gauges = Gauges::load(db, &names.strands)?;
        for kept in running.all() {
            names.strands.gates_of(kept.strand).for_each(|gate| gauges.enter(gate));
        }
        Ok(Self {
            gauges,
            fairness,
            turns: turns(db)?,
            counters,
            takeable,
            running,
            tallies: Tallies::default(),
            position,
            next_seq: granted.unwrap_or(0).max(last_seq) + 1,
            greatest: greatest.map(TaskId::from_bytes),
            keys: keys::any(db)?,
            due: due.map(Timestamp::from_micros),
            sweep: Cursor::default(),
            commits: 0,
            log_bytes: fact(db, LOG_SIZE)?.unwrap_or(0) as u64,
            names,
            opening,
        })
    }

    /// No stored stamp is later.
    pub(crate) fn last_stamp(db: &Connection) -> Result<Option<Timestamp>> {
        let last = db.query_row("SELECT at FROM log ORDER BY position DESC LIMIT 1", [], |row| row.get(0));
        Ok(last.optional()?.map(Timestamp::from_micros))
    }
}

fn u64_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(0)? as u64)
}

/// A number kept under a name.
pub(crate) fn fact(db: &Connection, name: &str) -> Result<Option<i64>> {
    Ok(db.query_row("SELECT value FROM facts WHERE name = ?", [name], |row| row.get(0)).optional()?)
}

/// Every grant in the table `leases`.
pub(crate) fn grants(db: &Connection, names: &Names) -> Result<Vec<(u64, GrantBody)>> {
    let mut rows = db.prepare("SELECT no, body FROM leases ORDER BY no")?;
    let mut rows = rows.query([])?;
    let mut grants = Vec::new();
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_blob().map_err(|error| Fault::damaged(error.to_string()))?;
        grants.push((u64_of(row)?, GrantBody::decode(body, |no| names.worker(no).cloned())?));
    }
    Ok(grants)
}

/// The grants to workers in the server itself.
pub(crate) fn inside(db: &Connection) -> Result<BTreeSet<u64>> {
    let mut rows = db.prepare("SELECT no FROM leases WHERE inside IS NOT NULL")?;
    let grants = rows.query_map([], u64_of)?;
    Ok(grants.collect::<rusqlite::Result<_>>()?)
}

/// How far strands were taken whose rows still hold what was taken.
pub(crate) fn cuts(db: &Connection) -> Result<HashMap<StrandNo, Place>> {
    let mut rows = db.prepare("SELECT lane, urgency, rank, seq FROM cuts")?;
    let cuts = rows.query_map([], |row| {
        let last = Place { urgency: row.get(1)?, rank: row.get(2)?, seq: row.get(3)? };
        Ok((StrandNo(row.get(0)?), last))
    })?;
    Ok(cuts.collect::<rusqlite::Result<_>>()?)
}

/// How far one was taken.
pub(crate) fn cut_of(db: &Connection, strand: StrandNo) -> Result<Option<Place>> {
    let mut find = db.prepare_cached("SELECT urgency, rank, seq FROM cuts WHERE lane = ?")?;
    let place = |row: &rusqlite::Row<'_>| Ok(Place { urgency: row.get(0)?, rank: row.get(1)?, seq: row.get(2)? });
    Ok(find.query_row([strand.0], place).optional()?)
}

/// The strands with keys that have anything queued: the first place of each, and how many.
fn load_keyed(db: &Connection, cuts: &HashMap<StrandNo, Place>) -> Result<Vec<(StrandNo, Place, u64)>> {
    let mut rows = db.prepare(
        "SELECT lane, urgency, rank, first, seqs FROM takeable WHERE lane >= ? ORDER BY lane, urgency, rank, first",
    )?;
    let mut rows = rows.query([StrandNo::KEYED])?;
    let mut keyed: Vec<(StrandNo, Place, u64)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (strand, urgency, rank) = (StrandNo(row.get(0)?), row.get(1)?, row.get(2)?);
        let packed = row.get_ref(4)?.as_blob().map_err(|error| Fault::damaged(error.to_string()))?;
        let mut seqs = unpack(row.get(3)?, packed)?;
        if let Some(cut) = cuts.get(&strand) {
            seqs.retain(|seq| Place { urgency, rank, seq: *seq } > *cut);
        }
        let Some(seq) = seqs.first().copied() else { continue };
        let queued = seqs.len() as u64;
        match keyed.last_mut() {
            Some((last, _, known)) if *last == strand => *known += queued,
            _ => keyed.push((strand, Place { urgency, rank, seq }, queued)),
        }
    }
    Ok(keyed)
}

/// Calls `each` with every running task, its grant and the place in the grant.
fn load_running(db: &Connection, names: &Names, opening: Opening) -> Result<Registry> {
    let mut registry = Registry::default();
    let mut find = db.prepare(&format!("SELECT {COLUMNS} FROM tasks WHERE seq = ?"))?;
    for (no, grant) in grants(db, names)? {
        let mut ids = Vec::new();
        for (index, (seq, attempt)) in grant.tasks.iter().enumerate() {
            let mut rows = find.query([seq])?;
            let Some(row) = rows.next()? else { continue };
            let mut kept = match Kept::read(row, names) {
                Err(Fault::Damaged(cause)) => {
                    tracing::error!(seq, cause, "a running task cannot be read; its lease is forgotten");
                    continue;
                }
                kept => kept?,
            };
            if !is_current(&kept.task, *attempt) {
                continue;
            }
            resume(&mut kept, &grant, index);
            kept.grant = no;
            ids.push(kept.task.facts.id);
            registry.put(Box::new(kept));
        }
        if ids.is_empty() {
            db.execute("DELETE FROM leases WHERE no = ?", [no as i64])?;
        }
        registry.put_grant(no, ids, grant.started_at);
    }
    let mut cut_off = db.prepare("SELECT no FROM leases WHERE inside <> ?")?;
    let mut cut_off = cut_off.query([opening.0])?;
    while let Some(row) = cut_off.next()? {
        registry.cut_off(u64_of(row)?);
    }
    Ok(registry)
}

/// Makes a task read from its row what it is: running under the lease at `index` of `grant`.
pub(crate) fn resume(kept: &mut Kept, grant: &GrantBody, index: usize) {
    let lease = grant.lease(index);
    kept.token = lease.token;
    if kept.task.facts.state == State::Running {
        kept.task.facts.lease = Some(lease);
    } else {
        kept.task.start(Some(&grant.worker), lease, grant.started_at);
        (kept.worker, kept.settled) = (grant.worker_no, None);
    }
}

/// How far turns have come.
fn turns(db: &Connection) -> Result<HashMap<(LaneNo, i32), Turns, ById>> {
    let mut find = db.prepare("SELECT lane, urgency, front FROM turns")?;
    let of = |row: &rusqlite::Row<'_>| {
        let (lane, urgency): (u32, i32) = (row.get(0)?, row.get(1)?);
        Ok(((LaneNo(lane), -urgency), Turns::at(row.get(2)?)))
    };
    Ok(find.query_map([], of)?.collect::<rusqlite::Result<_>>()?)
}
