//! Where the server listens, and how much it takes from its callers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Environment, Flags};
use crate::error::StartError;

/// Where a server listens unless told otherwise: this machine only.
pub const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
/// Most connections open at once; one more is answered 503 and closed.
pub const MAX_CONNECTIONS: usize = 10_000;

const LISTEN: &str = "TASKLANE_LISTEN";
const INSECURE: &str = "TASKLANE_INSECURE";
const CONNECTIONS: &str = "TASKLANE_MAX_CONNECTIONS";
/// The variables this section reads.
pub const VARIABLES: &[&str] = &[LISTEN, INSECURE, CONNECTIONS];

/// Who may reach a server that has no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exposure {
    /// Programs of this machine.
    #[default]
    Loopback,
    /// Everybody who reaches the address: asked for in so many words.
    Insecure,
}

/// Which port is taken when the wanted one is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Taken {
    /// None: the start is refused.
    #[default]
    Refuse,
    /// The next free one (`dev`).
    Next,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Who may reach it.
    pub exposure: Exposure,
    /// What to do when the port is taken.
    pub taken: Taken,
    /// Most connections at once.
    pub max_connections: usize,
}

impl Listen {
    /// Reads the section.
    ///
    /// # Errors
    /// An address that is none, or one that others can reach without `--insecure`.
    pub fn read(flags: &Flags, environment: &Environment) -> Result<Self, StartError> {
        let address = match (&flags.listen, environment.get(LISTEN)) {
            (Some(text), _) => parse("--listen", text)?,
            (None, Some(text)) => parse(LISTEN, text)?,
            (None, None) => DEFAULT,
        };
        let exposure = match (flags.exposure, environment.switch(INSECURE)?) {
            (Some(exposure), _) => exposure,
            (None, Some(true)) => Exposure::Insecure,
            (None, _) => Exposure::Loopback,
        };
        if exposure == Exposure::Loopback && !address.ip().to_canonical().is_loopback() {
            return Err(StartError::NotLoopback { address });
        }
        let max_connections = environment.number(CONNECTIONS, 1, 1_000_000, MAX_CONNECTIONS)?;
        Ok(Self { address, exposure, taken: Taken::Refuse, max_connections })
    }
}

/// `ADDR:PORT`, with `localhost` as the one name that needs no resolver.
fn parse(name: &'static str, text: &str) -> Result<SocketAddr, StartError> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None => text.to_owned(),
    };
    numeric
        .parse()
        .map_err(|_| StartError::setting(name, text, "an address and a port, such as 127.0.0.1:8000 or [::1]:8000"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn listen(text: &str, environment: Environment) -> Result<Listen, StartError> {
        Listen::read(&Flags { listen: Some(text.into()), ..Flags::default() }, &environment)
    }

    #[test]
    fn the_flag_wins_over_the_environment() {
        let environment = Environment::from([(LISTEN, "127.0.0.1:9000")]);
        assert_eq!(Listen::read(&Flags::default(), &environment).unwrap().address.port(), 9000);
        assert_eq!(listen("127.0.0.1:9001", environment).unwrap().address.port(), 9001);
    }

    #[test]
    fn an_address_others_can_reach_needs_to_be_asked_for() {
        for address in ["0.0.0.0:8000", "[::]:8000", "192.168.0.7:8000", "[::ffff:10.0.0.1]:80"] {
            let refusal = listen(address, Environment::default()).unwrap_err();
            assert!(matches!(refusal, StartError::NotLoopback { .. }), "{address}");
            let insecure = Environment::from([(INSECURE, "true")]);
            assert_eq!(listen(address, insecure).unwrap().exposure, Exposure::Insecure);
        }
    }

    #[test]
    fn loopback_is_more_than_one_address() {
        for address in ["127.0.0.1:0", "127.3.2.1:8000", "[::1]:8000", "localhost:8000", "[::ffff:127.0.0.1]:80"] {
            listen(address, Environment::default()).unwrap();
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["8000", ":8000", "example.org:80", "127.0.0.1", "127.0.0.1:99999", ""] {
            assert!(matches!(listen(text, Environment::default()), Err(StartError::Setting { .. })), "{text:?}");
        }
    }
}
