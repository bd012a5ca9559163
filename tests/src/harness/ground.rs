//! What a fleet keeps its tasks in.

use std::path::{Path, PathBuf};

use tasklane_testkit::ServerOptions;
use tasklane_testkit::postgres::{Cluster, Options};

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The embedded one: one server.
    Sqlite,
    /// PostgreSQL: many servers.
    Postgres,
}

impl Store {
    /// As results name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// How many servers a fleet on it has.
    pub fn servers(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => 2,
        }
    }
}

/// A store of a fleet's own.
#[derive(Debug)]
pub enum Ground {
    /// A file in the server's own directory.
    Sqlite,
    /// A file in that directory.
    SqliteAt(PathBuf),
    /// The database of that URL, in that cluster.
    Postgres(Cluster, String),
}

impl Ground {
    /// A new one of that kind: what is answered is on disk.
    pub fn of(store: Store) -> Self {
        match store {
            Store::Sqlite => Self::Sqlite,
            Store::Postgres => Self::postgres(),
        }
    }

    /// A new cluster with PostgreSQL's defaults.
    pub fn postgres() -> Self {
        let cluster = Cluster::start(Options::full());
        let url = cluster.database("fleet");
        Self::Postgres(cluster, url)
    }

    /// A server on it, not started, whose data lies under `dir`. Its work is done elsewhere.
    pub fn server(&self, dir: &Path) -> ServerOptions {
        match self {
            Self::Sqlite => ServerOptions::without_executors().in_dir(&dir.join("data")),
            Self::SqliteAt(data) => ServerOptions::without_executors().in_dir(data),
            Self::Postgres(_, url) => on(url),
        }
    }
}

/// A server on that database, not started. Its work is done elsewhere.
pub fn on(url: &str) -> ServerOptions {
    ServerOptions::without_executors().with_env("TASKLANE_DATABASE_URL", url)
}
