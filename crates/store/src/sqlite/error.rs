//! What goes wrong, inside and at the door.

use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};
use tasklane_core::error::StoreError;
use thiserror::Error;

use crate::encoding::Damaged;

/// Why something inside the store failed.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// SQLite said so.
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    /// What was read makes no sense.
    #[error("{0}")]
    Damaged(String),
}

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Sql(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Damaged(_) => false,
        }
    }

    /// A sync failed: what was written may be on disk or not, and the system may have forgotten which. Another sync would
    /// answer that all is well (<https://www.sqlite.org/atomiccommit.html>, <https://lwn.net/Articles/752063/>).
    pub(crate) fn is_unsynced(&self) -> bool {
        let Self::Sql(rusqlite::Error::SqliteFailure(error, _)) = self else { return false };
        matches!(error.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    }

    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sql(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            }
        }
    }
}

impl From<Damaged> for Fault {
    fn from(Damaged(what): Damaged) -> Self {
        Self::Damaged(what)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        if fault.is_full() {
            Self::DiskFull
        } else if fault.is_damage() {
            Self::Damaged(fault.to_string())
        } else {
            Self::Away(fault.to_string())
        }
    }
}

/// Why a store could not be opened: the cause and what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another server has it open.
    #[error(
        "{} is in use by another server. Stop that server, or give this one a data directory of its own",
        .0.display()
    )]
    Locked(PathBuf),
    /// A newer Tasklane wrote it.
    #[error(
        "{} has schema version {found}, this program knows versions up to {known}. Start it with the Tasklane that wrote it, \
         or a newer one, or restore a backup made before the upgrade",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest this program knows.
        known: u32,
    },
    /// It has to be migrated first, and migrating was forbidden.
    #[error("{} has schema version {found} and needs {known}. Start the server once without --no-migrate", path.display())]
    Older {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version needed.
        known: u32,
    },
    /// It is not a store of Tasklane's, or it is damaged.
    #[error(
        "{} is damaged or no database of Tasklane: {cause}. Nothing was changed. Restore a backup with `tasklane db restore FILE`, or \
         move the file away to start with an empty one",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was found.
        cause: String,
    },
    /// Its tasks went to a database.
    #[error(
        "{} was promoted: its tasks are in a PostgreSQL database, and what it holds itself is out of date. Start the server with \
         TASKLANE_DATABASE_URL naming that database. To serve from this file as it was then, run `tasklane db promote --undo`",
        .0.display()
    )]
    Promoted(PathBuf),
    /// The file system refused.
    #[error("cannot open {}: {cause}. See that the directory exists, is writable and has room", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        cause: String,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, cause: impl ToString) -> Self {
        Self::Io { path: path.to_owned(), cause: cause.to_string() }
    }

    pub(crate) fn from_fault(path: &Path, fault: &Fault) -> Self {
        let (path, cause) = (path.to_owned(), fault.to_string());
        if fault.is_damage() { Self::Damaged { path, cause } } else { Self::Io { path, cause } }
    }
}
