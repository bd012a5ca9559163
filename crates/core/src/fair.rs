//! Fairness among tenants that share a lane, by turns: start-time fair queueing (Goyal, Vin and Cheng, 1996). Each task that
//! becomes queued gets a turn, behind the last one of its tenant and never before the turn that was leased last; the lane
//! goes by turns. So whoever has little there is served soon, whoever has much is served as fast as is left, and nobody is
//! charged for what nobody else wanted. Turns are counted anew in each lane and priority, and say nothing of time: between
//! lanes the age of what stands first counts ([`crate::task::Task::rank`]).
//!
//! A lane is shared from the first task of a named tenant on; before, it goes by age, and nothing of this is looked at. What
//! the system does is of no tenant.

use std::collections::{BTreeMap, HashMap};

use crate::limit;
use crate::queue::is_of_system;
use crate::task::{Lane, Task};
use crate::time::Timestamp;

/// What a task of a tenant of weight 1 costs: only the ratio to others counts.
const COST: f64 = 1_000_000.0;

/// How much of a lane a tenant gets beside others, 1 unless it is said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights(BTreeMap<Box<str>, f64>);

impl Weights {
    /// These tenants' weights, brought within [`limit::WEIGHT`].
    pub fn new(weights: impl IntoIterator<Item = (Box<str>, f64)>) -> Self {
        let (least, most) = limit::WEIGHT.into_inner();
        Self(weights.into_iter().map(|(tenant, weight)| (tenant, weight.clamp(least, most))).collect())
    }

    /// How far apart the turns of a tenant stand.
    pub fn cost(&self, tenant: &str) -> i64 {
        (COST / self.0.get(tenant).copied().unwrap_or(1.0)) as i64
    }
}

/// Whether tenants that share a lane take turns.
#[derive(Debug, Clone, PartialEq)]
pub enum Fairness {
    /// They do, by their weights.
    Turns(Weights),
    /// A lane goes by age, whoever's its tasks are.
    Age,
}

impl Default for Fairness {
    fn default() -> Self {
        Self::Turns(Weights::default())
    }
}

impl Fairness {
    /// The weights, where tasks of this lane take turns once it is shared.
    pub fn in_lane(&self, lane: &Lane) -> Option<&Weights> {
        match self {
            Self::Turns(weights) => Some(weights).filter(|_| !is_of_system(&lane.queue)),
            Self::Age => None,
        }
    }
}

/// What has to be looked up where memory does not tell it, as after a start.
pub trait Line {
    /// Why it could not be.
    type Error;
    /// The place of the first in line; `None`: nothing is queued.
    fn first(&mut self) -> Result<Option<i64>, Self::Error>;
    /// The place of the last in line.
    fn last(&mut self) -> Result<Option<i64>, Self::Error>;
    /// How many tasks of a tenant stand in the line, or in all of its lane.
    fn queued(&mut self, tenant: &str) -> Result<u64, Self::Error>;
}

impl Task {
    /// Where it stands in its lane, among those of its priority: by turn where tenants share the lane, else by age.
    pub fn place(&self) -> i64 {
        self.turn.unwrap_or(self.rank.as_micros())
    }
}

/// The turns of one lane and priority. A store keeps how far they have come, the front, for good; the rest is told by what is
/// queued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turns {
    /// The last one that was leased; before the first lease, of what stood first.
    front: Option<i64>,
    /// The last one of each tenant.
    tails: HashMap<Box<str>, i64>,
}

impl Turns {
    /// Turns that have come this far.
    pub fn at(front: i64) -> Self {
        Self { front: Some(front), tails: HashMap::new() }
    }

    /// How far they have come, if that is known: where who is new joins.
    pub fn front(&self) -> Option<i64> {
        self.front
    }

    /// Whether the last turn of this tenant is known.
    pub fn knows(&self, tenant: &str) -> bool {
        self.tails.contains_key(tenant)
    }

    /// The turn of a task of this tenant that becomes queued.
    ///
    /// # Errors
    /// What is not known could not be looked up.
    pub fn next<L: Line>(&mut self, tenant: &str, cost: i64, now: Timestamp, line: &mut L) -> Result<i64, L::Error> {
        let front = self.again(now, line)?;
        let tail = match self.tails.get(tenant) {
            Some(tail) => Some(*tail),
            None => tail(tenant, cost, front, line)?,
        };
        let turn = tail.map_or(front, |tail| front.max(tail.saturating_add(cost)));
        if self.tails.len() >= limit::TAILS {
            self.tails.clear();
        }
        match self.tails.get_mut(tenant) {
            Some(tail) => *tail = turn,
            None => drop(self.tails.insert(tenant.into(), turn)),
        }
        Ok(turn)
    }

    /// The turn of a task that comes back to where it stood: the next one, and nobody is charged.
    ///
    /// # Errors
    /// What is not known could not be looked up.
    pub fn again<L: Line>(&mut self, now: Timestamp, line: &mut L) -> Result<i64, L::Error> {
        let front = match self.front {
            Some(front) => front,
            // Turns begin at the time, so that those of whoever did not know yet that the lane is shared are near.
            None => line.first()?.unwrap_or(now.as_micros()),
        };
        self.front = Some(front);
        Ok(front)
    }

    /// A task of this place was leased.
    pub fn leased(&mut self, place: i64) {
        self.front = self.front.max(Some(place));
    }

    /// A task of this tenant that had a turn left the line without being leased: it is not charged for it.
    pub fn left(&mut self, tenant: &str, cost: i64) {
        if let Some(tail) = self.tails.get_mut(tenant) {
            *tail = tail.saturating_sub(cost);
        }
    }

    /// Only the front is known, as after a start.
    pub fn forget_tails(&mut self) {
        self.tails.clear();
    }
}

/// The last turn of a tenant of which only the line tells. Nobody's tasks may stand there from before the lane was shared,
/// in turns of their own.
fn tail<L: Line>(tenant: &str, cost: i64, front: i64, line: &mut L) -> Result<Option<i64>, L::Error> {
    match line.queued(tenant)? {
        0 => Ok(None),
        _ if tenant.is_empty() => line.last(),
        queued => {
            let behind = i64::try_from(queued - 1).unwrap_or(i64::MAX).saturating_mul(cost);
            Ok(Some(front.saturating_add(behind)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// What is queued: turn, number, tenant.
    #[derive(Default)]
    struct Queue(BTreeSet<(i64, usize, u8)>);

    impl Line for &Queue {
        type Error = Infallible;

        fn first(&mut self) -> Result<Option<i64>, Infallible> {
            Ok(self.0.first().map(|it| it.0))
        }

        fn last(&mut self) -> Result<Option<i64>, Infallible> {
            Ok(self.0.last().map(|it| it.0))
        }

        fn queued(&mut self, tenant: &str) -> Result<u64, Infallible> {
            Ok(self.0.iter().filter(|it| name(it.2) == tenant).count() as u64)
        }
    }

    fn name(tenant: u8) -> String {
        if tenant == 0 { String::new() } else { tenant.to_string() }
    }

    #[derive(Default)]
    struct Lane {
        turns: Turns,
        queue: Queue,
        weights: Weights,
        accepted: usize,
    }

    impl Lane {
        fn accept(&mut self, tenant: u8, many: usize) {
            for _ in 0..many {
                let (name, cost) = (name(tenant), self.weights.cost(&name(tenant)));
                let Ok(turn) = self.turns.next(&name, cost, Timestamp::EPOCH, &mut &self.queue);
                self.accepted += 1;
                self.queue.0.insert((turn, self.accepted, tenant));
            }
        }

        /// The tenants of the next few.
        fn lease(&mut self, many: usize) -> Vec<u8> {
            let next = |_| {
                let (turn, _, tenant) = self.queue.0.pop_first()?;
                self.turns.leased(turn);
                Some(tenant)
            };
            (0..many).map_while(next).collect()
        }
    }

    #[test]
    fn a_newcomer_stands_before_the_rest_of_a_backlog() {
        let mut lane = Lane::default();
        lane.accept(1, 100_000);
        lane.lease(10);
        lane.accept(2, 3);
        assert_eq!(lane.lease(7).iter().filter(|it| **it == 2).count(), 3);
    }

    #[test]
    fn nobody_is_charged_for_what_nobody_else_wanted() {
        let mut lane = Lane::default();
        lane.accept(1, 10_000);
        lane.lease(10_000);
        lane.accept(2, 100);
        lane.accept(1, 100);
        let first = lane.lease(100);
        assert!((49..=51).contains(&first.iter().filter(|it| **it == 1).count()), "{first:?}");
    }

    #[test]
    fn whoever_takes_his_back_is_not_charged() {
        let mut lane = Lane::default();
        lane.accept(2, 10);
        lane.accept(1, 10_000);
        lane.queue.0.retain(|it| it.2 != 1);
        (0..10_000).for_each(|_| lane.turns.left("1", lane.weights.cost("1")));
        lane.accept(1, 1);
        assert!(lane.lease(2).contains(&1));
    }

    #[test]
    fn weights_are_shares() {
        let mut lane = Lane { weights: Weights::new([("1".into(), 3.0), ("9".into(), 1e9)]), ..Lane::default() };
        lane.accept(1, 1000);
        lane.accept(2, 1000);
        let first = lane.lease(400);
        assert!((299..=301).contains(&first.iter().filter(|it| **it == 1).count()));
        assert_eq!(lane.weights.cost("9"), lane.weights.cost("2") / 100, "no more than a hundred");
    }

    #[test]
    fn after_a_start_tenants_stand_where_they_stood() {
        let mut lane = Lane::default();
        lane.accept(1, 100);
        lane.lease(50);
        lane.turns = Turns::default();
        lane.accept(1, 1);
        assert_eq!(lane.queue.0.last().map(|it| it.1), Some(101), "behind its own");
        lane.accept(2, 1);
        assert!(lane.lease(2).contains(&2));
    }

    #[test]
    fn what_was_nobodys_before_the_lane_was_shared_stays_in_order() {
        let mut lane = Lane::default();
        // By their age.
        lane.queue.0.extend((1..=5).map(|it| (1_700_000_000_000_000 + 7_000_000 * it as i64, it, 0)));
        lane.accepted = 5;
        lane.accept(1, 2);
        lane.accept(0, 1);
        let order: Vec<usize> = lane.queue.0.iter().filter(|it| it.2 == 0).map(|it| it.1).collect();
        assert_eq!(order, [1, 2, 3, 4, 5, 8]);
        assert!(lane.lease(3).contains(&1));
    }

    proptest! {
        /// Between two moments at which both have something queued all the while, no tenant gets more than two beyond
        /// another.
        #[test]
        fn tenants_with_a_backlog_get_the_same(steps in prop::collection::vec((0_u8..3, 1_usize..40, any::<bool>()), 1..60)) {
            let mut lane = Lane::default();
            let mut served = [0_i64; 3];
            for (tenant, many, leases) in steps {
                if leases {
                    for _ in 0..many {
                        let has = |lane: &Lane, of: u8| lane.queue.0.iter().any(|it| it.2 == of);
                        let both: Vec<bool> = (0..3).map(|of| has(&lane, of)).collect();
                        let Some(next) = lane.lease(1).first().copied() else { break };
                        served[usize::from(next)] += 1;
                        // Whoever had nothing is even with whoever has the least of those that have something.
                        let least = (0..3).filter(|of| both[*of]).map(|of| served[of]).min().unwrap_or(0);
                        (0..3).filter(|of| !both[*of]).for_each(|of| served[of] = served[of].max(least));
                        let most = (0..3).filter(|of| both[*of]).map(|of| served[of]).max().unwrap_or(0);
                        let least = (0..3).filter(|of| both[*of]).map(|of| served[of]).min().unwrap_or(0);
                        prop_assert!(most - least <= 3, "{served:?}");
                    }
                } else {
                    lane.accept(tenant, many);
                }
            }
        }
    }
}
