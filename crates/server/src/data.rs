//! The data without a server: check, back up, restore, measure and promote.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tasklane_store::postgres;
pub use tasklane_store::postgres::DatabaseStats;
use tasklane_store::promote::{self, PromoteError};
pub use tasklane_store::promote::{Progress, Promoted, Replace};
use tasklane_store::sqlite::{self, BackupError, DATABASE, OpenError, RestoreError};
pub use tasklane_store::sqlite::{FileStats, Report};
use thiserror::Error;

use crate::clock::MachineClock;
use crate::config::store::Database;
use crate::error::{exit, exit_of, exit_of_database};

/// Why something was not done with the data.
#[derive(Debug, Error)]
pub enum DataError {
    /// They cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The backup was not made.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The backup was not put in place.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The database cannot be looked at.
    #[error(transparent)]
    Database(#[from] postgres::OpenError),
    /// The store was not promoted.
    #[error(transparent)]
    Promote(#[from] PromoteError),
    /// The system gave no runtime.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// What is there cannot be set aside.
    #[error("cannot move {} aside: {source}", .path.display())]
    Aside {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DataError {
    /// The exit code of the process, one of [`exit`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Open(error) | Self::Backup(BackupError::Source(error)) | Self::Restore(RestoreError::Open(error)) => {
                exit_of(error)
            }
            Self::Database(error) => exit_of_database(error),
            Self::Promote(error) => exit_of_promotion(error),
            Self::Runtime(_) => exit::FAILED,
            Self::Backup(BackupError::Exists(_)) | Self::Restore(RestoreError::NotEmpty { .. }) => exit::CONFLICT,
            Self::Restore(RestoreError::Damaged { .. }) => exit::DATA,
            Self::Backup(BackupError::Io { .. }) | Self::Restore(RestoreError::Io { .. }) | Self::Aside { .. } => {
                exit::DISK
            }
        }
    }
}

/// Holds everything in the data directory `dir` against everything else. Works while a server runs.
///
/// # Errors
/// It cannot be looked at at all.
pub fn check(dir: &Path) -> Result<Report, DataError> {
    Ok(sqlite::check(&dir.join(DATABASE))?)
}

/// Sizes and counts of the data directory `dir`. Works while a server runs.
///
/// # Errors
/// It cannot be read.
pub fn stats(dir: &Path) -> Result<FileStats, DataError> {
    Ok(sqlite::stats(&dir.join(DATABASE))?)
}

/// Copies the data of `dir` into the new file `to`, and answers with its size in bytes. Works while a server runs.
///
/// # Errors
/// [`BackupError`].
pub fn backup(dir: &Path, to: &Path) -> Result<u64, DataError> {
    Ok(sqlite::backup(&dir.join(DATABASE), to)?)
}

fn exit_of_promotion(error: &PromoteError) -> u8 {
    match error {
        PromoteError::Source(error) => exit_of(error),
        PromoteError::Database(error) => exit_of_database(error),
        PromoteError::Before(_) | PromoteError::NotEmpty(_) | PromoteError::Served | PromoteError::Unfinished => {
            exit::CONFLICT
        }
        PromoteError::Write(_) | PromoteError::Unreleased(_) => exit::UNREACHABLE,
        PromoteError::Differs(_) => exit::DATA,
    }
}

fn options(database: &Database) -> postgres::Options {
    let Database { url, schema, pooler } = database.clone();
    postgres::Options { schema, pooler, ..postgres::Options::new(url, Arc::new(MachineClock::start())) }
}

fn wait_for<T>(work: impl Future<Output = T>) -> Result<T, DataError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DataError::Runtime)?;
    Ok(runtime.block_on(work))
}

/// Holds everything in a database against everything else. Works while servers run.
///
/// # Errors
/// It cannot be looked at at all.
pub fn check_database(database: &Database) -> Result<Report, DataError> {
    Ok(wait_for(postgres::check(&options(database)))??)
}

/// Sizes and counts of a database. Works while servers run.
///
/// # Errors
/// It cannot be read.
pub fn database_stats(database: &Database) -> Result<DatabaseStats, DataError> {
    Ok(wait_for(postgres::stats(&options(database)))??)
}

/// Copies the data of `dir`, on which no server runs, into an empty database, which is then the true one. Tells `progress`
/// how far it is.
///
/// # Errors
/// [`PromoteError`].
pub fn promote(
    dir: &Path,
    to: &Database,
    replace: Replace,
    progress: impl FnMut(Progress),
) -> Result<Promoted, DataError> {
    let clock = Arc::new(MachineClock::start());
    let options = promote::Options { dir: dir.to_owned(), clock, to: options(to), replace };
    Ok(wait_for(promote::promote(options, progress))??)
}

/// Takes back that the data of `dir` was promoted. Answers whether it had been.
///
/// # Errors
/// It cannot be opened, or a server runs on it.
pub fn undo_promotion(dir: &Path) -> Result<bool, DataError> {
    Ok(promote::undo(dir.to_owned(), Arc::new(MachineClock::start()))?)
}

/// A backup that is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// How many tasks it holds.
    pub tasks: u64,
    /// Where the data that was there before is kept, if there was any.
    pub replaced: Option<PathBuf>,
}

/// Puts the backup `from` in the place of the data of `dir`. Tasks that were there are kept beside it.
///
/// # Errors
/// The backup is damaged, a server runs on `dir`, or the file system refuses; the data of `dir` is then what it was.
pub fn restore(dir: &Path, from: &Path) -> Result<Restored, DataError> {
    let path = match sqlite::restore(from, dir) {
        Ok(tasks) => return Ok(Restored { tasks, replaced: None }),
        // The store has found that no server runs on it.
        Err(RestoreError::NotEmpty { path, .. }) => path,
        Err(error) => return Err(error.into()),
    };
    let aside = free_name(&path);
    let refused = |source| DataError::Aside { path: path.clone(), source };
    move_database(&path, &aside).map_err(refused)?;
    match sqlite::restore(from, dir) {
        Ok(tasks) => Ok(Restored { tasks, replaced: Some(aside) }),
        Err(error) => {
            move_database(&aside, &path).map_err(refused)?;
            Err(error.into())
        }
    }
}

/// `tasklane.db.replaced-1`, or the next number that is free.
fn free_name(path: &Path) -> PathBuf {
    let name = |number: u32| PathBuf::from(format!("{}.replaced-{number}", path.display()));
    (1..u32::MAX).map(name).find(|it| !it.exists()).unwrap_or_else(|| name(0))
}

/// Moves a database with its write-ahead log: the newest commits may stand in that alone.
fn move_database(from: &Path, to: &Path) -> io::Result<()> {
    let beside = |path: &Path, what| PathBuf::from(format!("{}-{what}", path.display()));
    if beside(from, "wal").exists() {
        fs::rename(beside(from, "wal"), beside(to, "wal"))?;
    }
    // An index of the log that is made anew when it is missed.
    let _ = fs::remove_file(beside(from, "shm"));
    fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::clock::MachineClock;

    fn make(dir: &Path) {
        let clock = Arc::new(MachineClock::start());
        drop(sqlite::SqliteStore::open(sqlite::Options::new(dir, clock)).unwrap());
    }

    #[test]
    fn an_empty_store_is_sound_and_can_be_copied_and_put_back() {
        let root = tempfile::tempdir().unwrap();
        let (dir, file) = (root.path().join("data"), root.path().join("backup"));
        make(&dir);
        assert!(check(&dir).unwrap().is_sound());
        assert!(stats(&dir).unwrap().bytes > 0);
        assert!(backup(&dir, &file).unwrap() > 0);
        assert_eq!(backup(&dir, &file).unwrap_err().exit_code(), exit::CONFLICT);
        let other = root.path().join("other");
        assert_eq!(restore(&other, &file).unwrap(), Restored { tasks: 0, replaced: None });
        assert!(check(&other).unwrap().is_sound());
    }

    #[test]
    fn what_is_no_store_is_told_from_what_is_not_there() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(check(root.path()).unwrap_err().exit_code(), exit::DISK);
        fs::write(root.path().join(DATABASE), "not a database, not at all").unwrap();
        assert_eq!(check(root.path()).unwrap_err().exit_code(), exit::DATA);
    }

    #[test]
    fn a_database_moves_with_its_log_and_overwrites_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(DATABASE);
        for file in [DATABASE, "tasklane.db-wal", "tasklane.db-shm", "tasklane.db.replaced-1"] {
            fs::write(root.path().join(file), file).unwrap();
        }
        let aside = free_name(&path);
        assert_eq!(aside, root.path().join("tasklane.db.replaced-2"));
        move_database(&path, &aside).unwrap();
        let log = fs::read_to_string(root.path().join("tasklane.db.replaced-2-wal")).unwrap();
        assert_eq!(log, "tasklane.db-wal");
        assert!(!path.exists() && !root.path().join("tasklane.db-shm").exists());
    }
}
