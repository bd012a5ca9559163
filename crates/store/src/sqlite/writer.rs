//! The one writer: a thread that owns the connection, and carries out in one transaction whatever has gathered while the
//! last one was on its way to the disk.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tasklane_core::error::StoreError;
use tasklane_core::ports::clock::Clock;
use tasklane_core::ports::store::{Answers, Batch};
use tokio::sync::{oneshot, watch};

use super::checkpoint::Checkpoint;
use super::error::{Fault, Result};
use super::live::Live;
use super::notes::Room;
use super::open::Lock;
use super::reserve::Reserve;
use super::sql::Sql;
use super::tx::Tx;
use super::view::View;
use crate::admission::refuse_all;
use crate::clock::StoreClock;
use crate::gather::{COMMIT_BYTES, COMMIT_ITEMS, Job, size};

/// What can be asked of the writer.
pub(crate) enum Ask {
    Commit(Box<Job>),
    Close(oneshot::Sender<()>),
}

/// All that the writer's thread owns.
pub(crate) struct Parts {
    pub db: Connection,
    pub lock: Lock,
    pub live: Live,
    pub view: Arc<RwLock<View>>,
    pub clock: StoreClock,
    pub machine: Arc<dyn Clock>,
    pub reserve: Reserve,
    pub checkpoint: Checkpoint,
    /// Why nothing is written any more.
    pub broken: watch::Sender<Option<String>>,
}

/// Starts the writer.
pub(crate) fn start(parts: Parts) -> std::io::Result<Sender<Ask>> {
    let (asks, asked) = channel();
    thread::Builder::new().name("store-writer".into()).spawn(move || run(parts, &asked))?;
    Ok(asks)
}

struct Writer<'c> {
    sql: Sql<'c>,
    live: Live,
    view: Arc<RwLock<View>>,
    clock: StoreClock,
    machine: Arc<dyn Clock>,
    reserve: Reserve,
    checkpoint: Checkpoint,
    broken: watch::Sender<Option<String>>,
    /// Memory may say what the file does not.
    stale: bool,
}

fn run(parts: Parts, asked: &Receiver<Ask>) {
    let Parts { db, lock, live, view, clock, machine, reserve, checkpoint, broken } = parts;
    let end = broken.subscribe();
    let sql = match Sql::prepare(&db) {
        Ok(sql) => sql,
        Err(fault) => return tracing::error!(%fault, "the store's statements do not fit its schema"),
    };
    let writer = Writer { stale: false, sql, live, view, clock, machine, reserve, checkpoint, broken };
    let closing = serve(writer, asked);
    if end.borrow().is_some() {
        // Closing would move the log into the database, and sync both.
        let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
    let _ = db.close();
    // The next server may open the file from here on.
    drop(lock);
    if let Some(closed) = closing {
        let _ = closed.send(());
    }
}

/// Commits until it is asked to close, or nobody is left to ask.
fn serve(mut writer: Writer<'_>, asked: &Receiver<Ask>) -> Option<oneshot::Sender<()>> {
    let mut ahead = VecDeque::new();
    loop {
        let first = match ahead.pop_front() {
            Some(ask) => ask,
            None => match asked.recv() {
                Ok(ask) => ask,
                Err(_) => {
                    writer.close();
                    return None;
                }
            },
        };
        match first {
            Ask::Close(closed) => {
                writer.close();
                return Some(closed);
            }
            Ask::Commit(job) => {
                let jobs = gather(*job, asked, &mut ahead);
                writer.commit(jobs);
            }
        }
    }
}

/// Takes what else has gathered, up to the bounds of a transaction. What is beyond them waits in `ahead`.
fn gather(first: Job, asked: &Receiver<Ask>, ahead: &mut VecDeque<Ask>) -> Vec<Job> {
    let (mut items, mut bytes) = size(&first.batch);
    let mut jobs = vec![first];
    loop {
        let next = ahead.pop_front().map_or_else(|| asked.try_recv(), Ok);
        match next {
            Ok(Ask::Commit(job)) => {
                let (more_items, more_bytes) = size(&job.batch);
                if items + more_items > COMMIT_ITEMS || bytes + more_bytes > COMMIT_BYTES {
                    ahead.push_front(Ask::Commit(job));
                    return jobs;
                }
                (items, bytes) = (items + more_items, bytes + more_bytes);
                jobs.push(*job);
            }
            Ok(Ask::Close(closed)) => {
                ahead.push_back(Ask::Close(closed));
                return jobs;
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return jobs,
        }
    }
}

impl Writer<'_> {
    /// Carries out what has gathered and answers everybody, once it is on disk.
    fn commit(&mut self, jobs: Vec<Job>) {
        if let Some(why) = self.broken.borrow().as_ref() {
            return jobs.into_iter().for_each(|job| drop(job.reply.send(Err(StoreError::Away(why.clone())))));
        }
        let (mut batches, replies): (Vec<Batch>, Vec<_>) = jobs.into_iter().map(|job| (job.batch, job.reply)).unzip();
        let refuse = !self.reserve.try_again(self.machine.elapsed());
        let mut refused: Vec<_> = if refuse { batches.iter_mut().map(refuse_all).collect() } else { Vec::new() };
        let submissions: Vec<usize> = batches.iter().map(|batch| batch.accept.len()).collect();
        let room = if refuse { Room::Scarce } else { Room::Enough };
        let mut done = self.transact(&mut batches, room);
        if done.as_ref().is_err_and(Fault::is_full) {
            self.reserve.give_up(self.machine.elapsed());
            let full = || Err(full_disk());
            if !refuse {
                refused = submissions.iter().map(|many| std::iter::repeat_with(full).take(*many).collect()).collect();
            }
            batches.iter_mut().for_each(|batch| batch.accept.clear());
            done = self.transact(&mut batches, Room::Scarce);
        }
        match done {
            Ok(mut answers) => {
                for (answers, refused) in answers.iter_mut().zip(&mut refused) {
                    answers.accept.append(refused);
                }
                // A caller who went away does not need its answer.
                replies.into_iter().zip(answers).for_each(|(reply, answers)| drop(reply.send(Ok(answers))));
            }
            Err(fault) => {
                let error = self.failed(fault);
                replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
            }
        }
        if self.broken.borrow().is_none()
            && let Err(fault) = self.checkpoint.look(self.sql.db)
        {
            tracing::warn!(%fault, "the write-ahead log could not be moved into the database; it grows until it can");
            self.break_off(&fault);
        }
    }

    /// What callers are told of a commit that failed.
    fn failed(&self, fault: Fault) -> StoreError {
        if self.break_off(&fault) {
            return StoreError::Away(self.broken.borrow().clone().unwrap_or_default());
        }
        tracing::error!(%fault, "a commit failed; nothing of it happened");
        StoreError::from(fault)
    }

    /// After a sync that failed nothing is written any more: whatever is asked for is refused, and whoever waits for the end
    /// of the store hears of it. Whether the fault is such a one.
    fn break_off(&self, fault: &Fault) -> bool {
        if fault.is_unsynced() {
            tracing::error!(%fault, "the disk did not take what was written; nothing is written any more");
            self.broken.send_replace(Some(format!("the disk did not take what was written: {fault}")));
        }
        fault.is_unsynced()
    }

    /// One transaction, from its beginning to the disk. After a fault nothing of it is left.
    fn transact(&mut self, batches: &mut [Batch], room: Room) -> Result<Vec<Answers>> {
        if self.stale {
            self.forget()?;
        }
        let done = self.try_to(batches, room);
        if done.as_ref().is_err_and(|fault| !fault.is_unsynced())
            && let Err(fault) = self.forget()
        {
            tracing::error!(%fault, "memory could not be read anew after a fault; the next commit tries again");
        }
        done
    }

    fn try_to(&mut self, batches: &mut [Batch], room: Room) -> Result<Vec<Answers>> {
        self.sql.begin()?;
        let now = self.clock.now();
        let mut tx = Tx::new(&mut self.sql, &mut self.live, now, batches, room);
        tx.run(batches)?;
        tx.finish()?;
        let (answers, changes) = (tx.answers, tx.changes);
        if changes.names || self.view().names.lacks(&self.live.names) {
            let strands = self.live.names.strands.changes();
            self.view_mut().follow_names(&self.live.names, strands);
        }
        self.sql.commit()?;
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.follow(changes, &self.live);
        Ok(answers)
    }

    /// Rolls back, and reads again what memory should hold. Leases count anew: the store was away. Until that has
    /// succeeded nothing is committed on what memory says.
    fn forget(&mut self) -> Result<()> {
        self.stale = true;
        self.sql.rollback()?;
        self.live = Live {
            commits: self.live.commits,
            ..Live::load(self.sql.db, self.live.opening, self.live.fairness.clone())?
        };
        self.live.running.count_anew(self.clock.now());
        *self.view_mut() = View::of(&self.live);
        self.stale = false;
        Ok(())
    }

    fn view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> std::sync::RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a file that opens fast.
    fn close(&mut self) {
        if self.broken.borrow().is_some() {
            return;
        }
        let position = self.live.position;
        let counted = self.live.counters.write(&mut self.sql, position);
        if let Err(fault) = counted {
            tracing::warn!(%fault, "the counters were not written at the end; the next start reads them from the log");
        }
        self.checkpoint.last(self.sql.db);
    }
}

fn full_disk() -> tasklane_core::accept::Refused {
    tasklane_core::accept::Refused { index: 0, refusal: tasklane_core::error::Refusal::DiskFull }
}
