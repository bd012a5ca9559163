//! `tasklane atropos`: a server that takes the place of an Atropos task service.

use clap::Args;
use tasklane_server::config::atropos::say_not_needed;
use tasklane_server::config::flags::{All, FlagsOf};
use tasklane_server::config::{self, log::Log};
use tasklane_server::{Config, Dialect, Environment, Settings, telemetry};

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

Settings are those of `tasklane serve`, `.env` included. REDIS_URL, CELERY_BROKER_URL, CELERY_RESULT_BACKEND, DEBUG and NEXT_PUBLIC_API_URL
are not needed. With a DATABASE_URL (postgresql://...) tasks are kept in that database, in a schema of their own: the tables of the service
it replaces are left alone.")]
pub(crate) struct Atropos {
    #[command(flatten)]
    said: FlagsOf<All>,
}

impl Atropos {
    pub(crate) fn run(self, environment: &Environment) -> Result<Exit, Failure> {
        let settings = Settings::load(&self.said.flags, environment)?;
        telemetry::start(&Log::read(&settings, environment)?)?;
        let config = Config { alone: Some(Dialect::Atropos), ..Config::read(&settings)? };
        config::warn_unread(&settings, environment);
        say_not_needed(environment);
        serve::serve(config)
    }
}
