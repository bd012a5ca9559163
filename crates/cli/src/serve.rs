//! `tasklane serve`: a server until it is told to stop.

use std::path::PathBuf;

use clap::Args;
use tasklane_server::config::executors::InServer;
use tasklane_server::config::listen::Exposure;
use tasklane_server::{Config, Environment, Flags, Server, StartError, runtime, telemetry};

use crate::failure::{Exit, Failure};

/// Run a server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane serve --data-dir /var/lib/tasklane
  tasklane serve --listen 127.0.0.1:9000 --no-executors

Environment: TASKLANE_LISTEN, TASKLANE_DATA_DIR, TASKLANE_INSECURE, TASKLANE_EXECUTORS, TASKLANE_SLOTS,
TASKLANE_DRAIN_SECONDS, TASKLANE_MAX_CONNECTIONS, TASKLANE_LOG (debug, info, warning, error; also LOG_LEVEL),
TASKLANE_LOG_FORMAT (pretty, json), TASKLANE_CORS_ORIGINS (https://app.example,...: pages that may call it). A flag wins
over its variable.

SIGTERM or Ctrl-C drains: running tasks may finish, then the server ends with 0. A second one ends it at once.")]
pub(crate) struct Serve {
    /// Where to listen [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Where to keep tasks; made if it is not there [default: .tasklane]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep tasks in this database (not built yet: the start is refused)
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Listen where other machines can reach it although it asks nobody for a key
    #[arg(long)]
    insecure: bool,
    /// Run nothing inside the server; workers do it
    #[arg(long)]
    no_executors: bool,
}

impl Serve {
    pub(crate) fn run(self, environment: &Environment) -> Result<Exit, Failure> {
        telemetry::start(tasklane_server::config::log::Log::read(environment)?);
        let config = Config::read(&self.flags(), environment)?;
        tasklane_server::config::warn_unknown(environment);
        serve(config)
    }

    fn flags(&self) -> Flags {
        Flags {
            listen: self.listen.clone(),
            exposure: self.insecure.then_some(Exposure::Insecure),
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
            executors: self.no_executors.then_some(InServer::None),
        }
    }
}

/// Serves until told to stop.
pub(crate) fn serve(config: Config) -> Result<Exit, Failure> {
    let runtime = runtime::server().map_err(Failure::from_io)?;
    runtime.block_on(async {
        Server::start(config).await?.run().await;
        Ok::<_, StartError>(())
    })?;
    // Reads that still go on have nobody left to answer.
    runtime.shutdown_background();
    Ok(Exit::Ok)
}
