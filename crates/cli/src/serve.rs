//! `tasklane serve`: a server until it is told to stop.

use clap::Args;
use tasklane_server::config::flags::{All, FlagsOf};
use tasklane_server::config::{self, log::Log};
use tasklane_server::{Config, Environment, Server, Settings, runtime, telemetry};

use crate::failure::{Exit, Failure};

/// Run a server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane serve --data-dir /var/lib/tasklane
  tasklane serve --listen 127.0.0.1:9000 --no-executors

A flag wins over its variable (TASKLANE_LISTEN, also in a file .env), the variable over tasklane.toml and config/*.toml.
`tasklane config check` says what holds and who said it, `tasklane config reference` what there is.

SIGTERM or Ctrl-C drains: running tasks may finish, then the server ends with 0. A second one ends it at once.")]
pub(crate) struct Serve {
    #[command(flatten)]
    said: FlagsOf<All>,
}

impl Serve {
    pub(crate) fn run(self, environment: &Environment) -> Result<Exit, Failure> {
        let settings = Settings::load(&self.said.flags, environment)?;
        telemetry::start(&Log::read(&settings, environment)?)?;
        let config = Config::read(&settings)?;
        config::warn_unread(&settings, environment);
        serve(config)
    }
}

/// Serves until told to stop.
pub(crate) fn serve(config: Config) -> Result<Exit, Failure> {
    let runtime = runtime::server().map_err(Failure::from_io)?;
    let ended = runtime.block_on(async { Server::start(config).await?.run().await });
    // Reads that still go on have nobody left to answer.
    runtime.shutdown_background();
    ended?;
    Ok(Exit::Ok)
}
