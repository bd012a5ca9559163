//! What goes wrong, inside and at the door.

use deadpool_postgres::PoolError;
use tasklane_core::error::StoreError;
use thiserror::Error;
use tokio_postgres::error::SqlState;

use crate::encoding::Damaged;

/// Why something inside the store failed.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// PostgreSQL said so, or the way to it broke.
    #[error("{}", told(.0))]
    Sql(#[from] tokio_postgres::Error),
    /// There is no connection.
    #[error("{0}")]
    NoConnection(String),
    /// What was read makes no sense.
    #[error("{0}")]
    Damaged(String),
}

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// What an error says, with its code and its cause, but never with a value.
pub(crate) fn told(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    if let Some(said) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", said.message(), said.code().code());
    }
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// States of a server that stops, starts, or is no longer the one that takes writes.
const AWAY: &[SqlState] = &[
    SqlState::ADMIN_SHUTDOWN,
    SqlState::CRASH_SHUTDOWN,
    SqlState::CANNOT_CONNECT_NOW,
    SqlState::READ_ONLY_SQL_TRANSACTION,
    SqlState::TOO_MANY_CONNECTIONS,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    SqlState::QUERY_CANCELED,
];

impl Fault {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Sql(error) => error.code(),
            Self::NoConnection(_) | Self::Damaged(_) => None,
        }
    }

    /// Whether the same transaction may work when it is tried again.
    pub(crate) fn is_conflict(&self) -> bool {
        let conflicts = [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE];
        self.code().is_some_and(|code| conflicts.contains(code))
    }

    /// Whether somebody else had for too long what was to be locked.
    pub(crate) fn is_locked(&self) -> bool {
        self.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
    }

    /// Whether a row that was to be new is there already.
    pub(crate) fn is_taken(&self) -> bool {
        self.code() == Some(&SqlState::UNIQUE_VIOLATION)
    }

    /// Whether the database cannot be reached or does not serve now: nothing is wrong with what was asked.
    pub(crate) fn is_away(&self) -> bool {
        match (self, self.code()) {
            (Self::NoConnection(_), _) => true,
            (Self::Damaged(_), _) => false,
            (_, Some(code)) => AWAY.contains(code) || code.code().starts_with("08"),
            // An error without a code is one of the connection.
            (Self::Sql(_), None) => true,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.code() == Some(&SqlState::DISK_FULL)
    }

    fn is_damage(&self) -> bool {
        let damaged = [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED];
        matches!(self, Self::Damaged(_)) || self.code().is_some_and(|code| damaged.contains(code))
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Sql(error),
            other => Self::NoConnection(other.to_string()),
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
    /// The URL is none.
    #[error("the database URL cannot be read: {0}. Write it like postgres://user:password@host:5432/database")]
    Url(String),
    /// The database does not answer.
    #[error(
        "the database cannot be reached: {0}. See that it runs, that the address is right and that the user may log in"
    )]
    Away(String),
    /// The user may not log in this way, or may not make what is needed.
    #[error("the database refuses: {0}. See that user, password and sslmode are what it wants; the user needs CREATE on the database once, or a schema {schema:?} that is its own", schema = super::SCHEMA)]
    Refused(String),
    /// It is too old.
    #[error("the database is PostgreSQL {found}; Tasklane needs {needed} or newer")]
    TooOld {
        /// Its version.
        found: String,
        /// The oldest that works.
        needed: u32,
    },
    /// A newer Tasklane migrated it.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known} and cannot work with it. Start the \
         Tasklane that migrated it, or a newer one"
    )]
    Newer {
        /// Its version.
        found: u32,
        /// The newest this program knows.
        known: u32,
    },
    /// It has to be migrated first, and migrating was forbidden.
    #[error("the database has schema version {found} and needs {known}. Start a server once without --no-migrate")]
    Older {
        /// Its version.
        found: u32,
        /// The version needed.
        known: u32,
    },
    /// It holds no store.
    #[error(
        "the database has no schema {0:?} of Tasklane's. Start a server on it once, or name the right one with --database-schema"
    )]
    Missing(Box<str>),
    /// A promotion into it was not finished.
    #[error(
        "the database is incomplete: an embedded store is being promoted into it, or was until that was cut off. Run the same \
         `tasklane db promote` again; until it has ended the embedded store is the true one"
    )]
    Incomplete,
    /// It holds what Tasklane did not write.
    #[error("the schema in the database is not what Tasklane made: {0}")]
    Strange(String),
}

impl OpenError {
    pub(crate) fn from_fault(fault: &Fault) -> Self {
        let refused = [
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        ];
        match fault {
            Fault::Damaged(what) => Self::Strange(what.clone()),
            // PostgreSQL knows the parameters that a session begins with; PgBouncer says this of `options`.
            fault if fault.code() == Some(&SqlState::PROTOCOL_VIOLATION) => Self::Refused(format!(
                "{fault}: a pooler stands before it, which has to be told by the setting store.database_pooler"
            )),
            // An answer with a code is one of a database that is there.
            fault if fault.is_away() && !fault.code().is_some_and(|code| refused.contains(code)) => {
                Self::Away(fault.to_string())
            }
            fault => Self::Refused(fault.to_string()),
        }
    }
}
