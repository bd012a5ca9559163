//! The worker: what it serves, how much at once, and until when.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tasklane_core::lease::{LaneFilter, TypeFilter};
use tasklane_core::ports::executor::Executor;
use tasklane_runner::{Drained, Options, Runner};
use tasklane_wire::name::is_name;
use tokio::signal;

use super::context::TaskContext;
use super::error::HandlerError;
use super::handler::Handler;
use super::servers::Servers;
use super::source::HttpSource;
use crate::client::Client;
use crate::error::Error;
use crate::transport::Transport;

/// The longest wait for work where there are several servers: after it, one that went without a word is missed.
const WAIT_OF_SEVERAL: Duration = Duration::from_secs(10);

/// Works for a server, or for several that share their tasks: takes tasks of the types it has handlers for, runs them,
/// reports.
#[must_use = "a worker does nothing until it is run"]
pub struct Worker {
    transport: Arc<Transport>,
    others: Vec<Arc<Transport>>,
    executors: Vec<Arc<dyn Executor>>,
    queues: Vec<Box<str>>,
    only: Option<Vec<Box<str>>>,
    name: Box<str>,
    options: Options,
    grace: Duration,
}

impl Worker {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        let (others, executors, queues, options) = (Vec::new(), Vec::new(), Vec::new(), Options::default());
        let grace = Duration::from_secs(30);
        Self { transport, others, executors, queues, only: None, name: label(), options, grace }
    }

    /// Runs tasks of this type with `handle`. The payload is read as an `I`; one that is none fails the task for good.
    pub fn handle<I, O, R, F>(self, task_type: &str, handle: F) -> Self
    where
        F: Fn(TaskContext, I) -> R + Send + Sync + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize,
        R: Future<Output = Result<O, HandlerError>> + Send + 'static,
    {
        self.executor(Arc::new(Handler::new(task_type, handle)))
    }

    /// Runs the types of this executor with it.
    pub fn executor(mut self, executor: Arc<dyn Executor>) -> Self {
        self.executors.push(executor);
        self
    }

    /// Names another server with the same tasks. One is worked for at a time, at first any of them; when it does not answer,
    /// another one is.
    pub fn or_server(mut self, server: &Client) -> Self {
        self.others.push(Arc::clone(&server.transport));
        self
    }

    /// Takes tasks of these types only, though there are handlers for others.
    pub fn only(mut self, types: &[&str]) -> Self {
        self.only = Some(types.iter().map(|it| (*it).into()).collect());
        self
    }

    /// Takes tasks of this queue only; may be said again for more. Every queue unless said.
    pub fn queue(mut self, queue: &str) -> Self {
        self.queues.push(queue.into());
        self
    }

    /// The label the server shows; the machine's name and the process unless said.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Shows this behind the name, such as `gpu=a100`; may be said again for more.
    pub fn label(mut self, label: &str) -> Self {
        self.name = format!("{} {label}", self.name).into();
        self
    }

    /// Most tasks held at once; 100 unless said.
    pub fn slots(mut self, slots: usize) -> Self {
        self.options.slots = slots;
        self
    }

    /// How long a lease lasts without renewal, one second to one hour; 30 seconds unless said. If this process dies, its
    /// tasks wait that long.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.options.lease = lease;
        self
    }

    /// How long running tasks may take to finish once the worker is to end; 30 seconds unless said.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Everything about slots, batches and times.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Works until SIGTERM or Ctrl-C, then drains.
    ///
    /// # Errors
    /// [`Error::Invalid`] if its name is none, if it has no handler, or none for a type it is to serve. A server that is away is waited for.
    pub async fn run(self) -> Result<Drained, Error> {
        self.run_until(asked_to_end()).await
    }

    /// Works until `end` ends, then drains: takes no more, lets what runs finish within the grace, gives the rest back.
    ///
    /// # Errors
    /// As [`Worker::run`].
    pub async fn run_until(mut self, end: impl Future<Output = ()>) -> Result<Drained, Error> {
        let types = self.types()?;
        if !is_name(&self.name) {
            let wrong = "the worker's name and labels must be 1 to 200 bytes without control characters";
            return Err(Error::Invalid(wrong.into()));
        }
        let lanes = lanes(&self.queues, &types);
        if !self.others.is_empty() {
            self.options.wait = self.options.wait.min(WAIT_OF_SEVERAL);
        }
        let seed = self.options.seed.unwrap_or_else(|| RandomState::new().hash_one(1));
        let servers = Servers::new(self.transport, self.others, seed);
        tracing::info!(worker = %self.name, servers = servers.urls(), ?types, "working");
        let source = HttpSource::new(servers, &self.name, lanes, self.options.lease);
        let runner = Runner::start(Arc::new(source), self.executors, self.options);
        end.await;
        tracing::info!(worker = %self.name, running = runner.held(), "draining");
        let drained = runner.drain(self.grace).await;
        tracing::info!(worker = %self.name, given_back = drained.stopped, unreported = drained.unreported, "drained");
        Ok(drained)
    }
}

impl Worker {
    /// What it serves: what there are handlers for, unless less was asked for.
    fn types(&self) -> Result<Vec<Box<str>>, Error> {
        let has: Vec<_> = self.executors.iter().flat_map(|it| it.types()).collect();
        let serves = |it: &str| has.iter().any(|of| **of == *it || **of == *"*");
        let types = match &self.only {
            Some(only) => match only.iter().find(|it| !serves(it.as_ref())) {
                Some(odd) => {
                    return Err(Error::Invalid(format!("the worker has no handler for {odd:?}; it has {has:?}")));
                }
                None => only.clone(),
            },
            None => has,
        };
        if types.is_empty() { Err(Error::Invalid("the worker has no handler".into())) } else { Ok(types) }
    }
}

/// Every type in every queue that was named.
fn lanes(queues: &[Box<str>], types: &[Box<str>]) -> Vec<LaneFilter> {
    let any = types.iter().any(|it| &**it == "*");
    let filter = if any { TypeFilter::Any } else { TypeFilter::Only(types.to_vec()) };
    let lane = |queue: Option<&Box<str>>| LaneFilter { queue: queue.cloned(), types: filter.clone() };
    if queues.is_empty() { vec![lane(None)] } else { queues.iter().map(|it| lane(Some(it))).collect() }
}

/// Tells workers apart: the machine, the process, and a random part, as a process id may come again.
fn label() -> Box<str> {
    let host = std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    let host: String = host.unwrap_or_default().trim().chars().filter(|it| !it.is_control()).take(64).collect();
    let host = if host.is_empty() { "worker" } else { &host };
    format!("{host}-{}-{:04x}", std::process::id(), RandomState::new().hash_one(0) & 0xffff).into()
}

/// Ends with SIGTERM or Ctrl-C.
async fn asked_to_end() {
    #[cfg(unix)]
    {
        let terminated = async {
            match signal::unix::signal(signal::unix::SignalKind::terminate()) {
                Ok(mut signals) => drop(signals.recv().await),
                Err(error) => {
                    tracing::warn!(%error, "SIGTERM cannot be listened to");
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! { () = terminated => {}, () = interrupted() => {} }
    }
    #[cfg(not(unix))]
    interrupted().await;
}

async fn interrupted() {
    if let Err(error) = signal::ctrl_c().await {
        tracing::warn!(%error, "Ctrl-C cannot be listened to");
        std::future::pending::<()>().await;
    }
}
