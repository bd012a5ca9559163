//! Opening: the way to the database, what a session is set to, TLS.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tasklane_core::fair::Fairness;
use tasklane_core::ports::clock::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{OpenError, told};
use super::session::{Pooler, Sessions};
use super::tls::{self, Url};
use crate::sqlite::Migrate;

/// How long to try to connect to one host.
const CONNECT: Duration = Duration::from_secs(5);
/// How long to wait for a free connection.
const WAIT: Duration = Duration::from_secs(10);
/// After so long without an answer from its machine a connection is given up.
const DEAD: Duration = Duration::from_secs(10);
/// Commits on their way at a time.
pub const FLIGHTS: usize = 4;
/// Reads on their way at a time.
pub const READERS: usize = 4;
/// Connections besides those: to fold the counters, and one to spare.
const OTHERS: usize = 2;
/// Notifications that wait to be looked at; one more is lost.
const HEARD: usize = 1024;

/// What a session is set to. Every statement of the road goes by an index, whatever the planner was told of a table that
/// turns over faster than it is counted. A server that stalls in the middle of a commit holds what it locked only so long,
/// which is less than others wait for an answer.
const SETTINGS: &str = "-c jit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off \
    -c enable_bitmapscan=off -c idle_in_transaction_session_timeout=5s -c lock_timeout=30s \
    -c default_transaction_isolation=read\\ committed";

/// The schema, unless it is called otherwise.
pub const SCHEMA: &str = "tasklane";

/// What the channel of hints is called, behind the name of the schema.
const HINTS: &str = "_hints";
/// PostgreSQL cuts longer names off.
const LONGEST_NAME: usize = 63;

/// How to open the store.
#[derive(Clone)]
pub struct Options {
    /// `postgres://` or `postgresql://`, with several hosts if there are several.
    pub url: String,
    /// The schema that holds the tables; a lower-case name.
    pub schema: Box<str>,
    /// What stands between.
    pub pooler: Pooler,
    /// Whether an older schema is brought up to date.
    pub migrate: Migrate,
    /// Commits on their way at a time.
    pub flights: usize,
    /// Whose time counts.
    pub time: super::time::Whose,
    /// Whether tenants take turns.
    pub fairness: Fairness,
}

impl Options {
    /// The defaults, on the database at `url`.
    pub fn new(url: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            url: url.into(),
            schema: SCHEMA.into(),
            pooler: Pooler::default(),
            migrate: Migrate::default(),
            flights: FLIGHTS,
            time: super::time::Whose::Database(clock),
            fairness: Fairness::default(),
        }
    }
}

/// The way to the database.
#[derive(Clone)]
pub(crate) struct Connect {
    config: Config,
    tls: MakeRustlsConnect,
    schema: Box<str>,
}

impl Connect {
    pub(crate) fn new(options: &Options) -> Result<Self, OpenError> {
        let url = Url::parse(&options.url)?;
        let mut config: Config = url.text.parse().map_err(|error| OpenError::Url(told(&error)))?;
        names_schema(&options.schema)?;
        if config.get_application_name().is_none() {
            config.application_name("tasklane");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::Any && config.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        config.keepalives_idle(DEAD).keepalives_interval(DEAD / 4).keepalives_retries(3).tcp_user_timeout(DEAD);
        if options.pooler == Pooler::None {
            let own = config.get_options().map(|it| format!("{it} ")).unwrap_or_default();
            config.options(format!("{own}{SETTINGS}"));
        }
        Ok(Self { config, tls: tls::connector(&url)?, schema: options.schema.clone() })
    }

    /// The pool. No connection is made yet.
    pub(crate) fn sessions(&self, options: &Options) -> Result<Sessions, OpenError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), self.tls.clone(), recycling);
        let pool = Pool::builder(manager)
            .max_size(options.flights + READERS + OTHERS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(CONNECT * 2))
            .build()
            .map_err(|error| OpenError::Away(error.to_string()))?;
        Ok(Sessions { pool, schema: self.schema.clone(), pooler: options.pooler })
    }

    /// The channel that servers of this schema hint by.
    pub(crate) fn channel(&self) -> String {
        format!("{}{HINTS}", self.schema)
    }

    /// A connection that hands on what is notified.
    pub(crate) async fn listen(&self, said: mpsc::Sender<AsyncMessage>) -> Result<(Client, JoinHandle<()>), String> {
        let connected = self.config.connect(self.tls.clone()).await;
        let (client, mut connection) = connected.map_err(|error| told(&error))?;
        let running = tokio::spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
                // One that finds no room is lost, as any hint may be.
                if let Err(mpsc::error::TrySendError::Closed(_)) = said.try_send(message) {
                    return;
                }
            }
        });
        Ok((client, running))
    }

    /// How many notifications may wait.
    pub(crate) const fn heard() -> usize {
        HEARD
    }
}

/// Names are never quoted, and that of the channel is one, too.
fn names_schema(name: &str) -> Result<(), OpenError> {
    let begins = name.starts_with(|it: char| it.is_ascii_lowercase() || it == '_');
    let is_name = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    if begins && name.len() + HINTS.len() <= LONGEST_NAME && name.chars().all(is_name) {
        return Ok(());
    }
    let most = LONGEST_NAME - HINTS.len();
    Err(OpenError::Url(format!(
        "schema {name:?} cannot be: its name is of lower-case letters, digits and _, does not begin with a digit, and has \
         at most {most} characters"
    )))
}

/// A task that ends with its holder.
pub(crate) struct AbortOnDrop(pub JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
