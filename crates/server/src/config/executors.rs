//! Which work the server does itself.

use std::time::Duration;

use super::{Environment, Flags};
use crate::error::StartError;

/// Tasks the server's own executors run at once.
pub const SLOTS: usize = 64;
/// How long tasks that run in the server may go on after a stop was asked for; with what follows (telling them to stop,
/// open requests) it stays under the 10 s that container runtimes wait before they kill.
pub const DRAIN: Duration = Duration::from_secs(6);

const EXECUTORS: &str = "TASKLANE_EXECUTORS";
const SLOTS_VARIABLE: &str = "TASKLANE_SLOTS";
const DRAIN_VARIABLE: &str = "TASKLANE_DRAIN_SECONDS";
/// The variables this section reads.
pub const VARIABLES: &[&str] = &[EXECUTORS, SLOTS_VARIABLE, DRAIN_VARIABLE];

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
    pub fn read(flags: &Flags, environment: &Environment) -> Result<Self, StartError> {
        let in_server = match (flags.executors, environment.switch(EXECUTORS)?) {
            (Some(in_server), _) => in_server,
            (None, Some(false)) => InServer::None,
            (None, _) => InServer::Builtin,
        };
        let drain = environment.number(DRAIN_VARIABLE, 0, 3600, DRAIN.as_secs())?;
        let slots = environment.number(SLOTS_VARIABLE, 1, 10_000, SLOTS)?;
        Ok(Self { in_server, slots, drain: Duration::from_secs(drain) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn executors_can_be_left_out_by_flag_or_environment() {
        let off = Environment::from([(EXECUTORS, "false")]);
        assert_eq!(Executors::read(&Flags::default(), &off).unwrap().in_server, InServer::None);
        let flags = Flags { executors: Some(InServer::None), ..Flags::default() };
        assert_eq!(Executors::read(&flags, &Environment::default()).unwrap().in_server, InServer::None);
    }

    #[test]
    fn slots_have_bounds() {
        assert!(Executors::read(&Flags::default(), &Environment::from([(SLOTS_VARIABLE, "0")])).is_err());
        let environment = Environment::from([(SLOTS_VARIABLE, "8"), (DRAIN_VARIABLE, "30")]);
        let executors = Executors::read(&Flags::default(), &environment).unwrap();
        assert_eq!((executors.slots, executors.drain), (8, Duration::from_secs(30)));
    }
}
