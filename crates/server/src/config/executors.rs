//! Which work the server does itself.

use std::time::Duration;

use super::Settings;
use super::setting::{Flag, Kind, Section, Setting};
use crate::error::StartError;

/// Whether the server works itself.
pub const ENABLED: Setting = Setting {
    key: "executors.enabled",
    kind: Kind::Switch,
    default: Some("true"),
    variable: Some("TASKLANE_EXECUTORS"),
    flag: Some(Flag::Says {
        long: "no-executors",
        value: "false",
        doc: "Run nothing inside the server; workers do it",
    }),
    doc: "Whether the server runs the builtin types itself, on every queue",
    ..Setting::NEW
};

/// How much at once.
pub const SLOTS: Setting = Setting {
    key: "executors.slots",
    kind: Kind::Number(1, 10_000),
    default: Some("64"),
    variable: Some("TASKLANE_SLOTS"),
    doc: "How many tasks the server's own executors run at once",
    ..Setting::NEW
};

/// How long a stop may take.
pub const DRAIN: Setting = Setting {
    key: "executors.drain_seconds",
    kind: Kind::Number(0, 3600),
    // With what follows (telling tasks to stop, open requests) it stays under the 10 s that container runtimes wait
    // before they kill.
    default: Some("6"),
    variable: Some("TASKLANE_DRAIN_SECONDS"),
    doc: "How long tasks that run in the server may go on after a stop was asked for",
    more: "What is not done by then is given back unspent and runs elsewhere, or at the next start.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section =
    Section { name: "executors", doc: "Which work the server does itself.", settings: &[&ENABLED, &SLOTS, &DRAIN] };

/// Which executors run inside the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InServer {
    /// The builtin types, on every queue.
    #[default]
    Builtin,
    /// None: workers elsewhere do the work.
    None,
}

/// The server's own executors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Executors {
    /// Which.
    pub in_server: InServer,
    /// Tasks run at once.
    pub slots: usize,
    /// How long running tasks may go on after a stop was asked for; then they are given back unspent.
    pub drain: Duration,
}

impl Executors {
    /// Reads the section.
    ///
    /// # Errors
    /// A setting that cannot be read.
    pub fn read(settings: &Settings) -> Result<Self, StartError> {
        let in_server = if settings.switch(&ENABLED)? { InServer::Builtin } else { InServer::None };
        let slots = usize::try_from(settings.number(&SLOTS)?).unwrap_or(usize::MAX);
        Ok(Self { in_server, slots, drain: Duration::from_secs(settings.number(&DRAIN)?) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Environment, Flags};
    use super::*;

    fn read(flags: &Flags, environment: &Environment) -> Executors {
        Executors::read(&Settings::without_files(flags, environment).unwrap()).unwrap()
    }

    #[test]
    fn executors_can_be_left_out() {
        assert_eq!(read(&Flags::default(), &Environment::default()).in_server, InServer::Builtin);
        let off = Environment::from([("TASKLANE_EXECUTORS", "no")]);
        assert_eq!(read(&Flags::default(), &off).in_server, InServer::None);
    }

    #[test]
    fn slots_and_drain_are_numbers() {
        let environment = Environment::from([("TASKLANE_SLOTS", "8"), ("TASKLANE_DRAIN_SECONDS", "30")]);
        let executors = read(&Flags::default(), &environment);
        assert_eq!((executors.slots, executors.drain), (8, Duration::from_secs(30)));
    }
}
