//! Where tasks are kept.

use std::path::PathBuf;

use super::{Environment, Flags};
use crate::error::StartError;

/// Where data is kept unless told otherwise, below the current directory.
pub const DEFAULT_DIR: &str = ".tasklane";

const DATA_DIR: &str = "TASKLANE_DATA_DIR";
const DATABASE_URL: &[&str] = &["TASKLANE_DATABASE_URL", "DATABASE_URL"];
/// The variables this section reads.
pub const VARIABLES: &[&str] = &[DATA_DIR, "TASKLANE_DATABASE_URL"];

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
    pub fn read(flags: &Flags, environment: &Environment) -> Result<Self, StartError> {
        if flags.database_url.is_some() {
            return Err(StartError::NoPostgres { setting: "--database-url" });
        }
        if let Some((setting, _)) = environment.first(DATABASE_URL) {
            return Err(StartError::NoPostgres { setting });
        }
        Ok(Self { dir: data_dir(flags, environment) })
    }
}

/// The data directory that flags and environment name; also used by commands that open the files without a server.
pub fn data_dir(flags: &Flags, environment: &Environment) -> PathBuf {
    let named = flags.data_dir.clone().or_else(|| environment.get(DATA_DIR).map(PathBuf::from));
    named.unwrap_or_else(|| PathBuf::from(DEFAULT_DIR))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_database_url_is_refused_wherever_it_stands() {
        let flags = Flags { database_url: Some("postgres://db/tasks".into()), ..Flags::default() };
        let refusal = Store::read(&flags, &Environment::default()).unwrap_err();
        assert!(matches!(refusal, StartError::NoPostgres { setting: "--database-url" }));
        for name in DATABASE_URL {
            let environment = Environment::from([(*name, "postgres://user:secret@db/tasks")]);
            let refusal = Store::read(&Flags::default(), &environment).unwrap_err();
            assert!(!refusal.to_string().contains("secret"), "{refusal}");
            assert!(refusal.to_string().contains(name), "{refusal}");
        }
    }

    #[test]
    fn the_directory_comes_from_flag_then_environment_then_default() {
        let environment = Environment::from([(DATA_DIR, "/var/lib/tasklane")]);
        let flags = Flags { data_dir: Some("here".into()), ..Flags::default() };
        assert_eq!(data_dir(&flags, &environment), PathBuf::from("here"));
        assert_eq!(data_dir(&Flags::default(), &environment), PathBuf::from("/var/lib/tasklane"));
        assert_eq!(data_dir(&Flags::default(), &Environment::default()), PathBuf::from(".tasklane"));
    }
}
