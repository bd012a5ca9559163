//! The time-limited right of one worker to run one attempt.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::checkpoint::Checkpoint;
use crate::task::{Facts, TaskId};
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

/// Which lanes a worker serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LaneFilter {
    /// `None` is every queue that is not a system queue (`~`).
    pub queue: Option<Box<str>>,
    /// The types; see [`TypeFilter`].
    pub types: TypeFilter,
}

/// Which types of a queue a worker serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TypeFilter {
    /// Every type but those of packages and the system.
    Any,
    /// These.
    Only(Vec<Box<str>>),
}

impl LaneFilter {
    /// Whether it names a system queue: what such a worker does is the server's own affair.
    pub fn is_of_system(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.starts_with('~'))
    }

    /// Whether a task of this queue and type is for the worker.
    pub fn matches(&self, queue: &str, task_type: &str) -> bool {
        let queue_fits = match &self.queue {
            Some(name) => **name == *queue,
            None => !queue.starts_with('~'),
        };
        queue_fits
            && match &self.types {
                TypeFilter::Any => true,
                TypeFilter::Only(types) => types.iter().any(|it| **it == *task_type),
            }
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
}
