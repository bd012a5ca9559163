//! What the server is asked to be. Each section declares its settings and refuses what it cannot do, with the remedy.
//! A flag wins over the environment, the environment over the files, the files over the default; an empty variable
//! counts as absent.

// What a setting is, and where it may be said.
pub mod environment;
pub mod file;
pub mod flags;
pub mod nearest;
pub mod setting;
pub mod settings;

// The sections.
pub mod atropos;
pub mod client;
pub mod executors;
pub mod fairness;
pub mod gates;
pub mod http;
pub mod keys;
pub mod limits;
pub mod listen;
pub mod log;
pub mod outbound;
pub mod schedules;
pub mod store;
pub mod webhooks;
pub mod worker;

// What is made from the declarations.
pub mod production;
pub mod reference;
pub mod schema;

pub use environment::Environment;
pub use flags::Flags;
pub use setting::{Section, Setting};
pub use settings::Settings;
use tasklane_api::{CallLimits, Dialect, SetKeys};
use tasklane_core::fair::Fairness;
use tasklane_core::gate::{Bounds, GateName};
use tasklane_engine::NewSchedule;

use crate::error::StartError;

/// Every section, in the order of the reference page.
pub const SECTIONS: &[&Section] = &[
    &listen::SECTION,
    &store::SECTION,
    &executors::SECTION,
    &gates::SECTION,
    &schedules::SECTION,
    &fairness::SECTION,
    &webhooks::SECTION,
    &outbound::SECTION,
    &log::SECTION,
    &keys::SECTION,
    &limits::SECTION,
    &client::SECTION,
    &worker::SECTION,
];

/// The variable that names the configuration file, as `--config` does.
pub const CONFIG: &str = "TASKLANE_CONFIG";

/// The settings of a server, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens and what it takes from one caller.
    pub listen: listen::Listen,
    /// Where tasks are kept.
    pub store: store::Store,
    /// Which work it does itself.
    pub executors: executors::Executors,
    /// How many tasks may run, or start in a time.
    pub gates: Vec<(GateName, Bounds)>,
    /// Rules that make tasks at times.
    pub schedules: Vec<NewSchedule>,
    /// Who may call, besides whoever has a key that is stored.
    pub keys: SetKeys,
    /// How much each caller may call.
    pub limits: CallLimits,
    /// Whether tenants take turns.
    pub fairness: Fairness,
    /// How deliveries are made.
    pub webhooks: webhooks::Webhooks,
    /// What it may call.
    pub outbound: tasklane_outbound::Guard,
    /// Which pages may call it.
    pub http: http::Http,
    /// The dialect whose place it takes: that one's root routes instead of Tasklane's own. A command sets it.
    pub alone: Option<Dialect>,
}

impl Config {
    /// What `settings` ask for. The log has its own section ([`log::Log`]), read before this one so that refusals can be
    /// logged.
    ///
    /// # Errors
    /// A setting that cannot be read, or that asks for what this version cannot do.
    pub fn read(settings: &Settings) -> Result<Self, StartError> {
        Ok(Self {
            listen: listen::Listen::read(settings)?,
            store: store::Store::read(settings)?,
            executors: executors::Executors::read(settings)?,
            gates: gates::read(settings)?,
            schedules: schedules::read(settings)?,
            keys: keys::read(settings)?,
            limits: limits::read(settings)?,
            fairness: fairness::read(settings)?,
            webhooks: webhooks::read(settings)?,
            outbound: outbound::read(settings)?,
            http: http::Http::read(settings)?,
            alone: None,
        })
    }
}

/// Every variable of ours that some part of this version reads.
fn known() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().flat_map(|it| it.settings).flat_map(|it| it.variables()).chain([CONFIG])
}

/// Variables that begin with `TASKLANE_` and that nothing reads, each with the one that may have been meant.
pub fn unknown(environment: &Environment) -> Vec<(&str, Option<&'static str>)> {
    let names = environment.names().filter(|name| name.starts_with("TASKLANE_") && known().all(|it| it != *name));
    names.map(|name| (name, nearest::of(name, known().filter(|it| it.starts_with("TASKLANE_"))))).collect()
}

/// Says in the log which variables are likely misspelt, and which files are not ours.
pub fn warn_unread(settings: &Settings, environment: &Environment) {
    for (name, nearest) in unknown(environment) {
        tracing::warn!(name, nearest, "this variable is set, but nothing reads it");
    }
    for file in settings.skipped() {
        tracing::warn!(file = %file.display(), "this file has no section of Tasklane, and is not read");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn nothing_said_is_a_loopback_server_with_executors() {
        let config = Config::read(&Settings::default()).unwrap();
        assert_eq!(config.listen.address.to_string(), "127.0.0.1:8000");
        assert_eq!(config.store, store::Store::Embedded { dir: PathBuf::from(".tasklane") });
        assert_eq!(config.executors.in_server, executors::InServer::Builtin);
    }

    #[test]
    fn every_setting_is_whole_and_said_in_one_way_only() {
        let settings: Vec<_> =
            SECTIONS.iter().flat_map(|it| it.settings.iter().map(move |setting| (it, setting))).collect();
        let mut taken = BTreeSet::new();
        let sections: BTreeSet<_> = SECTIONS.iter().map(|it| it.name).collect();
        assert_eq!(sections.len(), SECTIONS.len(), "a section is there twice");
        for (section, setting) in settings {
            assert_eq!(setting.key.split('.').next(), Some(section.name), "{}", setting.key);
            assert!(!setting.doc.is_empty() && !setting.doc.ends_with('.'), "{}", setting.key);
            assert!(setting.default.is_none_or(|it| setting.kind.takes(it)), "{}", setting.key);
            let flag = setting.flag.map(|it| it.long());
            for name in [setting.key].into_iter().chain(setting.variables()).chain(flag) {
                assert!(taken.insert(name), "{name} is taken");
            }
        }
    }

    #[test]
    fn a_misspelt_variable_is_found_with_the_one_that_was_meant() {
        let environment =
            Environment::from([("TASKLANE_DATA_DRI", "/srv"), ("TASKLANE_DATA_DIR", "/srv"), ("HOME", "/")]);
        assert_eq!(unknown(&environment), [("TASKLANE_DATA_DRI", Some("TASKLANE_DATA_DIR"))]);
    }
}
