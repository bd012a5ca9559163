//! Why a server does not start, or serves no more: each with its cause, a remedy and the exit code of the process.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tasklane_core::error::StoreError;
use tasklane_engine::ScheduleError;
use tasklane_store::postgres;
use tasklane_store::sqlite::OpenError;
use thiserror::Error;

/// The exit codes of a start that was refused; the command line's own table agrees.
pub mod exit {
    /// Something failed.
    pub const FAILED: u8 = 1;
    /// Asked for wrongly.
    pub const USAGE: u8 = 2;
    /// Somebody else has it: the port, the data directory.
    pub const CONFLICT: u8 = 7;
    /// The data is damaged, or of a version this program does not know.
    pub const DATA: u8 = 65;
    /// The database does not answer.
    pub const UNREACHABLE: u8 = 69;
    /// The disk is full or cannot be read or written.
    pub const DISK: u8 = 74;
    /// A second signal ended it at once.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a server does not start, or serves no more.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting cannot be read.
    #[error("{name} is {value:?}, which is not {expected}")]
    Setting {
        /// The flag or variable.
        name: String,
        /// What it was.
        value: String,
        /// What it should be.
        expected: String,
    },
    /// A file says something that nothing reads.
    #[error("{place}: nothing reads {key}{}", nearest.as_ref().map(|it| format!("; is {it} meant?")).unwrap_or_default())]
    UnknownKey {
        /// File and line.
        place: String,
        /// What it says.
        key: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A configuration file, or `.env`, cannot be read.
    #[error("cannot read {place}: {why}")]
    File {
        /// File and line.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// The log's file cannot be written.
    #[error("cannot log to {}: {why}", .path.display())]
    LogFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Others could reach a server that has no keys.
    #[error("{address} can be reached from other machines, and this server asks nobody for a key")]
    NotLoopback {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A type is bound to a URL that may not be called.
    #[error("executors.http.{task_type:?}.url cannot be called: {why}")]
    Target {
        /// The type.
        task_type: Box<str>,
        /// Why not.
        why: tasklane_outbound::Error,
    },
    /// A schedule of the configuration cannot be read.
    #[error("{place}: the schedule {name:?}: {why}")]
    Schedule {
        /// File and line.
        place: String,
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// Another program listens there.
    #[error("{address} is taken by another program")]
    PortTaken {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The database did not open.
    #[error(transparent)]
    Database(#[from] postgres::OpenError),
    /// The store can do nothing more until it is opened anew.
    #[error("{why}")]
    Broken {
        /// What the store says.
        why: String,
    },
    /// The keys could not be read.
    #[error("the keys were not read: {0}")]
    Keys(StoreError),
    /// The limits of the configuration could not be set.
    #[error("the gates of the configuration were not set: {0}")]
    Gates(StoreError),
    /// The schedules of the configuration could not be set up.
    #[error("the schedules of the configuration were not set up: {0}")]
    Schedules(ScheduleError),
    /// Somebody asked it to stop while it waited for the database.
    #[error("{name} came while the database was waited for")]
    Asked {
        /// The signal.
        name: &'static str,
    },
    /// The system gave no threads.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[from] io::Error),
}

impl StartError {
    /// A setting that cannot be read.
    pub fn setting(name: &str, value: &str, expected: &str) -> Self {
        Self::Setting { name: name.into(), value: value.into(), expected: expected.into() }
    }

    /// A file that cannot be read, at this line.
    pub fn file(path: &Path, line: Option<usize>, why: String) -> Self {
        let line = line.map(|it| format!(":{it}")).unwrap_or_default();
        Self::File { place: format!("{}{line}", path.display()), why }
    }

    /// What to do about it; `None` where the message says it already.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Setting { name, expected, .. } => format!("set {name} to {expected}"),
            Self::NotLoopback { address } => {
                format!(
                    "set TASKLANE_ADMIN_KEY to a secret of 32 characters or more, listen on 127.0.0.1:{}, or add --insecure if \
                     the network itself keeps others out",
                    address.port()
                )
            }
            Self::PortTaken { .. } => "stop the other program, or choose another port with --listen".into(),
            Self::Listen { .. } => "choose another address with --listen".into(),
            Self::UnknownKey { nearest: Some(nearest), .. } => format!("write {nearest}, or take the line out"),
            Self::UnknownKey { .. } => "take it out; `tasklane config reference` lists every key".into(),
            Self::File { .. } => "mend it, or name another file with --config".into(),
            Self::Target { .. } => "bind the type to another URL, or allow the address with outbound.allow".into(),
            Self::LogFile { .. } => "name another file with --log-file, or none".into(),
            Self::Broken { .. } => {
                "see to the disk, then start the server again: what was answered is kept, what was not may be there or not".into()
            }
            Self::Gates(StoreError::DiskFull) => "free some space, or take what is new below [gates] out".into(),
            Self::Gates(_) | Self::Schedules(_) | Self::Keys(_) => "start it again; what was in force before still is".into(),
            Self::Schedule { .. } => "mend it there; docs/reference/configuration.md tells what a schedule says".into(),
            Self::Store(_) | Self::Database(_) | Self::Asked { .. } => return None,
            Self::Runtime(_) => "look at the limits of processes and open files (ulimit -a)".into(),
        })
    }

    /// The exit code of the process, one of [`exit`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Setting { .. }
            | Self::UnknownKey { .. }
            | Self::File { .. }
            | Self::Target { .. }
            | Self::Schedule { .. }
            | Self::NotLoopback { .. } => exit::USAGE,
            Self::LogFile { .. } | Self::Broken { .. } | Self::Gates(StoreError::DiskFull) => exit::DISK,
            Self::Gates(_) | Self::Schedules(_) | Self::Keys(_) => exit::UNREACHABLE,
            Self::Asked { .. } => exit::INTERRUPTED,
            Self::PortTaken { .. } => exit::CONFLICT,
            Self::Store(error) => exit_of(error),
            Self::Database(error) => exit_of_database(error),
            Self::Listen { .. } | Self::Runtime(_) => exit::FAILED,
        }
    }
}

pub(crate) fn exit_of(error: &OpenError) -> u8 {
    match error {
        OpenError::Locked(_) | OpenError::Promoted(_) => exit::CONFLICT,
        OpenError::Newer { .. } | OpenError::Damaged { .. } => exit::DATA,
        OpenError::Io { .. } => exit::DISK,
        OpenError::Older { .. } => exit::USAGE,
    }
}

pub(crate) fn exit_of_database(error: &postgres::OpenError) -> u8 {
    match error {
        postgres::OpenError::Url(_) | postgres::OpenError::Older { .. } | postgres::OpenError::Missing(_) => {
            exit::USAGE
        }
        postgres::OpenError::Incomplete => exit::CONFLICT,
        postgres::OpenError::Away(_) => exit::UNREACHABLE,
        postgres::OpenError::Refused(_) | postgres::OpenError::TooOld { .. } => exit::FAILED,
        postgres::OpenError::Newer { .. } | postgres::OpenError::Strange(_) => exit::DATA,
    }
}
