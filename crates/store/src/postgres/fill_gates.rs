//! Gates and strands of a store that goes into a database. The strands are those of its tasks.

use std::collections::HashMap;

use tasklane_core::gate::{GateName, Starts};
use tasklane_core::task::Facts;
use tasklane_core::time::Timestamp;

use super::define::{NewStrand, put_gates, put_strands};
use super::error::{Fault, Result};
use super::fill::Fill;
use super::gate::KEEP_STARTS;
use crate::encoding::{LaneNo, gate as coded};
use crate::promote::rows::{GateRow, TaskRow};

impl Fill {
    /// Writes gates.
    pub(super) async fn gates(&mut self, rows: &[GateRow]) -> Result<()> {
        let said: Vec<_> = rows.iter().map(|row| (&row.name, row.definition)).collect();
        put_gates(&self.session, &said, Timestamp::EPOCH).await?;
        self.names.read_on(&self.session).await?;
        let (mut numbers, mut starts) = (Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| row.starts != Starts::default()) {
            let unnumbered = || Fault::damaged("a gate that was just written is not there");
            numbers.push(self.names.strands.gate_no(&row.name).ok_or_else(unnumbered)?.0);
            starts.push(coded::text(&row.starts)?);
        }
        // Whoever promotes first looks at all rates.
        let opens = vec![Some(0_i64); numbers.len()];
        if numbers.is_empty() { Ok(()) } else { self.session.run(&KEEP_STARTS, &[&numbers, &starts, &opens]).await }
    }

    /// Numbers the strands of these tasks, and the gates of their keys that nothing is known of.
    pub(super) async fn strands(&mut self, rows: &[TaskRow]) -> Result<()> {
        let keyed = || rows.iter().map(|row| &row.task.facts).filter(|facts| !facts.gates.is_empty());
        let unnamed = keyed().flat_map(keys_of).filter(|name| self.names.strands.gate_no(name).is_none());
        let unnamed: HashMap<GateName, ()> = unnamed.map(|name| (name, ())).collect();
        if !unnamed.is_empty() {
            let said: Vec<_> = unnamed.keys().map(|name| (name, None)).collect();
            put_gates(&self.session, &said, Timestamp::EPOCH).await?;
            self.names.read_on(&self.session).await?;
        }
        let mut new = Vec::new();
        for facts in keyed() {
            let unnumbered = || Fault::damaged("a task of a lane or gate that has no number");
            let lane = self.names.lane_no(&facts.lane).ok_or_else(unnumbered)?;
            if self.strand_of(facts, lane).is_none() {
                let gates = keys_of(facts).map(|name| self.names.strands.gate_no(&name)).collect::<Option<Vec<_>>>();
                let (tenant, keys) = (facts.scope.tenant.clone(), facts.gates.clone());
                new.push(NewStrand { lane, tenant, keys, gates: gates.ok_or_else(unnumbered)? });
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        put_strands(&self.session, new).await?;
        self.names.read_on(&self.session).await
    }

    pub(super) fn strand_of(&self, facts: &Facts, lane: LaneNo) -> Option<LaneNo> {
        self.names.strand_no(lane, &facts.scope, &facts.gates)
    }

    /// A running task of this strand holds slots.
    pub(super) fn holds(&mut self, strand: LaneNo) {
        for gate in self.names.strands.keyed(strand) {
            *self.held.entry(*gate).or_default() += 1;
        }
    }
}

/// The gates of a task's keys.
fn keys_of(facts: &Facts) -> impl Iterator<Item = GateName> + '_ {
    facts.passes().filter(|name| matches!(name, GateName::Key { .. }))
}
