//! Commits on their way: a few at a time, each with everything that had gathered when it began. A commit that met another is
//! tried again; one whose answer was lost is asked after by its number; one that fails for what somebody asked is taken
//! apart, so that nobody else's fails with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::ports::store::{Answers, Batch};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::Type;

use super::bounds::Look;
use super::error::{Fault, Result};
use super::gate::Stripes;
use super::hints::{News, Outbox};
use super::open::AbortOnDrop;
use super::session::{Session, Sessions, Statement};
use super::tx::{Ids, Shared, Trace, Tx, Writes};
use crate::admission::refuse_all;
use crate::gather::{COMMIT_BYTES, COMMIT_ITEMS, Job, size};

/// How often a commit that met another is tried.
const TRIES: usize = 5;
/// How long to ask after a commit whose answer was lost.
const DOUBT: Duration = Duration::from_secs(5);

const STATUS: Statement = Statement { sql: "SELECT pg_xact_status($1::text::xid8)", types: &[Type::TEXT] };

const WRITTEN: Statement = Statement {
    sql: "SELECT count(*) FROM tasklane.events WHERE position = $1 AND at = $2 AND body = $3",
    types: &[Type::INT8, Type::INT8, Type::BYTEA],
};

/// What waits for a commit.
#[derive(Default)]
struct Line {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// What all flights of a store share.
pub(crate) struct Flights {
    sessions: Sessions,
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    line: Mutex<Line>,
    arrived: Notify,
    commits: std::sync::atomic::AtomicU64,
}

impl Flights {
    pub(crate) fn new(sessions: Sessions, shared: Arc<Shared>, outbox: Arc<Outbox>) -> Arc<Self> {
        let (line, arrived, commits) = (Mutex::default(), Notify::new(), 0.into());
        Arc::new(Self { sessions, shared, outbox, line, arrived, commits })
    }

    /// Gets in line, unless the store was closed.
    pub(crate) fn board(&self, job: Job) -> Result<(), StoreError> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.closed {
            return Err(super::closed());
        }
        line.jobs.push_back(job);
        drop(line);
        self.arrived.notify_one();
        Ok(())
    }

    /// Refuses whoever comes now; what is in line is still carried out.
    pub(crate) fn close(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.arrived.notify_waiters();
        self.arrived.notify_one();
    }

    /// Commits since the store was opened.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Starts one flight after the other, until the store is closed. What panics is one commit's: its callers hear that it
    /// is unknown what became of it, and the next takes off.
    pub(crate) async fn fly(self: Arc<Self>) {
        loop {
            let mut flying = AbortOnDrop(tokio::spawn(Arc::clone(&self).fly_on()));
            match (&mut flying.0).await {
                Err(failed) if failed.is_panic() => tracing::error!("a commit panicked; this is a bug"),
                _ => return,
            }
        }
    }

    async fn fly_on(self: Arc<Self>) {
        loop {
            let arrived = self.arrived.notified();
            match self.take() {
                Some(jobs) if !jobs.is_empty() => self.carry(jobs).await,
                Some(_) => arrived.await,
                None => {
                    // The next one may still wait.
                    self.arrived.notify_one();
                    return;
                }
            }
        }
    }

    /// What has gathered, up to the bounds of a commit; `None`: nothing will come any more.
    fn take(&self) -> Option<Vec<Job>> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut jobs, mut items, mut bytes) = (Vec::new(), 0, 0);
        while let Some(next) = line.jobs.front() {
            let (more_items, more_bytes) = size(&next.batch);
            let fits = items + more_items <= COMMIT_ITEMS && bytes + more_bytes <= COMMIT_BYTES;
            if !jobs.is_empty() && !fits {
                // Another flight may take it.
                self.arrived.notify_one();
                break;
            }
            (items, bytes) = (items + more_items, bytes + more_bytes);
            jobs.extend(line.jobs.pop_front());
        }
        if jobs.is_empty() && line.closed { None } else { Some(jobs) }
    }

    async fn carry(&self, jobs: Vec<Job>) {
        let (mut batches, replies): (Vec<Batch>, Vec<_>) = jobs.into_iter().map(|job| (job.batch, job.reply)).unzip();
        let done = match self.transact(&batches).await {
            Err(fault) if fault.is_full() => self.without_accepts(&mut batches).await,
            done => done,
        };
        match done {
            Ok(answers) => {
                // A caller who went away does not need its answer.
                replies.into_iter().zip(answers).for_each(|(reply, answers)| drop(reply.send(Ok(answers))));
            }
            Err(fault) if batches.len() > 1 && !fault.is_away() => {
                tracing::warn!(%fault, callers = batches.len(), "a commit failed; each of its callers is served alone");
                for (batch, reply) in batches.into_iter().zip(replies) {
                    let alone = self.transact(std::slice::from_ref(&batch)).await;
                    let answer = alone.map(|mut answers| answers.pop().unwrap_or_default());
                    let _ = reply.send(answer.map_err(StoreError::from));
                }
            }
            Err(fault) => {
                if fault.is_away() {
                    tracing::debug!(%fault, "a commit found no database");
                } else {
                    tracing::error!(%fault, "a commit failed; nothing of it happened");
                }
                let error = StoreError::from(fault);
                replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
            }
        }
    }

    /// The database's disk is full: submissions are refused, so that what ends tasks can go on.
    async fn without_accepts(&self, batches: &mut [Batch]) -> Result<Vec<Answers>> {
        let refused: Vec<_> = batches.iter_mut().map(refuse_all).collect();
        let mut answers = self.transact(batches).await?;
        for (answers, refused) in answers.iter_mut().zip(refused) {
            answers.accept = refused;
        }
        Ok(answers)
    }

    /// One commit, tried again where it met another.
    async fn transact(&self, batches: &[Batch]) -> Result<Vec<Answers>> {
        let (mut tries, mut ids, mut stripes) = (0, Ids::Trusted, Stripes::WaitedFor);
        loop {
            tries += 1;
            match self.try_to(batches, ids, stripes).await {
                Err(fault) if fault.is_conflict() && tries < TRIES => {
                    tracing::debug!(%fault, tries, "a commit met another and is tried again");
                }
                Err(fault) if fault.is_taken() && ids == Ids::Trusted => ids = Ids::LookedFor,
                Err(fault) if fault.is_locked() && stripes == Stripes::WaitedFor => stripes = Stripes::LeftAlone,
                done => return done,
            }
        }
    }

    async fn try_to(&self, batches: &[Batch], ids: Ids, stripes: Stripes) -> Result<Vec<Answers>> {
        let session = self.sessions.get().await?;
        let mut tx = match Tx::begin(&session, &self.shared, batches.len(), writes(batches)).await {
            Ok(tx) => tx,
            Err(fault) => return Err(self.abandon(session, fault).await),
        };
        (tx.ids, tx.gates.stripes) = (ids, stripes);
        if let Err(fault) = tx.run(batches).await {
            self.looked_in_vain(&tx.looks);
            self.shared.undo(&tx.dealing);
            drop(tx);
            return Err(self.abandon(session, fault).await);
        }
        let finished = tx.finish().await;
        // Others wait for nothing that is left to be done.
        tx.tell_opened();
        let (answers, news) = (std::mem::take(&mut tx.answers), std::mem::take(&mut tx.news));
        let trace = finished.as_ref().err().filter(|fault| fault.is_away()).and_then(|_| tx.trace());
        let (looks, full, names) = (std::mem::take(&mut tx.looks), tx.full(), Arc::clone(&tx.names));
        let dealing = std::mem::take(&mut tx.dealing);
        drop(tx);
        if let Err(fault) = finished {
            let fault = self.abandon(session, fault).await;
            if !self.was_committed(trace).await {
                self.looked_in_vain(&looks);
                self.shared.undo(&dealing);
                return Err(fault);
            }
        }
        self.shared.book.learn(&names);
        let mut bounds = self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        bounds.landed(looks, &news.arrivals, self.shared.time.elapsed());
        drop(bounds);
        if !full.is_empty() || !news.freed.is_empty() {
            let mut fullness = self.shared.fullness.lock().unwrap_or_else(PoisonError::into_inner);
            full.into_iter().for_each(|it| fullness.fill(it));
            news.freed.iter().for_each(|gate| fullness.open(*gate));
        }
        Ok(self.landed(answers, news))
    }

    fn looked_in_vain(&self, looks: &[Look]) {
        self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner).failed(looks);
        self.shared.slots.failed();
    }

    fn landed(&self, answers: Vec<Answers>, news: News) -> Vec<Answers> {
        self.commits.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.outbox.add(news);
        answers
    }

    /// Gives a connection back clean, or ends it.
    async fn abandon(&self, session: Session, fault: Fault) -> Fault {
        // A server that stops, or takes no more writes, may have a successor elsewhere.
        if session.is_closed() || fault.is_away() || session.roll_back().await.is_err() {
            session.discard();
        }
        fault
    }

    /// Whether a commit whose answer was lost took place after all. Its number alone does not tell: a database that crashed,
    /// or a standby in its place, gives numbers anew that left no mark on its disk, and somebody else's commit has it then.
    async fn was_committed(&self, trace: Option<Trace>) -> bool {
        let Some(trace) = trace else { return false };
        let asked = timeout(DOUBT, async {
            loop {
                match self.asked_after(&trace).await {
                    Ok(Some(took_place)) => return took_place,
                    Ok(None) => {}
                    Err(fault) if fault.is_away() => {}
                    // Such a number was not given yet: it was forgotten.
                    Err(_) => return false,
                }
                sleep(Duration::from_millis(100)).await;
            }
        });
        asked.await.unwrap_or_else(|_| {
            tracing::warn!(
                number = trace.number,
                "nobody can say whether a commit took place; its callers are told that it did not answer"
            );
            false
        })
    }

    /// Whether it took place; `None`: it is under way.
    async fn asked_after(&self, trace: &Trace) -> Result<Option<bool>> {
        let session = self.sessions.get().await?;
        let status: Option<String> = session.row(&STATUS, &[&trace.number.to_string()]).await?.try_get(0)?;
        match status.as_deref() {
            // Asked only now, so that what has been committed is seen.
            Some("committed") => {
                let row = session.row(&WRITTEN, &[&trace.position, &trace.at, &trace.body]).await?;
                Ok(Some(row.try_get::<_, i64>(0)? > 0))
            }
            Some("in progress") => Ok(None),
            _ => Ok(Some(false)),
        }
    }
}

/// Whether a commit certainly writes: then its number is known from the start, and it can be asked after.
fn writes(batches: &[Batch]) -> Writes {
    let certain = |it: &Batch| !it.accept.is_empty() || !it.settle.is_empty() || !it.hand.is_empty();
    if batches.iter().any(certain) { Writes::Certainly } else { Writes::Perhaps }
}
