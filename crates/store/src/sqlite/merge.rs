//! What starts next of lanes that tenants share. Each lane goes by its places; between lanes the age of what could start
//! first in each counts, so that no lane's turns, which say nothing of time, set it before or behind another.

use super::error::Result;
use super::names::LaneNo;
use super::sql::Sql;
use super::strands::StrandNo;
use super::takeable::{FEW, Gating, Place, Takeable};

/// What could start first in a lane.
struct First {
    lane: LaneNo,
    strand: StrandNo,
    /// Its place with its age in it.
    age: Place,
}

impl Takeable {
    /// [`Takeable::take`] of lanes of which tenants share some: `most`, and how much to read of one at a time.
    pub(super) fn take_by_age(
        &mut self,
        sql: &mut Sql<'_>,
        gating: &mut Gating<'_>,
        lanes: &[LaneNo],
        (most, wanted): (usize, usize),
    ) -> Result<Vec<(StrandNo, Place)>> {
        let (mut taken, mut firsts) = (Vec::new(), Vec::with_capacity(lanes.len()));
        let is_only_one = lanes.len() == 1;
        for lane in lanes {
            firsts.extend(self.first_open(sql, gating, *lane, (wanted, is_only_one))?);
        }
        while taken.len() < most
            && let Some(at) = (0..firsts.len()).min_by_key(|at| firsts[*at].age)
        {
            let First { lane, strand, .. } = firsts[at];
            let Some(place) = self.pop(strand) else { break };
            gating.reserve(strand);
            self.shortened(sql, gating.strands, strand)?;
            taken.push((strand, place));
            let fills = gating.strands.gates_of(strand).any(|gate| gating.gauges.room(gate, gating.now) == 0);
            if !fills {
                match self.first_open(sql, gating, lane, (wanted, is_only_one))? {
                    Some(next) => firsts[at] = next,
                    None => drop(firsts.swap_remove(at)),
                }
                continue;
            }
            // What stood first in other lanes may pass the same gate.
            for First { lane, .. } in std::mem::take(&mut firsts) {
                firsts.extend(self.first_open(sql, gating, lane, (wanted, is_only_one))?);
            }
        }
        gating.gauges.unreserve();
        Ok(taken)
    }

    /// The first of a lane whose gates have room; strands before it are parked. Its age counts only beside other lanes.
    fn first_open(
        &mut self,
        sql: &mut Sql<'_>,
        gating: &Gating<'_>,
        lane: LaneNo,
        (wanted, is_only_one): (usize, bool),
    ) -> Result<Option<First>> {
        if gating.is_shut(lane) {
            return Ok(None);
        }
        let plain = StrandNo::plain(lane);
        loop {
            let first = self.peek(sql, plain, wanted)?.map(|place| (place, plain));
            let Some((place, strand)) = first.into_iter().chain(self.heads.first(lane)).min() else { return Ok(None) };
            if strand.index().is_some() {
                if self.park_if_full(gating, strand) {
                    continue;
                }
                if self.peek(sql, strand, FEW)?.is_none() {
                    self.shortened(sql, gating.strands, strand)?;
                    continue;
                }
            }
            let is_shared = !is_only_one && gating.names.is_shared(lane);
            let rank = if is_shared { sql.rank_of(place.seq)?.unwrap_or(place.rank) } else { place.rank };
            return Ok(Some(First { lane, strand, age: Place { rank, ..place } }));
        }
    }

    /// The first and the last place of this urgency in a lane.
    pub(crate) fn ends(&mut self, sql: &mut Sql<'_>, lane: LaneNo, urgency: i32) -> Result<Option<(i64, i64)>> {
        self.write(sql)?;
        let mut ends: Option<(i64, i64)> = None;
        let strands: Vec<StrandNo> =
            [StrandNo::plain(lane)].into_iter().chain(self.heads.of_lane(lane).map(|(_, strand)| strand)).collect();
        for strand in strands {
            // What was taken is no end of what stands.
            self.cut(sql, strand)?;
            if let Some((first, last)) = sql.takeable_ends(strand, urgency)? {
                ends = Some(ends.map_or((first, last), |(least, most)| (least.min(first), most.max(last))));
            }
        }
        Ok(ends)
    }
}
