//! The only place where concrete parts meet.

use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tasklane_api::{Hosts, Outward, router};
use tasklane_connectors::webhook::Webhooks;
use tasklane_core::lease::{LaneFilter, TypeFilter};
use tasklane_core::ports::executor::Executor;
use tasklane_core::webhook;
use tasklane_engine::{Bulks, Engine, LocalSource};
use tasklane_outbound::Outbound;
use tasklane_runner::{Runner, RunnerHandle, drain_all};
use tokio::time::sleep;

use crate::config::Config;
use crate::config::executors::InServer;
use crate::config::listen::Exposure;
use crate::error::StartError;
use crate::executors;
use crate::listener::{Bound, Listener};
use crate::open::open;
use crate::prepare::prepare;
use crate::shutdown::Signals;

/// How long open requests may go on once nothing runs in the server any more.
pub const REQUEST_GRACE: Duration = Duration::from_secs(2);
/// How long an attempt that is told to stop, as the drain is over, may take to do so.
pub const STOP_GRACE: Duration = Duration::from_secs(1);
/// How long callers are told that the store broke off before the process ends.
pub const BROKEN_GRACE: Duration = Duration::from_secs(1);
/// How long a lease of the server's own executors lasts: if the process dies, its tasks wait so long at the most.
pub const LEASE: Duration = Duration::from_secs(30);
/// Bulks that are carried out at once.
pub const BULKS: usize = 2;

/// A running server.
pub struct Server {
    engine: Engine,
    runners: Vec<RunnerHandle>,
    listener: Listener,
    signals: Signals,
    address: SocketAddr,
    drain: Duration,
}

impl Server {
    /// Starts a server; when this answers it takes work. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// The address is taken, the store does not open, or the system refuses something.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let mut signals = Signals::take()?;
        let executors = executors(&config)?;
        let bound = Bound::bind(&config.listen)?;
        let address = bound.address();
        // A database may be waited for; files are opened at once.
        let (store, options) = tokio::select! {
            biased;
            opened = open(&config.store, &config.fairness) => opened?,
            name = signals.next() => return Err(StartError::Asked { name }),
        };
        let options = tasklane_engine::Options { endpoint_patience: config.webhooks.disable_after, ..options };
        let engine = Engine::start(store, options);
        if let Err(error) = prepare(&engine, &config).await {
            engine.stop().await;
            return Err(error);
        }
        let mut runners = vec![run_bulks(&engine), run_webhooks(&engine, &config)];
        runners.extend(executors.map(|it| run(it, &engine, config.executors.slots)));
        let options = api_options(&config);
        let turned_away = options.turned_away.clone();
        let listener = bound.serve(router(engine.clone(), options), turned_away);
        tracing::info!(%address, data = %config.store, "ready");
        Ok(Self { engine, runners, listener, signals, address, drain: config.executors.drain })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until a signal asks it to stop, then [stops](Server::stop). A second signal ends the process at once.
    ///
    /// # Errors
    /// [`StartError::Broken`]: the store broke off, and callers have been told so for [`BROKEN_GRACE`].
    pub async fn run(mut self) -> Result<(), StartError> {
        let name = tokio::select! {
            name = self.signals.next() => name,
            why = self.engine.broken() => {
                sleep(BROKEN_GRACE).await;
                return Err(StartError::Broken { why });
            }
        };
        tracing::info!("{name}: finishing what runs; once more stops at once");
        self.stop().await;
        Ok(())
    }

    /// Gives out no more work, lets what runs in it and what was asked finish, and closes the store.
    pub async fn stop(self) {
        self.signals.kill_on_next();
        self.engine.drain();
        for drained in drain_all(self.runners, self.drain).await {
            tracing::info!(given_back = drained.stopped, unreported = drained.unreported, "executors are drained");
        }
        // Streams would go on for ever; their readers come again and go on where they were.
        self.engine.end_streams();
        self.listener.stop(REQUEST_GRACE).await;
        self.engine.stop().await;
        tracing::info!("stopped");
    }
}

fn api_options(config: &Config) -> tasklane_api::Options {
    let hosts = match config.listen.exposure {
        Exposure::Loopback => Hosts::Loopback,
        Exposure::Insecure => Hosts::Any,
    };
    let cors_origins = config.http.cors_origins.clone().into();
    let database = config.store.kind();
    let (keys, limits, alone) = (config.keys.clone(), config.limits, config.alone);
    let outbound = Outbound::new(config.outbound.clone());
    let outward = Outward::new(move |url| outbound.check(url).map_err(|error| error.to_string()));
    tasklane_api::Options { hosts, database, cors_origins, keys, limits, outward, alone, ..Default::default() }
}

/// What does the work inside the server, if anything does.
fn executors(config: &Config) -> Result<Option<Vec<Arc<dyn Executor>>>, StartError> {
    if config.executors.in_server == InServer::None {
        if !config.executors.targets.is_empty() {
            tracing::warn!("executors are off, so nothing here serves the types that are bound to URLs");
        }
        return Ok(None);
    }
    executors::all(&config.executors.targets, &config.outbound).map(Some)
}

/// Runs bulks, whatever other executors there are.
fn run_bulks(engine: &Engine) -> RunnerHandle {
    let source = LocalSource::new(engine.clone(), &format!("bulks-{}", process::id()), Bulks::lanes(), LEASE);
    let options = tasklane_runner::Options { slots: BULKS, lease: LEASE, stop_grace: STOP_GRACE, ..Default::default() };
    Runner::start(Arc::new(source), vec![Arc::new(engine.bulks())], options)
}

/// Makes deliveries, whatever other executors there are.
fn run_webhooks(engine: &Engine, config: &Config) -> RunnerHandle {
    let lanes =
        vec![LaneFilter { queue: Some(webhook::QUEUE.into()), types: TypeFilter::Only(vec![webhook::TYPE.into()]) }];
    let source = LocalSource::new(engine.clone(), &format!("webhooks-{}", process::id()), lanes, LEASE);
    let outbound = Outbound::new(config.outbound.clone());
    let sink = Webhooks::new(engine.endpoint_port(), outbound, config.webhooks.timeout);
    let slots = config.webhooks.at_once;
    let options = tasklane_runner::Options { slots, lease: LEASE, stop_grace: STOP_GRACE, ..Default::default() };
    Runner::start(Arc::new(source), vec![Arc::new(sink)], options)
}

/// Runs the executors' types on every queue.
fn run(executors: Vec<Arc<dyn Executor>>, engine: &Engine, slots: usize) -> RunnerHandle {
    let types = executors.iter().flat_map(|it| it.types()).collect();
    let lanes = vec![LaneFilter { queue: None, types: TypeFilter::Only(types) }];
    let worker = format!("server-{}", process::id());
    let source = LocalSource::new(engine.clone(), &worker, lanes, LEASE);
    let options =
        tasklane_runner::Options { slots, batch: slots, lease: LEASE, stop_grace: STOP_GRACE, ..Default::default() };
    Runner::start(Arc::new(source), executors, options)
}
