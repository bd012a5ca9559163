//! One attempt while this worker holds it: what its handler may say and ask, and the word that it is to stop.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::lease::{LeaseKey, Leased};
use tasklane_core::limit;
use tasklane_core::log::Level;
use tasklane_core::outcome::cut;
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::executor::Context;
use tasklane_core::task::Progress;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::notes::{Notes, Taken};
use crate::options::{LAPSE_PART, NOTED_EVERY, Options, PROGRESS_EVERY};
use crate::runner::Shared;

/// Why an attempt is to stop; a later one counts more than an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stop {
    /// It is not.
    No = 0,
    /// The worker ends; the task is given back.
    Here = 1,
    /// It took longer than its `attempt_timeout`.
    TooLong = 2,
    /// Somebody asked to cancel the task.
    Cancelled = 3,
    /// The lease could not be renewed, so somebody else may run the task soon; it is given back, should the lease still be
    /// good for the server.
    Unrenewed = 4,
    /// The lease is somebody else's: the outcome is worth nothing.
    Lost = 5,
}

/// One attempt while this worker holds it.
pub(crate) struct Attempt {
    pub(crate) task: Arc<Leased>,
    pub(crate) key: LeaseKey,
    /// When its lease came in.
    pub(crate) arrived: Instant,
    stop: AtomicU8,
    told: Notify,
    said: Mutex<Said>,
    notes: Mutex<Notes>,
    me: Weak<Self>,
    shared: Arc<Shared>,
}

/// Progress on its way out: the last word, and when the one before went.
#[derive(Default)]
struct Said {
    pending: Option<Progress>,
    next_at: Option<Instant>,
    listed: bool,
}

impl Attempt {
    pub(crate) fn new(task: Leased, arrived: Instant, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            key: task.key(),
            task: Arc::new(task),
            arrived,
            stop: AtomicU8::new(Stop::No as u8),
            told: Notify::new(),
            said: Mutex::default(),
            notes: Mutex::default(),
            me: me.clone(),
            shared: Arc::clone(shared),
        })
    }

    /// How long one renewal of its lease lasts.
    pub(crate) fn lease_length(&self, options: &Options) -> Duration {
        self.task.facts.lease.as_ref().map_or(options.lease, |lease| lease.length)
    }

    /// How long it may take to stop once it was told to, for this reason.
    pub(crate) fn grace(&self, stop: Stop, options: &Options) -> Duration {
        match stop {
            Stop::Cancelled => options.cancel_grace,
            Stop::Unrenewed => options.stop_grace.min(self.lease_length(options) / LAPSE_PART),
            _ => options.stop_grace,
        }
    }

    /// Why it is to stop, if it is.
    pub(crate) fn stop(&self) -> Stop {
        match self.stop.load(Ordering::Acquire) {
            0 => Stop::No,
            1 => Stop::Here,
            2 => Stop::TooLong,
            3 => Stop::Cancelled,
            4 => Stop::Unrenewed,
            _ => Stop::Lost,
        }
    }

    /// Tells it to stop; what counts less than an earlier word is ignored.
    pub(crate) fn tell(&self, stop: Stop) {
        self.stop.fetch_max(stop as u8, Ordering::AcqRel);
        self.told.notify_waiters();
    }

    /// Ends once it was told to stop.
    pub(crate) async fn told(&self) {
        self.told_more(Stop::No).await;
    }

    /// Ends once it was told what counts more than `known`.
    pub(crate) async fn told_more(&self, known: Stop) {
        loop {
            let mut word = std::pin::pin!(self.told.notified());
            // Listening begins before looking, so that no word falls between the two.
            word.as_mut().enable();
            if self.stop() > known {
                return;
            }
            word.await;
        }
    }

    /// Takes the progress that has not gone out yet.
    pub(crate) fn take_progress(&self) -> Option<Progress> {
        self.said().pending.take()
    }

    /// Takes the progress that has not gone out yet if its time has come, else says when it does. `Err(None)`: nothing
    /// is left to send.
    pub(crate) fn due_progress(&self, now: Instant) -> Result<Progress, Option<Instant>> {
        let mut said = self.said();
        match said.next_at {
            Some(at) if at > now && said.pending.is_some() => Err(Some(at)),
            _ => {
                said.listed = false;
                let progress = said.pending.take().ok_or(None)?;
                said.next_at = Some(now + self.progress_every());
                Ok(progress)
            }
        }
    }

    /// At most one report of progress in this time. A handler with a heartbeat must be heard within it.
    fn progress_every(&self) -> Duration {
        self.task.facts.spec.heartbeat_timeout.map_or(PROGRESS_EVERY, |silence| PROGRESS_EVERY.min(silence / 3))
    }

    /// Takes what it has said and put aside since the last exchange.
    pub(crate) fn take_notes(&self, now: Instant) -> Taken {
        self.notes().take(now)
    }

    /// Takes back what an exchange did not carry; answers whether the ledger does not know that there is something.
    pub(crate) fn put_back(&self, taken: Taken) -> bool {
        let (mut notes, now) = (self.notes(), Instant::now());
        for name in notes.put_back(taken) {
            notes.log(Level::Warn, not_kept(&name), None, now);
        }
        notes.list()
    }

    /// Has the ledger told that there is something to be said.
    fn noted(&self, is_new: bool, now: Instant) {
        if let Some(me) = self.me.upgrade().filter(|_| is_new) {
            let heartbeat = self.task.facts.spec.heartbeat_timeout;
            self.shared.note(me, now + heartbeat.map_or(NOTED_EVERY, |silence| NOTED_EVERY.min(silence / 3)));
        }
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context for Attempt {
    fn progress(&self, progress: Progress) {
        let now = Instant::now();
        let mut said = self.said();
        said.pending = Some(fit(progress));
        if said.listed {
            return;
        }
        said.listed = true;
        let at = said.next_at.unwrap_or(now).max(now);
        drop(said);
        if let Some(me) = self.me.upgrade() {
            self.shared.speak(me, at, now);
        }
    }

    fn log(&self, level: Level, message: String, fields: Option<Box<str>>) {
        let now = Instant::now();
        let is_new = {
            let mut notes = self.notes();
            notes.log(level, message, fields, now);
            notes.list()
        };
        self.noted(is_new, now);
    }

    fn checkpoint(&self, checkpoint: Checkpoint) {
        let name = checkpoint.name.clone();
        let (is_kept, is_new) = {
            let mut notes = self.notes();
            let is_kept = notes.checkpoint(checkpoint);
            (is_kept, is_kept && notes.list())
        };
        if is_kept {
            self.noted(is_new, Instant::now());
            self.shared.hurry();
        } else {
            self.log(Level::Warn, not_kept(&name), None);
        }
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        let me = self.me.upgrade();
        Box::pin(async move {
            if let Some(me) = me {
                me.told().await;
            }
        })
    }
}

fn not_kept(name: &str) -> String {
    format!("checkpoint {name:?} was not kept: a task keeps {} of them and 1 MiB in all", limit::CHECKPOINTS)
}

/// The progress within the limits of the wire.
fn fit(progress: Progress) -> Progress {
    Progress {
        percent: progress.percent.filter(|it| it.is_finite()).map(|it| it.clamp(0.0, 100.0)),
        message: progress.message.map(|it| cut(it, limit::PROGRESS_BYTES)),
        data: progress.data.filter(|it| it.len() <= limit::PROGRESS_BYTES),
    }
}
