//! The store alone, driven through core's port: what the engine would ask of it, without the engine.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tasklane_core::accept::{Deadlines, NewTask, Start, Submission, UniquePolicy};
use tasklane_core::lease::{LaneFilter, LeaseRequest, Leased, TypeFilter};
use tasklane_core::outcome::Outcome;
use tasklane_core::ports::clock::Clock;
use tasklane_core::ports::store::{Answers, Batch, SharedStore, StoreStats};
use tasklane_core::settle::{Settlement, decide};
use tasklane_core::task::{Lane, Scope, Spec, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_store::sqlite::{Options, SqliteStore};
use tokio::runtime::Runtime;

use crate::Failure;
use crate::machine::monotonic_ns;
use crate::payload::{TASK_TYPE, payload};

/// Tasks a commit accepts, settles or leases.
pub const BATCH: usize = 1000;

/// A store under measurement.
pub struct Bare {
    store: SharedStore,
    runtime: Runtime,
    lanes: Vec<Arc<Lane>>,
    filters: Arc<[LaneFilter]>,
    clock: Arc<ShiftedClock>,
    drawn: u64,
}

impl Bare {
    /// Opens the store in `dir`, with tasks spread over `lanes` lanes (one queue each).
    pub fn open(dir: &Path, lanes: usize) -> Result<Self, Failure> {
        Self::open_on(Arc::new(ShiftedClock::default()), dir, lanes)
    }

    /// Opens the store in `dir` as it would have been opened `seconds` ago.
    pub fn open_in_the_past(dir: &Path, seconds: u64) -> Result<Self, Failure> {
        let clock = ShiftedClock::default();
        clock.set_back(seconds);
        Self::open_on(Arc::new(clock), dir, 1)
    }

    fn open_on(clock: Arc<ShiftedClock>, dir: &Path, lanes: usize) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::fs::create_dir_all(dir)?;
        let store = SqliteStore::open(Options::new(dir, Arc::clone(&clock) as Arc<dyn Clock>))?;
        let filter = LaneFilter { queue: None, types: TypeFilter::Only(vec![TASK_TYPE.into()]) };
        let lanes = match lanes {
            1 => vec![Lane::new("default", TASK_TYPE)],
            many => (0..many).map(|n| Lane::new(&format!("queue-{n}"), TASK_TYPE)).collect(),
        };
        Ok(Self { store, runtime, lanes, filters: [filter].into(), clock, drawn: 0 })
    }

    /// The clock the store is built on.
    pub fn clock(&self) -> &ShiftedClock {
        &self.clock
    }

    /// One commit.
    pub fn commit(&self, batch: Batch) -> Result<Answers, Failure> {
        Ok(self.runtime.block_on(self.store.commit(batch))?)
    }

    /// Sizes and counts.
    pub fn stats(&self) -> Result<StoreStats, Failure> {
        Ok(self.runtime.block_on(self.store.stats())?)
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

    /// Queues `count` tasks.
    pub fn fill(&mut self, count: usize) -> Result<(), Failure> {
        for _ in 0..count.div_ceil(BATCH) {
            let accept = vec![self.submission(BATCH)];
            self.commit(Batch { accept, ..Batch::default() })?;
        }
        Ok(())
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
        }
    }

    /// Closes it; what is on disk stays.
    pub fn close(self) {
        self.runtime.block_on(self.store.close());
    }
}

/// The settlements of tasks that succeeded with `null`.
pub fn succeeded(leased: Vec<Leased>) -> Vec<Settlement> {
    let settle = |leased: Leased| {
        let decision = decide(&leased.facts, Outcome::Succeeded(bytes::Bytes::from_static(b"null")), 0);
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
        let dir = tempfile::tempdir().unwrap();
        let mut bare = Bare::open(dir.path(), 1).unwrap();
        let ids: Vec<_> = bare.submission(3).tasks.iter().map(|it| it.id).collect();
        assert!(ids.is_sorted() && ids[0] != ids[2]);
        let (wall, elapsed) = (bare.clock().wall(), bare.clock().elapsed());
        bare.clock().set_back(60);
        assert!(bare.clock().wall() < wall && bare.clock().elapsed() < elapsed);
    }
}
