//! What the server is asked to be. Each section reads its own settings and refuses what it cannot do, with the remedy.
//! A flag wins over the environment, the environment over the default; an empty variable counts as absent.

pub mod atropos;
mod environment;
pub mod executors;
pub mod http;
pub mod keys;
pub mod listen;
pub mod log;
pub mod store;

use std::path::PathBuf;

pub use environment::Environment;
use tasklane_api::Dialect;

use crate::error::StartError;

/// What the command line said; `None` is silence.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--listen ADDR:PORT`.
    pub listen: Option<String>,
    /// `--insecure`.
    pub exposure: Option<listen::Exposure>,
    /// `--data-dir DIR`.
    pub data_dir: Option<PathBuf>,
    /// `--database-url URL`.
    pub database_url: Option<String>,
    /// `--no-executors`.
    pub executors: Option<executors::InServer>,
}

/// The settings of a server, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens and what it takes from one caller.
    pub listen: listen::Listen,
    /// Where tasks are kept.
    pub store: store::Store,
    /// Which work it does itself.
    pub executors: executors::Executors,
    /// Which pages may call it.
    pub http: http::Http,
    /// The dialect whose place it takes: that one's root routes instead of Tasklane's own. A command sets it.
    pub alone: Option<Dialect>,
}

impl Config {
    /// The settings that `flags` and `environment` ask for. The log has its own section ([`log::Log`]), read before this
    /// one so that refusals can be logged.
    ///
    /// # Errors
    /// A setting that cannot be read, or that asks for what this version cannot do.
    pub fn read(flags: &Flags, environment: &Environment) -> Result<Self, StartError> {
        keys::refuse(environment)?;
        Ok(Self {
            listen: listen::Listen::read(flags, environment)?,
            store: store::Store::read(flags, environment)?,
            executors: executors::Executors::read(flags, environment)?,
            http: http::Http::read(environment)?,
            alone: None,
        })
    }
}

/// Every variable of ours that some part of this version reads; others that begin with `TASKLANE_` are likely typos.
const KNOWN: &[&[&str]] = &[
    listen::VARIABLES,
    store::VARIABLES,
    executors::VARIABLES,
    http::VARIABLES,
    log::VARIABLES,
    keys::VARIABLES,
    // Read by clients; often set for the whole machine.
    &["TASKLANE_URL", "TASKLANE_API_KEY"],
];

/// Variables that begin with `TASKLANE_` and that nothing reads.
pub fn unknown(environment: &Environment) -> Vec<&str> {
    let known = |name: &str| KNOWN.iter().any(|section| section.contains(&name));
    environment.names().filter(|name| name.starts_with("TASKLANE_") && !known(name)).collect()
}

/// Says in the log which variables are likely misspelt.
pub fn warn_unknown(environment: &Environment) {
    for name in unknown(environment) {
        tracing::warn!(name, "this variable is set, but nothing reads it");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_said_is_a_loopback_server_with_executors() {
        let config = Config::read(&Flags::default(), &Environment::default()).unwrap();
        assert_eq!(config.listen.address.to_string(), "127.0.0.1:8000");
        assert_eq!(config.store.dir, PathBuf::from(".tasklane"));
        assert_eq!(config.executors.in_server, executors::InServer::Builtin);
    }

    #[test]
    fn a_misspelt_variable_is_found() {
        let environment =
            Environment::from([("TASKLANE_DATA_DRI", "/srv"), ("TASKLANE_DATA_DIR", "/srv"), ("HOME", "/")]);
        assert_eq!(unknown(&environment), ["TASKLANE_DATA_DRI"]);
    }
}
