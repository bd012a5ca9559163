//! `db backup` and `db restore`. A backup is one consistent moment of a database, taken while a server may write; never
//! copy the file by hand, its newest commits are in another one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use thiserror::Error;

use super::check::{check, open_known};
use super::error::OpenError;
use super::open::{DATABASE, lock};

/// Why a backup was not made.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The database cannot be read.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// A backup never overwrites anything.
    #[error("{} exists already. Name a file that does not", .0.display())]
    Exists(PathBuf),
    /// It could not be written.
    #[error("cannot write {}: {cause}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

/// Why a backup was not restored. Nothing was changed.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The backup cannot be read, or the data directory is in use.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The backup is damaged.
    #[error("{} is damaged: {problem}. Restore another backup", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The first thing that was found.
        problem: String,
    },
    /// There are tasks already.
    #[error("{} holds {tasks} tasks. Restore into another data directory, or move that file away", path.display())]
    NotEmpty {
        /// Which file.
        path: PathBuf,
        /// How many.
        tasks: u64,
    },
    /// It could not be written.
    #[error("cannot write {}: {cause}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

/// Copies the database at `path` to the new file `to`. Answers with its size in bytes.
///
/// # Errors
/// [`BackupError`].
pub fn backup(path: &Path, to: &Path) -> Result<u64, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let source = open_known(path)?;
    let part = beside(to, "part");
    let io = |cause: String| BackupError::Io { path: to.to_owned(), cause };
    copy(&source, &part).and_then(|()| settle_down(&part, to)).map_err(io)?;
    fs::metadata(to).map(|file| file.len()).map_err(|error| io(error.to_string()))
}

/// Puts the backup `from` in the place of the empty database of `dir`. Answers with how many tasks it holds.
///
/// # Errors
/// [`RestoreError`]; the database of `dir` is then what it was.
pub fn restore(from: &Path, dir: &Path) -> Result<u64, RestoreError> {
    let to = dir.join(DATABASE);
    let io = |cause: String| RestoreError::Io { path: to.clone(), cause };
    fs::create_dir_all(dir).map_err(|error| io(error.to_string()))?;
    let _lock = lock(&to)?;
    refuse_tasks(&to)?;
    let source = open_known(from)?;
    // A restore that is cut off leaves this file, which no server opens.
    let part = beside(&to, "restoring");
    copy(&source, &part).map_err(io)?;
    let report = check(&part)?;
    if let Some(problem) = report.problems.first() {
        let _ = fs::remove_file(&part);
        return Err(RestoreError::Damaged { path: from.to_owned(), problem: problem.clone() });
    }
    for old in ["-wal", "-shm"] {
        // What belongs to the old database must not be taken for the new one's.
        let _ = fs::remove_file(format!("{}{old}", to.display()));
    }
    settle_down(&part, &to).map_err(io)?;
    Ok(report.tasks)
}

fn refuse_tasks(to: &Path) -> Result<(), RestoreError> {
    if !to.exists() {
        return Ok(());
    }
    let db = open_known(to)?;
    let tasks = db.query_row("SELECT count(*) FROM tasks", [], |row| row.get::<_, i64>(0));
    let tasks = tasks.map_err(|error| OpenError::from_fault(to, &error.into()))?;
    if tasks == 0 { Ok(()) } else { Err(RestoreError::NotEmpty { path: to.to_owned(), tasks: tasks as u64 }) }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    PathBuf::from(format!("{}.{what}", path.display()))
}

/// Copies all pages in one step: more steps would begin anew with every commit of a busy server, and never end.
fn copy(source: &Connection, to: &Path) -> Result<(), String> {
    let _ = fs::remove_file(to);
    let text = |error: rusqlite::Error| error.to_string();
    let mut copy = Connection::open(to).map_err(text)?;
    let backup = Backup::new(source, &mut copy).map_err(text)?;
    loop {
        match backup.step(-1).map_err(text)? {
            StepResult::Done => break,
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    drop(backup);
    // One file, complete in itself.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).map_err(text)?;
    copy.close().map_err(|(_, error)| text(error))
}

/// Brings a written file to the disk and to its name.
fn settle_down(part: &Path, to: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    File::open(part).and_then(|file| file.sync_all()).map_err(text)?;
    fs::rename(part, to).map_err(text)?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(text)
}
