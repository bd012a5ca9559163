//! Where tasks are kept.

use std::path::PathBuf;

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
    doc: "Keep tasks in this database (not built yet: the start is refused)",
    more: "It is never shown: it may hold a password.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section =
    Section { name: "store", doc: "Where tasks are kept.", settings: &[&DATA_DIR, &DATABASE_URL] };

/// The embedded store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The directory of its files; made if it is not there.
    pub dir: PathBuf,
}

impl Store {
    /// Reads the section.
    ///
    /// # Errors
    /// A database URL: this version keeps tasks in its own files only.
    pub fn read(settings: &Settings) -> Result<Self, StartError> {
        let database = settings.get(&DATABASE_URL);
        if database.text.is_some() {
            return Err(StartError::NoPostgres { setting: database.origin.to_string() });
        }
        Ok(Self { dir: data_dir(settings) })
    }
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
    fn a_database_url_is_refused_wherever_it_stands() {
        let flags = Flags::default().with(&DATABASE_URL, "postgres://db/tasks");
        let refusal = read(&flags, &Environment::default()).unwrap_err().to_string();
        assert!(refusal.contains("--database-url"), "{refusal}");
        for name in DATABASE_URL.variables() {
            let environment = Environment::from([(name, "postgres://user:secret@db/tasks")]);
            let refusal = read(&Flags::default(), &environment).unwrap_err().to_string();
            assert!(!refusal.contains("secret") && refusal.contains(name), "{refusal}");
        }
    }

    #[test]
    fn the_directory_is_made_below_the_current_one_unless_named() {
        assert_eq!(read(&Flags::default(), &Environment::default()).unwrap().dir, PathBuf::from(".tasklane"));
        let environment = Environment::from([("TASKLANE_DATA_DIR", "/var/lib/tasklane")]);
        assert_eq!(read(&Flags::default(), &environment).unwrap().dir, PathBuf::from("/var/lib/tasklane"));
    }
}
