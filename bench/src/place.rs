//! Where one measurement keeps its tasks: a fresh directory, and on PostgreSQL a fresh database.

use std::path::{Path, PathBuf};

use tasklane_testkit::postgres::Scratch;
use tempfile::TempDir;

use crate::Failure;
use crate::machine::{family_seconds, monotonic_ns, seconds_since};
use crate::postgres::Postgres;
use crate::report::{Sample, sample};
use crate::settings::{Settings, Store};

/// A place, gone with all that lies in it when it is dropped.
pub struct Place {
    // The database goes before the directory.
    database: Option<(Scratch, Postgres)>,
    dir: TempDir,
}

impl Place {
    /// An empty one on the store that is being measured. A database begins right after a checkpoint.
    pub fn fresh(settings: &Settings) -> Result<Self, Failure> {
        let dir = settings.fresh_dir()?;
        let database = match settings.store {
            Store::Sqlite => None,
            Store::Postgres => Some((settings.postgres.fresh_database(settings)?, settings.postgres.clone())),
        };
        Ok(Self { database, dir })
    }

    /// One of the embedded store, in a directory of its own.
    #[cfg(test)]
    pub fn embedded(dir: TempDir) -> Self {
        Self { database: None, dir }
    }

    /// Where workers, logs and the like write.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The data directory of the first server, or of the bare store.
    pub fn data(&self) -> PathBuf {
        self.data_of(0)
    }

    /// The data directory of the `nth` of several servers.
    pub fn data_of(&self, nth: usize) -> PathBuf {
        let name = if nth == 0 { "data".to_owned() } else { format!("data-{nth}") };
        self.dir().join(name)
    }

    /// The URL of the database; `None` on the embedded store.
    pub fn url(&self) -> Option<&str> {
        self.database.as_ref().map(|(scratch, _)| scratch.url())
    }

    /// Begins to look at what the database writes and works.
    pub fn watch(&self) -> Watch<'_> {
        let seen = self.database.as_ref().map(|(_, postgres)| Seen::now(postgres));
        Watch { place: self, seen, began: monotonic_ns() }
    }
}

/// What the database had written and worked when somebody began to look.
pub struct Watch<'p> {
    place: &'p Place,
    seen: Option<Seen>,
    began: i64,
}

impl Watch<'_> {
    /// Bytes of WAL a task and the cores that PostgreSQL used since; nothing on the embedded store, whose work is the
    /// server's.
    pub fn figures(&self, tasks: usize) -> Sample {
        let seconds = seconds_since(self.began);
        let (Some(before), Some((_, postgres))) = (&self.seen, &self.place.database) else { return Sample::default() };
        let now = Seen::now(postgres);
        sample! {
            "wal_bytes": (now.wal - before.wal) / tasks as f64,
            "database_cores": (now.cpu - before.cpu) / seconds,
        }
    }
}

struct Seen {
    wal: f64,
    cpu: f64,
}

impl Seen {
    fn now(postgres: &Postgres) -> Self {
        Self { wal: postgres.wal_bytes(), cpu: postgres.pid().map_or(0.0, family_seconds) }
    }
}
