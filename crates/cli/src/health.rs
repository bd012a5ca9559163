//! `tasklane healthcheck`: whether a server takes work, for containers and scripts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tasklane_server::Settings;
use tasklane_server::config::client::URL;
use tasklane_server::config::listen::LISTEN;
use tasklane_server::config::settings::Origin;
use tokio::time::timeout;

use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::remote::{Call, Remote};

/// Longest time the server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Exit with 0 if the server takes work
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane healthcheck
  tasklane healthcheck --url http://127.0.0.1:9000

Where no server is named, it asks the one that tasklane.toml and TASKLANE_LISTEN describe: as a container's HEALTHCHECK
it needs no argument. The exit code is 69 if there is none, or it takes no work.")]
pub(crate) struct Healthcheck;

impl Healthcheck {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let asked = timeout(PATIENCE, remote.call(Call::service(["ready"]))).await;
        let late = || Failure::new(Exit::Away, format!("the server at {} did not answer in time", remote.url()));
        let body = asked.map_err(|_| late())??;
        if !output.is_for_people() {
            output.document(&body)?;
        }
        Ok(Exit::Ok)
    }
}

/// Where the server of these settings is, if nobody named another one to commands.
pub(crate) fn own_url(settings: &Settings) -> Option<String> {
    if settings.get(&URL).origin != Origin::Default {
        return None;
    }
    let address = settings.address(&LISTEN).ok()?;
    let ip = match address.ip() {
        IpAddr::V4(it) if it.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(it) if it.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    Some(format!("http://{}", SocketAddr::new(ip, address.port())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tasklane_server::{Environment, Flags};

    use super::*;

    fn url(pairs: [(&str, &str); 1]) -> Option<String> {
        own_url(&Settings::without_files(&Flags::default(), &Environment::from(pairs)).unwrap())
    }

    #[test]
    fn the_server_of_the_same_settings_is_asked() {
        assert_eq!(url([("TASKLANE_LISTEN", "0.0.0.0:9000")]).as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(url([("TASKLANE_LISTEN", "[::]:9000")]).as_deref(), Some("http://[::1]:9000"));
        assert_eq!(url([("TASKLANE_URL", "http://there:1")]), None);
    }
}
