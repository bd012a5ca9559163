//! From one machine to many: everything that an embedded store holds goes into an empty PostgreSQL database.
//!
//! The embedded store stays the true one until a single commit of its own, which marks it as promoted. Before that, the
//! database says of itself that it is incomplete and no server opens it; after that, no server opens the embedded store. In
//! between the two there is never a moment at which both would be served from.
//!
//! | step | the embedded store | the database |
//! |---|---|---|
//! | claim | true, held by its lock | empty, incomplete |
//! | fill, verify, commit | true | whole, incomplete |
//! | mark | promoted | whole, incomplete |
//! | release | promoted | true |
//!
//! A promotion that is cut off is begun anew; one that is cut off behind the mark is only released. The event log does not go
//! along: positions begin above it, and whoever follows it is told to begin anew.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use tasklane_core::ports::clock::Clock;
use tasklane_core::queue::Counted;
use thiserror::Error;
use tokio::sync::mpsc;

use self::rows::{Chunk, Tally};
pub use crate::postgres::Replace;
use crate::postgres::{self, Claim, Fault, Fill};
use crate::sqlite::{self, Source};

pub(crate) mod rows;

/// Chunks that wait to be written.
const WAITING: usize = 2;

/// What goes where.
#[derive(Clone)]
pub struct Options {
    /// The directory of the embedded store.
    pub dir: PathBuf,
    /// The machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// The database.
    pub to: postgres::Options,
    /// Whether one that a promotion left incomplete may be filled anew.
    pub replace: Replace,
}

/// How far a promotion has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many tasks are written, of so many.
    Tasks(u64, u64),
    /// Their history, logs, checkpoints and keys are.
    Rest(u64),
    /// Everything is read back.
    Verifying,
}

/// What was promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promoted {
    /// Tasks.
    pub tasks: u64,
    /// Attempts that ended before the last one of their task.
    pub attempts: u64,
    /// Chunks of logs.
    pub logs: u64,
    /// Checkpoints.
    pub checkpoints: u64,
    /// Idempotency keys and unique keys.
    pub keys: u64,
    /// Everything had been copied before, and only the last word was missing.
    pub resumed: bool,
}

/// Why a store was not promoted. Unless it says otherwise the embedded store is what it was.
#[derive(Debug, Error)]
pub enum PromoteError {
    /// The embedded store cannot be opened, or a server has it.
    #[error(transparent)]
    Source(#[from] sqlite::OpenError),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] postgres::OpenError),
    /// It was promoted before.
    #[error("{} was promoted before. Start the server with TASKLANE_DATABASE_URL naming that database", .0.display())]
    Before(PathBuf),
    /// The database is not empty.
    #[error("the database holds {0} already. Name an empty database, or another schema with --database-schema")]
    NotEmpty(&'static str),
    /// Servers use the database.
    #[error("a server uses the database. Stop it, and promote within the time in which none is started")]
    Served,
    /// Another promotion has come as far as its last word.
    #[error(
        "another promotion into the database was cut off, or is under way. Run that one again to end it, or add --replace to \
         begin with this store instead"
    )]
    Unfinished,
    /// The database failed while it was filled.
    #[error("the database did not take it: {0}. Nothing was promoted; the embedded store is still the true one")]
    Write(String),
    /// What was read back is not what was written.
    #[error("{0}. Nothing was promoted; the embedded store is still the true one")]
    Differs(String),
    /// It is done, but the database could not be told so.
    #[error(
        "everything was copied and verified, but the database did not hear the last word: {0}. Run the same command again"
    )]
    Unreleased(String),
}

impl From<Fault> for PromoteError {
    fn from(fault: Fault) -> Self {
        if fault.is_away() { postgres::OpenError::from_fault(&fault).into() } else { Self::Write(fault.to_string()) }
    }
}

/// Promotes an embedded store that no server has open, and tells `progress` how far it is. Must be called in a tokio
/// runtime.
///
/// # Errors
/// [`PromoteError`].
pub async fn promote(options: Options, mut progress: impl FnMut(Progress)) -> Result<Promoted, PromoteError> {
    let source = Source::open(&sqlite::Options::new(&options.dir, Arc::clone(&options.clock)))?;
    let path = source.path.clone();
    let unreadable = |fault| PromoteError::Source(sqlite::OpenError::from_fault(&path, &fault));
    let before = source.promoted().map_err(unreadable)?;
    let mut fill = Fill::open(&options.to).await?;
    match (fill.claim(options.replace, before).await?, before) {
        (Claim::Filled(id), _) => {
            fill.release(id).await.map_err(|fault| PromoteError::Unreleased(fault.to_string()))?;
            return Ok(Promoted { resumed: true, ..Promoted::default() });
        }
        (_, Some(_)) => return Err(PromoteError::Before(path)),
        (Claim::Mine, None) => {}
        (Claim::Unfinished, None) => return Err(PromoteError::Unfinished),
        (Claim::Served, None) => return Err(PromoteError::Served),
        (Claim::Holds(what), None) => return Err(PromoteError::NotEmpty(what)),
    }
    let promoted = move_all(source, &mut fill, &mut progress).await;
    if promoted.is_err() {
        fill.give_up().await;
    }
    promoted
}

/// Fills the database that was claimed, and lets it be the true one.
async fn move_all(
    source: Source,
    fill: &mut Fill,
    progress: &mut impl FnMut(Progress),
) -> Result<Promoted, PromoteError> {
    let path = source.path.clone();
    let unreadable = |fault| PromoteError::Source(sqlite::OpenError::from_fault(&path, &fault));
    if !fill.begin().await? {
        return Err(PromoteError::Unfinished);
    }
    fill.names(&source.names).await?;
    let (source, tally) = pour(source, fill, progress).await?;
    progress(Progress::Verifying);
    same_counts(&source, fill)?;
    let found = fill.verify(source.position().map_err(unreadable)?).await?;
    if let Some(problem) = found.report.problems.first() {
        return Err(PromoteError::Differs(format!("what was written is not sound: {problem}")));
    }
    if found.tally != tally {
        return Err(PromoteError::Differs(format!("{tally:?} was written and {:?} read back", found.tally)));
    }
    let id = (uuid::Uuid::now_v7().as_u128() as i64) | 1;
    fill.commit(id).await?;
    source.mark(Some(id)).map_err(unreadable)?;
    fill.release(id).await.map_err(|fault| PromoteError::Unreleased(fault.to_string()))?;
    let Tally { tasks, attempts, logs, checkpoints, keys, .. } = tally;
    Ok(Promoted { tasks, attempts, logs, checkpoints, keys, resumed: false })
}

/// Takes back that an embedded store was promoted: it can be served from as it was then. Answers whether it had been.
///
/// # Errors
/// It cannot be opened, or a server has it.
pub fn undo(dir: PathBuf, clock: Arc<dyn Clock>) -> Result<bool, sqlite::OpenError> {
    let source = Source::open(&sqlite::Options::new(dir, clock))?;
    let was = source.promoted().and_then(|was| source.mark(None).map(|()| was.is_some()));
    was.map_err(|fault| sqlite::OpenError::from_fault(&source.path, &fault))
}

/// Reads on a thread that may block, and writes here what it has read.
async fn pour(
    source: Source,
    fill: &mut Fill,
    progress: &mut impl FnMut(Progress),
) -> Result<(Source, Tally), PromoteError> {
    let path = source.path.clone();
    let unreadable = |fault| PromoteError::Source(sqlite::OpenError::from_fault(&path, &fault));
    let total = source.counts().map_err(unreadable)?.iter().map(|(.., counts)| counts.total()).sum();
    let names = source.names.clone();
    let (send, mut chunks) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || {
        let read = source.read(|chunk| match send.blocking_send(chunk) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        });
        (source, read)
    });
    let mut tally = Tally::default();
    while let Some(chunk) = chunks.recv().await {
        add(&mut tally, &chunk);
        fill.write(&chunk, &names).await?;
        progress(match &chunk {
            Chunk::Gates(_) | Chunk::Turns(_) | Chunk::Tasks(_) => Progress::Tasks(tally.tasks, total),
            _ => Progress::Rest(tally.attempts + tally.logs + tally.checkpoints + tally.keys),
        });
    }
    let (source, read) = reading.await.map_err(|failed| PromoteError::Write(failed.to_string()))?;
    read.map_err(unreadable)?;
    Ok((source, tally))
}

fn add(tally: &mut Tally, chunk: &Chunk) {
    match chunk {
        Chunk::Gates(rows) => rows.iter().for_each(|it| tally.gate(it)),
        // Where who is new joins; what stands in the lines is told by the tasks.
        Chunk::Turns(_) => {}
        Chunk::Tasks(rows) => rows.iter().for_each(|it| tally.task(&it.task, it.token, it.settled)),
        Chunk::Attempts(rows) => rows.iter().for_each(|it| tally.attempt(it.task, it.attempt, &it.body)),
        Chunk::Logs(rows) => rows.iter().for_each(|it| tally.log(it.task, it.attempt, it.last, &it.body)),
        Chunk::Checkpoints(rows) => rows.iter().for_each(|it| tally.checkpoint(it.task, &it.name, &it.data)),
        Chunk::Keys(rows) => rows.iter().for_each(|it| tally.key(it)),
        Chunk::Records(rows) => rows.iter().for_each(|it| tally.record(it)),
        // They only go on.
        Chunk::Versions(_) => {}
        Chunk::Slots(rows) => rows.iter().for_each(|it| tally.slot(it)),
    }
}

/// What the embedded store counted is what was found in it.
fn same_counts(source: &Source, fill: &Fill) -> Result<(), PromoteError> {
    let damaged = |fault| PromoteError::Source(sqlite::OpenError::from_fault(&source.path, &fault));
    for (lane, scope, counts) in source.counts().map_err(damaged)? {
        let (lane, scope) = (source.names.lane(lane).map_err(damaged)?, source.names.scope(scope).map_err(damaged)?);
        for what in Counted::all() {
            let (counted, found) = (counts.of(what), fill.counted(lane, scope, what));
            if counted != found {
                return Err(PromoteError::Differs(format!(
                    "{found} tasks of {}/{} are {what:?} where the store counts {counted}: see `tasklane db check`",
                    lane.queue, lane.task_type
                )));
            }
        }
    }
    Ok(())
}
