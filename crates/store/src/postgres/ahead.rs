//! What was read of a strand and not taken: its first tasks, in their order. A lease that goes on there reads nothing. It is
//! as good as what was read, until something comes in before its end or somebody else took of it.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;
use uuid::Uuid;

use super::bounds::{Bounds, Look};
use super::standing::{Place, Ranges};
use crate::encoding::LaneNo;

/// Most tasks that are remembered; then all are forgotten.
const AHEAD: usize = 100_000;

/// A queued task as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next {
    pub place: Place,
    pub id: Uuid,
    /// When it ends by itself.
    pub due: Option<i64>,
    pub rank: i64,
}

/// The first tasks of a strand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub tasks: VecDeque<Next>,
    /// Nothing stands behind the last.
    pub is_whole: bool,
}

impl Line {
    /// Whether it tells as much as is wanted.
    pub(crate) fn tells(&self, wanted: usize) -> bool {
        self.is_whole || self.tasks.len() >= wanted
    }

    /// Something came in: what stands behind that is no longer known.
    pub(crate) fn let_in(&mut self, came: &Ranges) {
        let Some((urgency, (rank, _))) = came.first_key_value() else { return };
        let first = (*urgency, *rank);
        self.tasks.truncate(self.tasks.partition_point(|it| it.place < first));
        self.is_whole = false;
    }

    /// A task of it was taken.
    pub(crate) fn took(&mut self, id: Uuid) {
        match self.tasks.front() {
            Some(first) if first.id == id => drop(self.tasks.pop_front()),
            _ => self.tasks.retain(|it| it.id != id),
        }
    }
}

impl Bounds {
    /// What was read of a strand before and not taken.
    pub(crate) fn ahead(&self, strand: LaneNo) -> Option<&Line> {
        self.lanes.get(&strand)?.ahead.as_ref()
    }

    /// Remembers what a look read, unless something came in meanwhile.
    pub(crate) fn remember(&mut self, look: &Look, mut lines: HashMap<LaneNo, Line, RandomState>) {
        if self.ahead > AHEAD {
            self.lanes.values_mut().for_each(|known| known.ahead = None);
            self.ahead = 0;
        }
        for seen in &look.lanes {
            let Some(line) = lines.remove(&seen.lane) else { continue };
            let known = self.lanes.get_mut(&seen.lane);
            if let Some(known) = known.filter(|it| (it.epoch, it.arrivals) == (seen.epoch, seen.arrivals)) {
                self.ahead += line.tasks.len();
                known.ahead = Some(line);
            }
        }
    }

    /// This task of a strand is taken.
    pub(crate) fn takes(&mut self, strand: LaneNo, id: Uuid) {
        if let Some(line) = self.lanes.get_mut(&strand).and_then(|it| it.ahead.as_mut()) {
            line.took(id);
        }
    }

    /// Somebody else took of this strand.
    pub(crate) fn forget_ahead(&mut self, strand: LaneNo) {
        if let Some(known) = self.lanes.get_mut(&strand) {
            known.ahead = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::postgres::bounds::{Arrivals, arrived};

    fn of(ranks: &[i64], is_whole: bool) -> Line {
        let next = |rank: &i64| Next { place: (0, *rank), id: Uuid::from_u128(*rank as u128), due: None, rank: *rank };
        Line { tasks: ranks.iter().map(next).collect(), is_whole }
    }

    #[test]
    fn what_comes_in_hides_what_stands_behind_it() {
        let came = |urgency, rank| Ranges::from([(urgency, (rank, rank + 7))]);
        for (urgency, rank, left) in [(0, 4, &[1_i64, 3][..]), (0, 3, &[1]), (0, 9, &[1, 3, 5]), (-1, 9, &[])] {
            let mut line = of(&[1, 3, 5], true);
            line.let_in(&came(urgency, rank));
            assert_eq!(line, of(left, false), "{urgency} {rank}");
        }
    }

    #[test]
    fn it_tells_what_was_read_and_not_taken() {
        let mut line = of(&[1, 3, 5], false);
        assert!(line.tells(3) && !line.tells(4));
        [3, 1].into_iter().for_each(|rank| line.took(Uuid::from_u128(rank)));
        assert_eq!(line, of(&[5], false));
        line.is_whole = true;
        assert!(line.tells(4));
    }

    #[test]
    fn a_strand_is_remembered_until_somebody_else_took_of_it_or_anything_may_have_happened() {
        const STRAND: LaneNo = LaneNo(7);
        let mut bounds = Bounds::default();
        let look = |bounds: &mut Bounds| bounds.plan_each(&[STRAND], &Arrivals::default(), Duration::ZERO).1;
        let read = || HashMap::from_iter([(STRAND, of(&[1, 3], false))]);
        let first = look(&mut bounds);
        bounds.remember(&first, read());
        bounds.takes(STRAND, Uuid::from_u128(1));
        assert_eq!(bounds.ahead(STRAND), Some(&of(&[3], false)));
        bounds.forget_ahead(STRAND);
        assert_eq!(bounds.ahead(STRAND), None);
        let before = look(&mut bounds);
        let mut came = Arrivals::default();
        arrived(&mut came, STRAND, (0, 2));
        bounds.arrived(&came);
        bounds.remember(&before, read());
        assert_eq!(bounds.ahead(STRAND), None, "something came in while it was read");
        let last = look(&mut bounds);
        bounds.remember(&last, read());
        bounds.arrived(&came);
        assert_eq!(bounds.ahead(STRAND), Some(&of(&[1], false)));
        bounds.forget();
        assert_eq!(bounds.ahead(STRAND), None);
    }
}
