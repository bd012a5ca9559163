//! What is missing from settings that are fine for trying things out, and not for work that matters: `config check --production`.

use tracing::Level;

use super::executors::InServer;
use super::listen::Exposure;
use super::log::{Format, Log};
use super::store::Store;
use super::{Config, Setting, executors, http, keys, limits, listen, log, outbound, store};

/// Something that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The setting that it is about.
    pub setting: &'static Setting,
    /// What follows from it as it is.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

const fn missing(setting: &'static Setting, cause: &'static str, remedy: &'static str) -> Missing {
    Missing { setting, cause, remedy }
}

/// What is missing from these settings, in the order of `docs/how-to/run-in-production.md`. What is set up in the store, such as
/// keys, is not known here.
pub fn missing_from(config: &Config, log: &Log) -> Vec<Missing> {
    [queueing(config), authentication(config), logging(config, log), browsers(config), rates(config)].concat()
}

fn queueing(config: &Config) -> Vec<Missing> {
    let mut found = Vec::new();
    match &config.store {
        Store::Embedded { dir } if dir.is_relative() => found.push(missing(
            &store::DATA_DIR,
            "the data lies below whatever directory the server is started in; started elsewhere it begins with nothing",
            "name an absolute path, such as /var/lib/tasklane",
        )),
        Store::Postgres(database) if goes_in_clear(&database.url) => found.push(missing(
            &store::DATABASE_URL,
            "the way to a database on another machine may go in clear",
            "add sslmode=verify-full to the URL",
        )),
        Store::Embedded { .. } | Store::Postgres(_) => {}
    }
    if config.executors.in_server == InServer::Builtin && config.executors.targets.is_empty() {
        found.push(missing(
            &executors::ENABLED,
            "the server runs demonstration types itself",
            "set it to false (--no-executors): workers do the work, and a type that nobody serves is told of",
        ));
    }
    found
}

/// Whether a database of another machine may be spoken with in clear.
fn goes_in_clear(url: &str) -> bool {
    let host = url.rsplit_once('@').map_or(url, |(_, host)| host).trim_start_matches("postgres://");
    let is_here = ["localhost", "127.", "[::1]", "/"].iter().any(|it| host.starts_with(it));
    let is_sure = ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"].iter().any(|it| url.contains(it));
    !is_here && !is_sure
}

fn authentication(config: &Config) -> Vec<Missing> {
    let mut found = Vec::new();
    let is_reachable = !config.listen.address.ip().is_loopback();
    if config.keys.admins.is_empty() {
        found.push(missing(
            &keys::ADMIN_KEY,
            "unless keys were made before, whoever reaches the server may do everything; and where all keys are lost, nothing leads back in",
            "set it to a secret of 32 characters or more, such as of openssl rand -hex 32; it makes the other keys",
        ));
    }
    if config.listen.exposure == Exposure::Insecure {
        found.push(missing(
            &listen::INSECURE,
            "the server listens where others can reach it, even without any key",
            "leave it out, and set keys.admin_key",
        ));
    }
    if is_reachable && config.listen.tls.is_none() {
        found.push(missing(
            &listen::TLS_CERT,
            "keys and tasks go in clear to an address that others can reach",
            "set http.tls_cert and http.tls_key, or listen on loopback behind a proxy that speaks HTTPS",
        ));
    }
    if config.outbound.permits(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)) {
        found.push(missing(
            &outbound::ALLOW,
            "URLs that users set, such as of webhooks, may lead to this very machine",
            "name only the addresses that must be called",
        ));
    }
    found
}

fn logging(config: &Config, log: &Log) -> Vec<Missing> {
    let mut found = Vec::new();
    if log.level > Level::INFO {
        found.push(missing(
            &log::LEVEL,
            "the log tells of every request, and grows with them",
            "set it to info, or to warning",
        ));
    }
    if log.format == Some(Format::Pretty) {
        found.push(missing(
            &log::FORMAT,
            "the log is written for eyes; programs that gather it want JSON",
            "set it to json",
        ));
    }
    if !config.listen.address.ip().is_loopback() && !config.keys.close_metrics {
        found.push(missing(
            &keys::CLOSE_METRICS,
            "/metrics tells whoever reaches it the names of queues and types, and how much is in them",
            "set it to true, and give whoever scrapes a key with the scope read",
        ));
    }
    found
}

fn browsers(config: &Config) -> Vec<Missing> {
    let in_clear = config.http.cors_origins.iter().any(|it| it.starts_with("http://"));
    let told = missing(
        &http::CORS_ORIGINS,
        "pages that come in clear may call the server; whoever changes one on its way calls it, too",
        "name origins that begin with https:// only",
    );
    if in_clear { vec![told] } else { Vec::new() }
}

fn rates(config: &Config) -> Vec<Missing> {
    let mut found = Vec::new();
    if config.limits.rate.is_none() {
        found.push(missing(
            &limits::CALLS,
            "one caller may call as often as it likes, and slow down all others",
            "set it, with limits.calls_per: past it a caller is answered 429 and told when to come again",
        ));
    }
    if config.limits.at_once.is_none() {
        found.push(missing(
            &limits::CALLS_AT_ONCE,
            "one caller may have as many calls under way as there are connections",
            "set it to more than its workers and streams need",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Environment, Flags, Settings};
    use super::*;

    fn keys<const N: usize>(pairs: [(&'static str, &str); N]) -> Vec<&'static str> {
        let environment = Environment::from(pairs);
        let settings = Settings::without_files(&Flags::default(), &environment).unwrap();
        let log = Log::read(&settings, &environment).unwrap();
        missing_from(&Config::read(&settings).unwrap(), &log).iter().map(|it| it.setting.key).collect()
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn what_is_left_as_it_is_is_named_and_what_was_seen_to_is_not() {
        let nothing = keys([]);
        assert_eq!(
            nothing,
            ["store.data_dir", "executors.enabled", "keys.admin_key", "limits.calls", "limits.calls_at_once"]
        );
        let ready = [
            ("TASKLANE_DATA_DIR", "/var/lib/tasklane"),
            ("TASKLANE_EXECUTORS", "false"),
            ("TASKLANE_ADMIN_KEY", SECRET),
            ("TASKLANE_CALLS", "100"),
            ("TASKLANE_CALLS_AT_ONCE", "100"),
        ];
        assert_eq!(keys(ready), [""; 0]);
    }

    #[test]
    fn what_opens_too_much_is_named() {
        let open = [
            ("TASKLANE_DATABASE_URL", "postgres://u:p@db/tasks"),
            ("TASKLANE_LISTEN", "0.0.0.0:8000"),
            ("TASKLANE_INSECURE", "true"),
            ("TASKLANE_OUTBOUND_ALLOW", "0.0.0.0/0"),
            ("TASKLANE_LOG", "debug"),
            ("TASKLANE_LOG_FORMAT", "pretty"),
            ("TASKLANE_CORS_ORIGINS", "http://app.example"),
        ];
        let named = keys(open);
        for key in [
            "store.database_url",
            "http.insecure",
            "http.tls_cert",
            "outbound.allow",
            "log.level",
            "log.format",
            "keys.close_metrics",
            "http.cors_origins",
        ] {
            assert!(named.contains(&key), "{key} in {named:?}");
        }
        for url in ["postgres://u:p@localhost/x", "postgres://u:p@db/x?sslmode=verify-full", "postgres:///x"] {
            assert!(!goes_in_clear(url), "{url}");
        }
    }
}
