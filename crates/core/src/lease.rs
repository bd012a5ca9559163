//! The time-limited right of one worker to run one attempt.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::limit;
use crate::queue;
use crate::state::State;
use crate::task::{Facts, Lane, TaskId};
use crate::time::Timestamp;

/// The 64 random bits that fence an attempt's writes; with id and attempt they are the lease's opaque text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

impl Token {
    /// The `index`-th token of a request that brought `seed` (64 random bits): a SplitMix64 step, so that one draw serves
    /// a batch. Holders of one token can compute others only of the same request, which are theirs too.
    /// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    pub fn nth(seed: u64, index: usize) -> Self {
        Self(mix(seed, index as u64))
    }
}

/// A number drawn from `seed` and `index`; used wherever a decision needs randomness for the n-th item of a batch.
pub fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(index.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Names one attempt: what a worker's every write must carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseKey {
    /// Which task.
    pub id: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// Its random part.
    pub token: Token,
}

/// A lease as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The random part of its name.
    pub token: Token,
    /// How long one renewal lasts.
    pub length: Duration,
    /// When it is lost unless renewed.
    pub until: Timestamp,
    /// When the handler last gave a sign of life (start, progress); renewals do not count.
    pub heard_at: Timestamp,
    /// After a cancellation was delivered: when the worker's time to stop by itself is over.
    pub grace_until: Option<Timestamp>,
}

impl Lease {
    /// A lease that begins at `at`.
    pub fn begun(token: Token, length: Duration, at: Timestamp) -> Self {
        Self { token, length, until: at.plus(length), heard_at: at, grace_until: None }
    }

    /// Begins its own length again.
    pub fn renew(&mut self, now: Timestamp) {
        self.until = now.plus(self.length);
    }

    /// The server in which it ran has ended: it is lost now.
    pub fn cut_off(&mut self, now: Timestamp) {
        (self.until, self.heard_at, self.grace_until) = (now, now, None);
    }

    /// There was an outage until `now`, in which nobody could renew it or be heard: it counts from now, for its own length
    /// and at most [`limit::OUTAGE_GRACE`]. A cancellation has to be delivered again.
    pub fn count_anew(&mut self, now: Timestamp) {
        self.until = now.plus(self.length.min(limit::OUTAGE_GRACE));
        self.heard_at = now;
        self.grace_until = None;
    }
}

impl Facts {
    /// Whether the task runs under this lease: what every write of a worker is held against.
    pub fn runs_under(&self, key: &LeaseKey) -> bool {
        self.state == State::Running
            && self.attempt == key.attempt
            && self.lease.as_ref().is_some_and(|lease| lease.token == key.token)
    }

    /// A cancellation reached the worker: its time to stop begins, once, and not unless somebody asked to cancel. Answers
    /// when it is over.
    pub fn begin_grace(&mut self, now: Timestamp) -> Option<Timestamp> {
        let lease = self.lease.as_mut().filter(|_| self.cancel_requested)?;
        Some(*lease.grace_until.get_or_insert(now.plus(limit::CANCEL_GRACE)))
    }
}

/// Which lanes a worker serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LaneFilter {
    /// `None` is every queue that is not a system queue (`~`).
    pub queue: Option<Box<str>>,
    /// The types; see [`TypeFilter`].
    pub types: TypeFilter,
}

/// Which types of a queue a worker serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeFilter {
    /// Every type but those of packages and the system.
    Any,
    /// These.
    Only(Vec<Box<str>>),
}

impl LaneFilter {
    /// Whether it names a system queue: what such a worker does is the server's own affair.
    pub fn is_of_system(&self) -> bool {
        self.queue.as_deref().is_some_and(queue::is_of_system)
    }

    /// Whether a task of this queue and type is for the worker.
    pub fn matches(&self, queue: &str, task_type: &str) -> bool {
        queue::is_meant(self.queue.as_deref(), queue)
            && match &self.types {
                TypeFilter::Any => true,
                TypeFilter::Only(types) => types.iter().any(|it| **it == *task_type),
            }
    }

    /// The tasks that are for both, if there may be some.
    pub fn both(&self, other: &Self) -> Option<Self> {
        let queue = match (&self.queue, &other.queue) {
            (None, None) => None,
            (Some(one), Some(two)) if one == two => Some(one.clone()),
            (None, Some(queue)) | (Some(queue), None) if queue::is_meant(None, queue) => Some(queue.clone()),
            _ => return None,
        };
        let types = match (&self.types, &other.types) {
            (TypeFilter::Any, types) | (types, TypeFilter::Any) => types.clone(),
            (TypeFilter::Only(one), TypeFilter::Only(two)) => {
                TypeFilter::Only(one.iter().filter(|it| two.contains(it)).cloned().collect())
            }
        };
        (types != TypeFilter::Only(Vec::new())).then_some(Self { queue, types })
    }

    /// Its lanes, where it names them.
    fn named(&self) -> Option<impl Iterator<Item = Lane> + '_> {
        let (Some(queue), TypeFilter::Only(types)) = (&self.queue, &self.types) else { return None };
        Some(types.iter().map(|task_type| Lane { queue: queue.clone(), task_type: task_type.clone() }))
    }
}

/// One worker's wish for work.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// A label of the worker; it grants nothing.
    pub worker: Arc<str>,
    /// What it serves.
    pub lanes: Arc<[LaneFilter]>,
    /// Most tasks it takes now.
    pub limit: usize,
    /// How long a lease lasts without renewal.
    pub length: Duration,
    /// 64 random bits, from which [`Token::nth`] makes the tokens.
    pub seed: u64,
    /// Where the worker runs.
    pub home: Home,
}

/// Where a worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Home {
    /// In a process of its own, which outlives the server.
    #[default]
    Apart,
    /// In the server that leases: what it runs ends with that server.
    InServer,
}

/// Whether somebody who serves `lanes` is for the tasks of this one.
pub fn serves(lanes: &[LaneFilter], lane: &Lane) -> bool {
    lanes.iter().any(|it| it.matches(&lane.queue, &lane.task_type))
}

impl LeaseRequest {
    /// The lease of the `index`-th task that it is given.
    pub fn lease(&self, index: usize, now: Timestamp) -> Lease {
        Lease::begun(Token::nth(self.seed, index), self.length, now)
    }

    /// Whether the tasks of a lane are for it.
    pub fn serves(&self, lane: &Lane) -> bool {
        serves(&self.lanes, lane)
    }

    /// The lanes it serves, each at least once, where it names all of them: then the others need not be looked at.
    pub fn named(&self) -> Option<impl Iterator<Item = Lane> + '_> {
        let names_all = self.lanes.iter().all(|it| it.named().is_some());
        names_all.then(|| self.lanes.iter().filter_map(LaneFilter::named).flatten())
    }
}

/// A task handed to a worker: the start of an attempt.
#[derive(Debug, Clone)]
pub struct Leased {
    /// Everything decisions need; `facts.lease` is set.
    pub facts: Facts,
    /// The input.
    pub payload: Bytes,
    /// How long it had been queued.
    pub waited: Duration,
    /// What earlier attempts put aside, in the order of names.
    pub checkpoints: Vec<Checkpoint>,
}

impl Leased {
    /// The name of the attempt.
    pub fn key(&self) -> LeaseKey {
        let token = self.facts.lease.as_ref().map_or(Token(0), |lease| lease.token);
        LeaseKey { id: self.facts.id, attempt: self.facts.attempt, token }
    }

    /// What it weighs against [`limit::LEASE_BYTES`]: the bytes of what the worker is handed.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.checkpoints.iter().map(Checkpoint::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::accept::tests::queued;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Timestamp {
        Timestamp::EPOCH.plus(SECOND * seconds)
    }

    fn running(at: Timestamp) -> Facts {
        let mut task = queued();
        task.start(None, Lease::begun(Token(7), 30 * SECOND, at), at);
        task.facts
    }

    fn request(lanes: &[LaneFilter]) -> LeaseRequest {
        let (worker, home) = ("w".into(), Home::Apart);
        LeaseRequest { worker, lanes: lanes.into(), limit: 2, length: 30 * SECOND, seed: 5, home }
    }

    fn filter(queue: Option<&str>, types: &[&str]) -> LaneFilter {
        let only = TypeFilter::Only(types.iter().map(|it| (*it).into()).collect());
        LaneFilter { queue: queue.map(Into::into), types: if types.is_empty() { TypeFilter::Any } else { only } }
    }

    #[test]
    fn a_request_that_names_its_lanes_serves_these_and_no_others() {
        let request = request(&[filter(Some("a"), &["t", "u"]), filter(Some("~b"), &["t"])]);
        let named: Vec<Lane> = request.named().into_iter().flatten().collect();
        let lanes = [("a", "t"), ("a", "u"), ("~b", "t"), ("a", "x"), ("~b", "u"), ("c", "t")];
        let served = lanes.map(|(queue, task_type)| Lane { queue: queue.into(), task_type: task_type.into() });
        let served: Vec<Lane> = served.into_iter().filter(|lane| request.serves(lane)).collect();
        assert_eq!((named.len(), named), (3, served));
    }

    #[test]
    fn one_filter_that_names_no_lane_is_enough_to_look_at_all() {
        for wide in [filter(None, &["t"]), filter(Some("b"), &[]), filter(None, &[])] {
            let request = request(&[filter(Some("a"), &["t"]), wide]);
            assert!(request.named().is_none() && request.serves(&Lane::new("b", "t")));
        }
        assert_eq!(request(&[]).named().map(Iterator::count), Some(0));
    }

    #[test]
    fn a_request_leases_each_task_by_a_token_of_its_own_from_now_for_its_length() {
        let request = request(&[]);
        let [first, second] = [0, 1].map(|index| request.lease(index, at(100)));
        let (until, heard_at) = (at(130), at(100));
        let expected = Lease { token: Token::nth(5, 0), length: 30 * SECOND, until, heard_at, grace_until: None };
        assert_eq!(first, expected);
        assert_eq!(second, Lease { token: Token::nth(5, 1), ..expected });
    }

    proptest! {
        #[test]
        fn after_an_outage_a_lease_counts_for_its_length_and_at_most_a_minute(length in 1_u32..3600, now in 0_u32..9999) {
            let mut lease = Lease::begun(Token(1), SECOND * length, at(50));
            lease.grace_until = Some(at(60));
            lease.count_anew(at(now));
            let expected = Lease { until: at(now + length.min(60)), ..Lease::begun(Token(1), SECOND * length, at(now)) };
            prop_assert_eq!(&lease, &expected);
            lease.renew(at(now + 1));
            prop_assert_eq!(lease, Lease { until: at(now + 1 + length), ..expected });
        }
    }

    #[test]
    fn only_the_lease_of_this_attempt_holds_and_only_while_it_runs() {
        let facts = running(at(0));
        let key = LeaseKey { id: facts.id, attempt: 1, token: Token(7) };
        assert!(facts.runs_under(&key));
        assert!(!facts.runs_under(&LeaseKey { attempt: 2, ..key }));
        assert!(!facts.runs_under(&LeaseKey { token: Token(8), ..key }));
        assert!(!Facts { state: State::Cancelled, ..facts.clone() }.runs_under(&key));
        assert!(!Facts { lease: None, ..facts }.runs_under(&key));
    }

    #[test]
    fn grace_begins_once_and_only_where_somebody_asked_to_cancel() {
        let mut facts = running(at(0));
        let grace_of = |facts: &Facts| facts.lease.as_ref().and_then(|it| it.grace_until);
        assert_eq!((facts.begin_grace(at(5)), grace_of(&facts)), (None, None));
        facts.cancel_requested = true;
        let until = Some(at(5).plus(limit::CANCEL_GRACE));
        assert_eq!((facts.begin_grace(at(5)), facts.begin_grace(at(7)), grace_of(&facts)), (until, until, until));
        facts.lease = None;
        assert_eq!(facts.begin_grace(at(8)), None);
    }
}
