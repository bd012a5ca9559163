//! The store alone, driven through core's port: what the engine would ask of it, without the engine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tasklane_core::accept::{Deadlines, NewTask, Start, Submission, UniquePolicy};
use tasklane_core::gate::Limit;
use tasklane_core::lease::{Home, LaneFilter, LeaseRequest, Leased, TypeFilter};
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::clock::Clock;
use tasklane_core::ports::store::{Answers, Batch, SharedStore, StoreStats};
use tasklane_core::settle::{Settlement, decide};
use tasklane_core::task::{Lane, Scope, Spec, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_store::postgres::{self, PostgresStore};
use tasklane_store::sqlite::{self, SqliteStore};
use tokio::runtime::Runtime;

use crate::Failure;
use crate::machine::monotonic_ns;
use crate::payload::{TASK_TYPE, payload};
use crate::place::Place;

/// Tasks a commit accepts, settles or leases.
pub const BATCH: usize = 1000;

/// Commits on their way while a store is filled; the embedded one carries them out one after the other anyhow.
const FILLING: usize = 4;

/// A store under measurement.
pub struct Bare {
    store: SharedStore,
    runtime: Runtime,
    /// What is asked of it.
    pub asks: Asks,
}

impl Bare {
    /// Opens the store in `place`, with tasks spread over `lanes` lanes (one queue each).
    pub fn open(place: &Place, lanes: usize) -> Result<Self, Failure> {
        Self::open_on(ShiftedClock::default(), place, lanes)
    }

    /// Opens the embedded store in `place` as it would have been opened `seconds` ago; a database has a clock of its own.
    pub fn open_in_the_past(place: &Place, seconds: u64) -> Result<Self, Failure> {
        let clock = ShiftedClock::default();
        clock.set_back(seconds);
        Self::open_on(clock, place, 1)
    }

    fn open_on(clock: ShiftedClock, place: &Place, lanes: usize) -> Result<Self, Failure> {
        let clock = Arc::new(clock);
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let asks = Asks::new(clock, lanes);
        match place.url() {
            Some(url) => {
                // As in a server: several commits are on their way, each in a task of its own.
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                let store = runtime.block_on(PostgresStore::open(postgres::Options::new(url, shared)))?;
                Ok(Self { store, runtime, asks })
            }
            None => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                std::fs::create_dir_all(place.data())?;
                let store = SqliteStore::open(sqlite::Options::new(place.data(), shared))?;
                Ok(Self { store, runtime, asks })
            }
        }
    }

    /// One commit.
    pub fn commit(&self, batch: Batch) -> Result<Answers, Failure> {
        Ok(self.runtime.block_on(self.store.commit(batch))?)
    }

    /// Sizes and counts.
    pub fn stats(&self) -> Result<StoreStats, Failure> {
        Ok(self.runtime.block_on(self.store.stats())?)
    }

    /// Keeps `most` commits on their way: each answer, the oldest first, is given to `next`, which says what follows it, until
    /// it says nothing more. The first ones follow empty answers.
    pub fn keep_flying(
        &mut self,
        most: usize,
        mut next: impl FnMut(&mut Asks, Answers) -> Option<Batch>,
    ) -> Result<(), Failure> {
        let Self { store, runtime, asks } = self;
        runtime.block_on(async {
            let mut flying = VecDeque::new();
            for _ in 0..most {
                flying.extend(next(asks, Answers::default()).map(|batch| store.commit(batch)));
            }
            while let Some(oldest) = flying.pop_front() {
                let answers = oldest.await?;
                flying.extend(next(asks, answers).map(|batch| store.commit(batch)));
            }
            Ok(())
        })
    }

    /// Queues `count` tasks.
    pub fn fill(&mut self, count: usize) -> Result<(), Failure> {
        let mut left = count.div_ceil(BATCH);
        self.keep_flying(FILLING, |asks, _| {
            left = left.checked_sub(1)?;
            Some(Batch { accept: vec![asks.submission(BATCH)], ..Batch::default() })
        })
    }

    /// Closes it; what is on disk stays.
    pub fn close(self) {
        self.runtime.block_on(self.store.close());
    }
}

/// Makes submissions and wishes.
pub struct Asks {
    lanes: Vec<Arc<Lane>>,
    filters: Arc<[LaneFilter]>,
    clock: Arc<ShiftedClock>,
    drawn: u64,
}

impl Asks {
    fn new(clock: Arc<ShiftedClock>, lanes: usize) -> Self {
        let filter = LaneFilter { queue: None, types: TypeFilter::Only(vec![TASK_TYPE.into()]) };
        let lanes = match lanes {
            1 => vec![Lane::new("default", TASK_TYPE)],
            many => (0..many).map(|n| Lane::new(&format!("queue-{n}"), TASK_TYPE)).collect(),
        };
        Self { lanes, filters: [filter].into(), clock, drawn: 0 }
    }

    /// The clock the store is built on.
    pub fn clock(&self) -> &ShiftedClock {
        &self.clock
    }

    /// A submission of `count` new tasks.
    pub fn submission(&mut self, count: usize) -> Submission {
        let payload = bytes::Bytes::from(payload(0));
        let tasks = (0..count).map(|_| NewTask {
            id: self.draw_id(),
            lane: Arc::clone(&self.lanes[self.drawn as usize % self.lanes.len()]),
            scope: Scope::native(),
            // A copy each, as tasks of a request have.
            payload: bytes::Bytes::copy_from_slice(&payload),
            start: Start::Now,
            priority: 0,
            limits: Limit::none(),
            spec: Spec::shared(),
            deadlines: Deadlines::default(),
            unique_policy: UniquePolicy::default(),
            idempotency: None,
        });
        Submission { tasks: tasks.collect() }
    }

    /// Ids in the order they are drawn: the time of the clock, then a counter, in the layout of UUIDv7.
    fn draw_id(&mut self) -> TaskId {
        self.drawn += 1;
        let millis = self.clock.wall().as_micros() as u64 / 1000;
        let number = (u128::from(millis) << 80) | (0x7 << 76) | (0b10 << 62) | u128::from(self.drawn);
        TaskId::from_bytes(number.to_be_bytes())
    }

    /// A wish for `limit` tasks of every lane.
    pub fn wish(&mut self, limit: usize) -> LeaseRequest {
        self.drawn += 1;
        LeaseRequest {
            worker: "bench".into(),
            lanes: Arc::clone(&self.filters),
            limit,
            length: Duration::from_secs(600),
            seed: self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            home: Home::Apart,
        }
    }
}

/// The settlements of tasks that succeeded with `null`.
pub fn succeeded(leased: Vec<Leased>) -> Vec<Settlement> {
    let settle = |leased: Leased| {
        let decision = decide(&leased.facts, Outcome::Succeeded(bytes::Bytes::from_static(b"null")), "w", 0);
        Settlement { key: leased.key(), facts: leased.facts, decision, then: Vec::new() }
    };
    leased.into_iter().map(settle).collect()
}

/// The machine's clocks, set back by some seconds, so that rows can be made that look old.
#[derive(Default)]
pub struct ShiftedClock {
    back: AtomicU64,
}

impl ShiftedClock {
    /// From now on the clock shows what it was `seconds` ago. It only ever goes forward if `seconds` only ever shrinks.
    pub fn set_back(&self, seconds: u64) {
        self.back.store(seconds, Ordering::Relaxed);
    }

    fn back_micros(&self) -> i64 {
        self.back.load(Ordering::Relaxed) as i64 * 1_000_000
    }
}

impl Clock for ShiftedClock {
    fn wall(&self) -> Timestamp {
        let now = clock_gettime(ClockId::Realtime);
        Timestamp::from_micros(now.tv_sec * 1_000_000 + now.tv_nsec / 1000 - self.back_micros())
    }

    fn elapsed(&self) -> Duration {
        // A year ahead, so that setting it back never reaches zero.
        const AHEAD_MICROS: i64 = 366 * 24 * 3600 * 1_000_000;
        Duration::from_micros((monotonic_ns() / 1000 + AHEAD_MICROS - self.back_micros()).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_are_drawn_in_order_and_a_clock_set_back_shows_the_past() {
        let mut asks = Asks::new(Arc::default(), 1);
        let ids: Vec<_> = asks.submission(3).tasks.iter().map(|it| it.id).collect();
        assert!(ids.is_sorted() && ids[0] != ids[2]);
        let (wall, elapsed) = (asks.clock().wall(), asks.clock().elapsed());
        asks.clock().set_back(60);
        assert!(asks.clock().wall() < wall && asks.clock().elapsed() < elapsed);
    }

    #[test]
    fn every_answer_is_followed_by_what_was_said_until_nothing_is() {
        let place = Place::embedded(tempfile::tempdir().unwrap());
        let mut bare = Bare::open(&place, 2).unwrap();
        bare.fill(3000).unwrap();
        let (mut begun, mut leased) = (0, 0);
        bare.keep_flying(2, |asks, answers| {
            let got: usize = answers.lease.iter().map(Vec::len).sum();
            (begun, leased) = (begun + 1, leased + got);
            let more = begun <= 2 || got > 0;
            more.then(|| Batch { lease: vec![asks.wish(BATCH)], ..Batch::default() })
        })
        .unwrap();
        assert_eq!((leased, bare.stats().unwrap().counts.of(tasklane_core::state::State::Running)), (3000, 3000));
        bare.close();
    }
}
