//! `tasklane atropos`: a server that takes the place of an Atropos task service.

use std::path::PathBuf;

use clap::Args;
use tasklane_server::config::atropos::say_not_needed;
use tasklane_server::config::executors::InServer;
use tasklane_server::config::listen::Exposure;
use tasklane_server::config::log::Log;
use tasklane_server::{Config, Dialect, Environment, Flags, config, telemetry};

use crate::failure::{Exit, Failure};
use crate::serve;

/// Run a server in place of an Atropos task service
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane atropos
  tasklane atropos --listen 127.0.0.1:9000 --data-dir /var/lib/atropos

Its routes are as its clients know them, /, /health, /docs and /openapi.json too; workers and `tasklane` commands use the
same port. `tasklane serve` has the same /tasks beside Tasklane's own root routes.

Environment: as of `tasklane serve`. REDIS_URL, CELERY_BROKER_URL, CELERY_RESULT_BACKEND, DEBUG and NEXT_PUBLIC_API_URL
are not needed; DATABASE_URL ends the start, as tasks are kept in Tasklane's own files.")]
pub(crate) struct Atropos {
    /// Where to listen [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Where to keep tasks; made if it is not there [default: .tasklane]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Listen where other machines can reach it although it asks nobody for a key
    #[arg(long)]
    insecure: bool,
    /// Run nothing inside the server; workers do it
    #[arg(long)]
    no_executors: bool,
}

impl Atropos {
    pub(crate) fn run(self, environment: &Environment) -> Result<Exit, Failure> {
        telemetry::start(Log::read(environment)?);
        let flags = Flags {
            listen: self.listen,
            exposure: self.insecure.then_some(Exposure::Insecure),
            data_dir: self.data_dir,
            executors: self.no_executors.then_some(InServer::None),
            ..Flags::default()
        };
        let config = Config { alone: Some(Dialect::Atropos), ..Config::read(&flags, environment)? };
        config::warn_unknown(environment);
        say_not_needed(environment);
        serve::serve(config)
    }
}
