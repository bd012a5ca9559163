//! Where tasks are kept.

use std::fmt;
use std::path::PathBuf;

use tasklane_store::postgres::Pooler;

use super::Settings;
use super::setting::{Flag, Kind, Section, Setting};
use crate::error::StartError;

/// The directory of the embedded store.
pub const DATA_DIR: Setting = Setting {
    key: "store.data_dir",
    kind: Kind::Path,
    default: Some(".tasklane"),
    variable: Some("TASKLANE_DATA_DIR"),
    flag: Some(Flag::Takes { long: "data-dir", value: "DIR" }),
    doc: "Where to keep tasks; made if it is not there",
    more: "A path that is not absolute counts from the directory the program is started in.",
    ..Setting::NEW
};

/// A database of its own.
pub const DATABASE_URL: Setting = Setting {
    key: "store.database_url",
    kind: Kind::Secret,
    variable: Some("TASKLANE_DATABASE_URL"),
    foreign: &["DATABASE_URL"],
    flag: Some(Flag::Takes { long: "database-url", value: "URL" }),
    doc: "Keep tasks in this PostgreSQL, for any number of servers: postgres://USER:PASSWORD@HOST:5432/DATABASE",
    more: "Several hosts stand one behind the other, separated by commas; the one that takes writes is used. It is never shown: it \
           may hold a password. `postgresql://` is the same.",
    ..Setting::NEW
};

/// The schema of its tables.
pub const DATABASE_SCHEMA: Setting = Setting {
    key: "store.database_schema",
    kind: Kind::Text,
    default: Some("tasklane"),
    variable: Some("TASKLANE_DATABASE_SCHEMA"),
    flag: Some(Flag::Takes { long: "database-schema", value: "NAME" }),
    doc: "The schema of that database that holds the tables; made if it is not there",
    ..Setting::NEW
};

/// What stands between.
pub const DATABASE_POOLER: Setting = Setting {
    key: "store.database_pooler",
    kind: Kind::Word(&["none", "transaction"]),
    default: Some("none"),
    variable: Some("TASKLANE_DATABASE_POOLER"),
    flag: Some(Flag::Takes { long: "database-pooler", value: "HOW" }),
    doc: "What stands before that database: none, or a pooler that gives a connection for one transaction",
    more: "With `transaction` (PgBouncer's pool_mode) nothing is prepared or set for a session, and work that another server \
           accepts is found by looking, within a second.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "store",
    doc: "Where tasks are kept.",
    settings: &[&DATA_DIR, &DATABASE_URL, &DATABASE_SCHEMA, &DATABASE_POOLER],
};

/// Where tasks are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In files of this machine.
    Embedded {
        /// The directory of the files; made if it is not there.
        dir: PathBuf,
    },
    /// In a database that other servers may use too.
    Postgres(Database),
}

/// A database of PostgreSQL.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    /// Where it is, and who asks; secret.
    pub url: String,
    /// The schema of the tables.
    pub schema: Box<str>,
    /// What stands between.
    pub pooler: Pooler,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("schema", &self.schema).field("pooler", &self.pooler).finish_non_exhaustive()
    }
}

impl fmt::Display for Store {
    /// Where tasks are, for people; of a database not who asks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded { dir } => dir.display().fmt(f),
            Self::Postgres(database) => write!(f, "schema {} of a PostgreSQL database", database.schema),
        }
    }
}

impl Store {
    /// The word for it in `/`, `/health` and `/v1/stats`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Embedded { .. } => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// Reads the section.
    ///
    /// # Errors
    /// A setting that cannot be read.
    pub fn read(settings: &Settings) -> Result<Self, StartError> {
        Ok(match database(settings)? {
            Some(database) => Self::Postgres(database),
            None => Self::Embedded { dir: data_dir(settings) },
        })
    }
}

/// The database, if one is named; also used by commands that look at it without a server.
///
/// # Errors
/// A URL of something else.
pub fn database(settings: &Settings) -> Result<Option<Database>, StartError> {
    let said = settings.get(&DATABASE_URL);
    let Some(text) = said.text else { return Ok(None) };
    let Some(url) = postgres_url(&text) else {
        let expected = "postgres://USER:PASSWORD@HOST:5432/DATABASE";
        return Err(StartError::setting(&said.origin.to_string(), "the URL of another kind of database", expected));
    };
    let schema = settings.get(&DATABASE_SCHEMA).text.unwrap_or_default().into();
    let pooler = match settings.get(&DATABASE_POOLER).text.as_deref() {
        Some("transaction") => Pooler::Transaction,
        _ => Pooler::None,
    };
    Ok(Some(Database { url, schema, pooler }))
}

/// The URL as PostgreSQL's own programs write it: others put the name of a driver behind the scheme.
fn postgres_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.split_once('+').map_or(scheme, |(scheme, _driver)| scheme);
    matches!(scheme, "postgres" | "postgresql").then(|| format!("postgres://{rest}"))
}

/// The data directory; also used by commands that open the files without a server.
pub fn data_dir(settings: &Settings) -> PathBuf {
    settings.path(&DATA_DIR).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Environment, Flags};
    use super::*;

    fn read(flags: &Flags, environment: &Environment) -> Result<Store, StartError> {
        Store::read(&Settings::without_files(flags, environment).unwrap())
    }

    #[test]
    fn a_database_url_is_taken_wherever_it_stands_and_never_shown() {
        let flags = Flags::default().with(&DATABASE_URL, "postgresql+asyncpg://user:secret@db/tasks");
        let Store::Postgres(database) = read(&flags, &Environment::default()).unwrap() else {
            panic!("not a database")
        };
        assert_eq!(database.url, "postgres://user:secret@db/tasks");
        assert!(!format!("{database:?}").contains("secret"));
        for name in DATABASE_URL.variables() {
            let environment = Environment::from([(name, "postgres://user:secret@db/tasks")]);
            assert!(matches!(read(&Flags::default(), &environment).unwrap(), Store::Postgres(_)));
            let environment = Environment::from([(name, "mysql://user:secret@db/tasks")]);
            let refusal = read(&Flags::default(), &environment).unwrap_err().to_string();
            assert!(!refusal.contains("secret") && refusal.contains(name), "{refusal}");
        }
    }

    #[test]
    fn the_directory_is_made_below_the_current_one_unless_named() {
        let embedded = |dir: &str| Store::Embedded { dir: dir.into() };
        assert_eq!(read(&Flags::default(), &Environment::default()).unwrap(), embedded(".tasklane"));
        let environment = Environment::from([("TASKLANE_DATA_DIR", "/var/lib/tasklane")]);
        assert_eq!(read(&Flags::default(), &environment).unwrap(), embedded("/var/lib/tasklane"));
    }
}
