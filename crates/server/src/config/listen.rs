//! `[http]`: where the server listens, and how much it takes from its callers.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Settings;
use super::http::CORS_ORIGINS;
use super::setting::{Flag, Kind, Section, Setting};
use crate::error::StartError;

/// Where it listens.
pub const LISTEN: Setting = Setting {
    key: "http.listen",
    kind: Kind::Address,
    default: Some("127.0.0.1:8000"),
    variable: Some("TASKLANE_LISTEN"),
    flag: Some(Flag::Takes { long: "listen", value: "ADDR:PORT" }),
    doc: "Where to listen",
    more: "Port 0 lets the system choose one. An address that other machines can reach needs a key (`keys.admin_key`, or one of \
           `tasklane key create`), or `http.insecure`.",
    ..Setting::NEW
};

/// Whether others may reach it.
pub const INSECURE: Setting = Setting {
    key: "http.insecure",
    kind: Kind::Switch,
    default: Some("false"),
    variable: Some("TASKLANE_INSECURE"),
    flag: Some(Flag::Says {
        long: "insecure",
        value: "true",
        doc: "Listen where other machines can reach it although it asks nobody for a key",
    }),
    doc: "Whether to listen where other machines can reach it although it asks nobody for a key",
    ..Setting::NEW
};

/// The certificate of the listener.
pub const TLS_CERT: Setting = Setting {
    key: "http.tls_cert",
    kind: Kind::Path,
    variable: Some("TASKLANE_TLS_CERT"),
    doc: "A file with the certificate that the server shows, and those above it, in PEM",
    more: "With `http.tls_key` the server speaks HTTPS. Both files are read anew within a second of a change; open connections go \
           on.",
    ..Setting::NEW
};

/// The key of the certificate.
pub const TLS_KEY: Setting = Setting {
    key: "http.tls_key",
    kind: Kind::Path,
    variable: Some("TASKLANE_TLS_KEY"),
    doc: "A file with the private key of the certificate, in PEM",
    ..Setting::NEW
};

/// How many connections.
pub const CONNECTIONS: Setting = Setting {
    key: "http.max_connections",
    kind: Kind::Number(1, 1_000_000),
    default: Some("10000"),
    variable: Some("TASKLANE_MAX_CONNECTIONS"),
    doc: "Most connections open at once",
    more: "One more is answered 503 and closed.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "http",
    doc: "Where the server listens, and how much it takes from its callers.",
    settings: &[&LISTEN, &INSECURE, &TLS_CERT, &TLS_KEY, &CONNECTIONS, &CORS_ORIGINS],
};

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

/// What the server shows to who calls by HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those above it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
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
    /// Speaks HTTPS with these.
    pub tls: Option<TlsFiles>,
}

impl Listen {
    /// Reads the section.
    ///
    /// # Errors
    /// An address that is none; a certificate without its key, or the other way round.
    pub fn read(settings: &Settings) -> Result<Self, StartError> {
        let address = settings.address(&LISTEN)?;
        let exposure = if settings.switch(&INSECURE)? { Exposure::Insecure } else { Exposure::Loopback };
        let max_connections = usize::try_from(settings.number(&CONNECTIONS)?).unwrap_or(usize::MAX);
        let half = |setting: &'static Setting, other: &Setting| {
            let (found, expected) = (settings.get(setting), format!("a file beside which {} names another", other.key));
            Err(StartError::setting(&found.name(), found.text.as_deref().unwrap_or_default(), &expected))
        };
        let tls = match (settings.path(&TLS_CERT), settings.path(&TLS_KEY)) {
            (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
            (Some(_), None) => return half(&TLS_CERT, &TLS_KEY),
            (None, Some(_)) => return half(&TLS_KEY, &TLS_CERT),
            (None, None) => None,
        };
        Ok(Self { address, exposure, taken: Taken::Refuse, max_connections, tls })
    }

    /// Refuses an address that others can reach where nobody is asked for a key, unless that was asked for.
    ///
    /// # Errors
    /// [`StartError::NotLoopback`].
    pub fn check(&self, asks_for_keys: bool) -> Result<(), StartError> {
        let is_near = self.address.ip().to_canonical().is_loopback();
        let is_fine = is_near || asks_for_keys || self.exposure == Exposure::Insecure;
        if is_fine { Ok(()) } else { Err(StartError::NotLoopback { address: self.address }) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Environment, Flags};
    use super::*;

    fn listen(text: &str, environment: Environment) -> Result<Listen, StartError> {
        Listen::read(&Settings::without_files(&Flags::default().with(&LISTEN, text), &environment)?)
    }

    #[test]
    fn an_address_others_can_reach_needs_to_be_asked_for() {
        for address in ["0.0.0.0:8000", "[::]:8000", "192.168.0.7:8000", "[::ffff:10.0.0.1]:80"] {
            let listening = listen(address, Environment::default()).unwrap();
            assert!(matches!(listening.check(false), Err(StartError::NotLoopback { .. })), "{address}");
            listening.check(true).unwrap();
            let insecure = Environment::from([("TASKLANE_INSECURE", "true")]);
            listen(address, insecure).unwrap().check(false).unwrap();
        }
    }

    #[test]
    fn a_certificate_comes_with_its_key() {
        let both = Environment::from([("TASKLANE_TLS_CERT", "a.pem"), ("TASKLANE_TLS_KEY", "a.key")]);
        let tls = listen("127.0.0.1:0", both).unwrap().tls.unwrap();
        assert_eq!((tls.cert, tls.key), (PathBuf::from("a.pem"), PathBuf::from("a.key")));
        for (half, other) in [("TASKLANE_TLS_CERT", "http.tls_key"), ("TASKLANE_TLS_KEY", "http.tls_cert")] {
            let refusal = listen("127.0.0.1:0", Environment::from([(half, "a")])).unwrap_err().to_string();
            assert!(refusal.contains(half) && refusal.contains(other), "{refusal}");
        }
    }

    #[test]
    fn loopback_is_more_than_one_address() {
        for address in ["127.0.0.1:0", "127.3.2.1:8000", "[::1]:8000", "localhost:8000", "[::ffff:127.0.0.1]:80"] {
            listen(address, Environment::default()).unwrap().check(false).unwrap();
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["8000", ":8000", "example.org:80", "127.0.0.1", "127.0.0.1:99999", ""] {
            assert!(matches!(listen(text, Environment::default()), Err(StartError::Setting { .. })), "{text:?}");
        }
    }
}
