//! The room of gates whose stripes are locked. Of most of them what is known of slots tells it. Of those with a rate the row
//! is asked, as it says when tasks started; of those of queues and types the counters are.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use tasklane_core::gate::{self, Bounds, Definition, Starts};
use tasklane_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::counters::RUNNING_IN;
use super::error::Result;
use super::session::Statement;
use super::strands::GateNo;
use super::tx::Tx;
use crate::encoding::{LaneNo, gate as coded};

/// Gates whose rows nobody else writes. Nobody waits.
pub(crate) const LOCK_GATES: Statement = Statement {
    sql: "SELECT no, set_by, bounds, starts FROM tasklane.gates WHERE no = ANY($1) ORDER BY no FOR UPDATE SKIP LOCKED",
    types: &[Type::INT4_ARRAY],
};

/// A gate that this commit asked for.
pub(crate) enum Room {
    /// Another commit writes its row.
    Busy,
    Mine(Mine),
}

/// A gate that is this commit's.
pub(crate) struct Mine {
    pub bounds: Bounds,
    pub running: i64,
    pub starts: Starts,
    pub taken: bool,
    /// What had been heard of gates before it was counted.
    pub word: u64,
}

impl Mine {
    pub(crate) fn room(&self, at: Timestamp) -> usize {
        gate::room(&self.bounds, self.running.max(0).unsigned_abs(), &self.starts, at) as usize
    }

    pub(crate) fn opens_at(&self, at: Timestamp) -> Option<Timestamp> {
        self.bounds.rate.and_then(|rate| self.starts.opens_at(rate, at))
    }
}

impl Tx<'_> {
    /// Whether its room is to be asked for.
    fn is_asked(&self, gate: GateNo, bounds: Bounds) -> bool {
        bounds.rate.is_some() || self.names.strands.is_wide(gate)
    }

    /// How many more tasks a gate lets through; `None`: it is to be asked for. None where its stripe is not locked.
    pub(super) fn room(&self, gate: GateNo) -> Option<usize> {
        match self.gates.rooms.get(&gate) {
            Some(Room::Mine(mine)) => return Some(mine.room(self.now)),
            Some(Room::Busy) => return Some(0),
            None => {}
        }
        let bounds = self.names.strands.bounds(gate).unwrap_or_default();
        if !self.gates.held.has(gate) {
            return Some(0);
        }
        if self.is_asked(gate, bounds) {
            return None;
        }
        let running = self.running(gate).max(0).unsigned_abs();
        Some(gate::room(&bounds, running, &Starts::default(), self.now) as usize)
    }

    /// How many tasks run that pass a gate of a key.
    fn running(&self, gate: GateNo) -> i64 {
        self.shared.slots.held(&self.gates.held, gate) + self.gates.changed.get(&gate).copied().unwrap_or(0)
    }

    /// Asks for gates: what there is of them is this commit's until it is over.
    pub(super) async fn ask_for(&mut self, gates: &[GateNo]) -> Result<()> {
        let word = self.shared.fullness.lock().unwrap_or_else(PoisonError::into_inner).word();
        let numbers: Vec<i32> = gates.iter().map(|it| it.0).collect();
        let locked = self.session.rows(&LOCK_GATES, &[&numbers]).await?;
        let mut running = gates.iter().map(|gate| (*gate, self.running(*gate))).collect();
        self.count_wide(gates, &mut running).await?;
        for gate in gates {
            self.gates.rooms.insert(*gate, Room::Busy);
        }
        for row in &locked {
            let gate = GateNo(row.try_get(0)?);
            let mine = self.mine(row, gate, running.get(&gate).copied().unwrap_or(0), word)?;
            self.gates.rooms.insert(gate, Room::Mine(mine));
        }
        Ok(())
    }

    fn mine(&self, row: &Row, gate: GateNo, running: i64, word: u64) -> Result<Mine> {
        let set_by = row.try_get::<_, Option<i16>>(1)?.map(coded::set_by).transpose()?;
        let bounds: Bounds = coded::read(row.try_get(2)?)?;
        let own = set_by.map(|set_by| Definition { bounds, set_by });
        let bounds = self.names.strands.in_force_over(gate, own).map(|it| it.bounds).unwrap_or_default();
        let starts: Option<&str> = row.try_get(3)?;
        let starts = starts.map_or_else(|| Ok(Starts::default()), coded::read)?;
        Ok(Mine { bounds, running, starts, taken: false, word })
    }

    /// Of gates of queues and types the counters tell how many run.
    async fn count_wide(&mut self, gates: &[GateNo], running: &mut HashMap<GateNo, i64>) -> Result<()> {
        let names = Arc::clone(&self.names);
        let wide: Vec<GateNo> = gates.iter().copied().filter(|gate| names.strands.is_wide(*gate)).collect();
        if wide.is_empty() {
            return Ok(());
        }
        let lanes_of: Vec<(GateNo, Vec<LaneNo>)> =
            wide.iter().map(|gate| (*gate, names.passing(*gate).into_iter().map(|(lane, _)| lane).collect())).collect();
        let lanes: Vec<i32> = lanes_of.iter().flat_map(|(_, lanes)| lanes).map(|lane| lane.0 as i32).collect();
        let mut counted: HashMap<LaneNo, i64> = HashMap::new();
        for row in self.session.rows(&RUNNING_IN, &[&lanes]).await? {
            counted.insert(LaneNo(row.try_get::<_, i32>(0)? as u32), row.try_get(1)?);
        }
        for (gate, lanes) in lanes_of {
            let committed: i64 = lanes.iter().filter_map(|lane| counted.get(lane)).sum();
            let own = self.running_in(&lanes);
            running.insert(gate, committed + own);
        }
        Ok(())
    }
}
