//! The store that serves: one SQLite file, one writer, a few readers.
//!
//! What makes it fast is what it does not write. A task on the straight road (accepted, leased once, succeeded) costs one
//! row of `tasks` with its entry in the index of ids when it is accepted, and that row overwritten where it lies when it is
//! settled. What may start now is packed by hundreds into rows of `takeable`, and where a little is taken of each of many,
//! `cuts` says how far before the rows do; a lease is one row for everything leased together, and lives in memory otherwise;
//! renewals live in memory alone; counters are a fold of the event log, which is one row a commit. So the file tells the
//! whole truth only with its log, its leases and its cuts: `check` shows how they fit.
//!
//! The order of files is the road: accept, promote, lease, settle; beside it renew, hand, control, rescue, sweep, inspect.

use std::future::pending;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, RwLock};

use tasklane_core::error::StoreError;
use tasklane_core::event::Position;
use tasklane_core::gate::{Gate, GateDetail, GateName};
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::records::Records;
use tasklane_core::ports::store::{
    Answers, Batch, EventPage, LogPage, LogQuery, Standing, Store, StoreStats, TaskFilter, TaskPage,
};
use tasklane_core::queue::{Counts, LaneCounts, Queue};
use tasklane_core::task::{Attempt, Facts, Lane, Task, TaskId};
use tasklane_core::time::Timestamp;
use tokio::sync::{oneshot, watch};

use self::checkpoint::Checkpoint;
use self::inspect::look;
use self::live::{Live, Opening};
use self::readers::Readers;
use self::reserve::Reserve;
use self::view::View;
use self::writer::{Ask, Parts};
use crate::clock::StoreClock;
use crate::gather::Job;

mod accept;
mod backup;
mod check;
mod checkpoint;
mod control;
mod counters;
mod error;
mod gate;
mod gauges;
mod hand;
mod heads;
mod inspect;
mod keys;
mod lease;
mod live;
mod merge;
mod migrate;
mod names;
mod notes;
mod open;
mod promote;
mod readers;
mod record;
mod renew;
mod rescue;
mod reserve;
mod row;
mod rows;
mod running;
mod seqs;
mod settle;
mod source;
mod sql;
mod stats;
mod strands;
mod sweep;
mod takeable;
mod turns;
mod tx;
mod view;
mod writer;

pub use backup::{BackupError, RestoreError, backup, restore};
pub use check::{Report, check};
pub use error::OpenError;
pub use migrate::Migrate;
pub(crate) use names::Names as SourceNames;
pub use open::{DATABASE, Options};
pub use reserve::RESERVE_BYTES;
pub(crate) use source::Source;
pub use stats::{FileStats, stats};

/// The store on one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    clock: StoreClock,
    view: Arc<RwLock<View>>,
    asks: Sender<Ask>,
    readers: Arc<Readers>,
    broken: watch::Receiver<Option<String>>,
}

impl SqliteStore {
    /// Opens or makes the store. Leases granted before count anew from now.
    ///
    /// # Errors
    /// [`OpenError`]: another server has it, a newer program wrote it, it is damaged, or the file system refuses.
    pub fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let path = options.database();
        let (db, lock) = open::open(&options)?;
        source::refuse_promoted(&db, &path)?;
        let faulty = |fault| OpenError::from_fault(&path, &fault);
        let last = Live::last_stamp(&db).map_err(faulty)?;
        let clock = StoreClock::anchor(Arc::clone(&options.clock), last);
        let mut live = Live::load(&db, Opening::draw(), options.fairness.clone()).map_err(faulty)?;
        live.running.count_anew(clock.now());
        let view = Arc::new(RwLock::new(View::of(&live)));
        let readers = Readers::new(path.clone());
        let (breaking, broken) = watch::channel(None);
        let parts = Parts {
            db,
            lock,
            live,
            view: Arc::clone(&view),
            clock: clock.clone(),
            machine: options.clock,
            reserve: Reserve::take(&options.dir, options.reserve_bytes),
            checkpoint: Checkpoint::default(),
            broken: breaking,
        };
        let asks = writer::start(parts).map_err(|error| OpenError::io(&path, error))?;
        Ok(Arc::new(Self { path, clock, view, asks, readers, broken }))
    }

    fn overlays(&self, ids: &[TaskId]) -> Vec<Option<view::Overlay>> {
        inspect::overlays(&self.view, ids)
    }
}

fn wal_of(path: &std::path::Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", path.display()))
}

fn closed() -> StoreError {
    StoreError::Away("it was closed".into())
}

impl Store for SqliteStore {
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Answers, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let asked = self.asks.send(Ask::Commit(Box::new(Job { batch, reply })));
        Box::pin(async move {
            asked.map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?
        })
    }

    fn tasks(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Task>>, StoreError>> {
        let (view, overlays, now) = (Arc::clone(&self.view), self.overlays(&ids), self.clock.now());
        Box::pin(self.readers.read(move |db| inspect::tasks(db, &view, &ids, &overlays, now)))
    }

    fn facts(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Facts>>, StoreError>> {
        let (view, overlays, now) = (Arc::clone(&self.view), self.overlays(&ids), self.clock.now());
        Box::pin(self.readers.read(move |db| {
            let tasks = inspect::tasks(db, &view, &ids, &overlays, now)?;
            Ok(tasks.into_iter().map(|task| task.map(|it| it.facts)).collect())
        }))
    }

    fn list(
        &self,
        filter: TaskFilter,
        below: Option<TaskId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<TaskPage, StoreError>> {
        let (view, running, now) = (Arc::clone(&self.view), look(&self.view).running.clone(), self.clock.now());
        Box::pin(self.readers.read(move |db| inspect::list::list(db, &view, &running, &filter, below, limit, now)))
    }

    fn attempts(&self, id: TaskId) -> BoxFuture<'_, Result<Option<Vec<Attempt>>, StoreError>> {
        let (view, overlays) = (Arc::clone(&self.view), self.overlays(&[id]));
        Box::pin(self.readers.read(move |db| inspect::attempts(db, &view, id, overlays[0].as_ref())))
    }

    fn logs(&self, id: TaskId, query: LogQuery) -> BoxFuture<'_, Result<Option<LogPage>, StoreError>> {
        let view = Arc::clone(&self.view);
        Box::pin(self.readers.read(move |db| inspect::logs(db, &view, id, query)))
    }

    fn standing(&self, id: TaskId, most: u64) -> BoxFuture<'_, Result<Option<Standing>, StoreError>> {
        let (view, overlays, now) = (Arc::clone(&self.view), self.overlays(&[id]), self.clock.now());
        Box::pin(self.readers.read(move |db| inspect::standing(db, &view, id, most, overlays[0].as_ref(), now)))
    }

    fn queues(&self, name: Option<Box<str>>) -> BoxFuture<'_, Result<Vec<Queue>, StoreError>> {
        let known = inspect::queues::known(&look(&self.view), name.as_deref(), self.clock.now());
        let view = Arc::clone(&self.view);
        Box::pin(self.readers.read(move |db| inspect::queues::complete(db, &view, known)))
    }

    fn counts(&self, origin: Box<str>, tenant: Option<Box<str>>) -> BoxFuture<'_, Result<Counts, StoreError>> {
        let counts = inspect::counts(&look(&self.view), &origin, tenant.as_deref(), self.clock.now());
        Box::pin(std::future::ready(Ok(counts)))
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn knows(&self, lane: &Lane) -> bool {
        look(&self.view).names.lane_named(lane).is_some()
    }

    fn lanes(&self) -> BoxFuture<'_, Result<Vec<LaneCounts>, StoreError>> {
        let lanes = inspect::lanes::lanes(&look(&self.view), self.clock.now());
        // Read like the others, so that a closed store says so.
        Box::pin(self.readers.read(move |_| Ok(inspect::lanes::in_order(lanes))))
    }

    fn gates(&self, after: Option<GateName>, most: usize) -> BoxFuture<'_, Result<Vec<Gate>, StoreError>> {
        let gates = inspect::gates::page(&look(&self.view), after.as_ref(), most, self.clock.now());
        Box::pin(self.readers.read(move |_| Ok(gates)))
    }

    fn gate(&self, name: GateName) -> BoxFuture<'_, Result<Option<GateDetail>, StoreError>> {
        let gate = inspect::gates::one(&look(&self.view), &name, self.clock.now());
        Box::pin(self.readers.read(move |_| Ok(gate)))
    }

    fn events(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        let view = Arc::clone(&self.view);
        Box::pin(self.readers.read(move |db| inspect::events::events(db, &view, after, limit)))
    }

    fn crash_loops(
        &self,
        after: Position,
        since: Timestamp,
        most: usize,
    ) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        let view = Arc::clone(&self.view);
        Box::pin(self.readers.read(move |db| inspect::events::crash_loops(db, &view, (after, since), most)))
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        let size = |path| std::fs::metadata(path).map_or(0, |file| file.len());
        let mut stats =
            inspect::stats(&look(&self.view), size(self.path.clone()), size(wal_of(&self.path)), self.now());
        stats.clock_behind = self.clock.skew();
        Box::pin(std::future::ready(Ok(stats)))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn broken(&self) -> BoxFuture<'_, String> {
        let mut broken = self.broken.clone();
        Box::pin(async move {
            let why = broken.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
            // Without a reason it was closed in order.
            if let Some(why) = why { why } else { pending().await }
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.readers.close();
        let (closed, done) = oneshot::channel();
        let asked = self.asks.send(Ask::Close(closed));
        Box::pin(async move {
            if asked.is_ok() {
                // An error says that the writer has ended already.
                let _ = done.await;
            }
        })
    }
}
