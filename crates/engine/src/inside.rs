//! What the handle, the stations and the loops share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tasklane_core::ports::store::SharedStore;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::crashing::Crashing;
use crate::facts::HeldFacts;
use crate::ids::Ids;
use crate::keys::KeyRing;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::outage::Outage;
use crate::parked::Parked;
use crate::requests::Requests;
use crate::wake::Waits;
use crate::watch::Watches;
use crate::webhooks::Endpoints;
use crate::workers::Workers;

/// The engine's inside. Every member locks for itself; no lock is held over a wait, and none while another is taken.
pub(crate) struct Inside {
    pub store: SharedStore,
    /// Other servers write to the store, too: what they do is heard of by hints, and looked for.
    pub is_shared: bool,
    pub outage: Outage,
    pub options: Options,
    pub ids: Ids,
    /// Facts of the tasks this server leased.
    pub facts: HeldFacts,
    /// Lease requests that wait for work.
    pub parked: Parked,
    /// Lease requests known by a name of the worker's.
    pub requests: Requests,
    /// Readers that wait for a task's end.
    pub waits: Waits,
    /// Streams of events and logs.
    pub watches: Watches,
    /// Types whose tasks kill their workers.
    pub crashes: Crashing,
    /// Workers heard of lately.
    pub workers: Workers,
    /// Who may call.
    pub keys: KeyRing,
    /// Who is told of events.
    pub endpoints: Endpoints,
    pub metrics: Metrics,
    /// Rings when the loop in `due` must look before its sleep is over.
    pub due: DueBell,
    /// Rings when a schedule was set up or changed.
    pub schedules: Notify,
    /// No more work is handed out.
    pub draining: AtomicBool,
    /// Rings once, when the engine stops.
    pub stopping: Notify,
    pub stopped: AtomicBool,
    pub started: Instant,
    /// The chores' loops, ended when the engine stops.
    pub chores: Mutex<Vec<JoinHandle<()>>>,
}

impl Inside {
    pub fn new(store: SharedStore, options: Options) -> Arc<Self> {
        Arc::new(Self {
            ids: Ids::new(Arc::clone(&options.randomness)),
            is_shared: store.is_shared(),
            outage: Outage::default(),
            facts: HeldFacts::new(store.is_shared()),
            parked: Parked::new(options.parked),
            requests: Requests::new(options.requests),
            waits: Waits::new(options.waits),
            watches: Watches::new(options.streams),
            crashes: Crashing::default(),
            workers: Workers::new(options.workers),
            keys: KeyRing::default(),
            endpoints: Endpoints::default(),
            metrics: Metrics::new(),
            due: DueBell::default(),
            schedules: Notify::new(),
            draining: AtomicBool::new(false),
            stopping: Notify::new(),
            stopped: AtomicBool::new(false),
            started: Instant::now(),
            chores: Mutex::default(),
            store,
            options,
        })
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// Tells the due loop of a moment earlier than the one it sleeps to.
#[derive(Default)]
pub(crate) struct DueBell {
    next: Mutex<Option<Instant>>,
    rung: Notify,
}

impl DueBell {
    /// Some task is due at `at`.
    pub fn announce(&self, at: Instant) {
        let mut next = lock(&self.next);
        if next.is_none_or(|known| at < known) {
            *next = Some(at);
            self.rung.notify_one();
        }
    }

    /// Forgets the announced moment: the loop looks now, and the commit it makes announces the next.
    pub fn take(&self) -> Option<Instant> {
        lock(&self.next).take()
    }

    /// The announced moment.
    pub fn peek(&self) -> Option<Instant> {
        *lock(&self.next)
    }

    /// Ends when an earlier moment was announced.
    pub async fn rung(&self) {
        self.rung.notified().await;
    }
}

/// Locks; a holder that panicked left the value whole, as no holder waits or calls out between its changes.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
