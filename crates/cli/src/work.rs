//! `tasklane worker` without a subcommand: the executors of a server, in a process of their own.

use std::time::Duration;

use tasklane_client::{Client, Worker};
use tasklane_server::config::{self, log::Log};
use tasklane_server::shutdown::Signals;
use tasklane_server::{Environment, Flags, Settings, executors, runtime, telemetry};

use crate::failure::{Exit, Failure};

/// How long a server may take to answer, apart from a wait that was asked for.
const ANSWER: Duration = Duration::from_secs(10);
/// How long an attempt that is told to stop may take to do so, as in a server.
const STOP_GRACE: Duration = tasklane_server::assemble::STOP_GRACE;

/// Works until it is told to stop, then drains.
pub(crate) fn work(flags: &Flags, environment: &Environment) -> Result<Exit, Failure> {
    let settings = Settings::load(flags, environment)?;
    telemetry::start(&Log::read(&settings, environment)?)?;
    let config = config::worker::Worker::read(&settings)?;
    config::warn_unread(&settings, environment);
    let worker = assembled(&config)?;
    let runtime = runtime::server().map_err(Failure::from_io)?;
    runtime.block_on(async {
        let signals = Signals::take().map_err(Failure::from_io)?;
        worker.run_until(signals.asked_to_drain()).await.map_err(refused)
    })?;
    // What does not listen when told to stop has been given back.
    runtime.shutdown_background();
    Ok(Exit::Ok)
}

fn assembled(config: &config::worker::Worker) -> Result<Worker, Failure> {
    let servers: Vec<Client> = config.servers.iter().map(|url| client(url, config)).collect::<Result<_, _>>()?;
    let Some((first, others)) = servers.split_first() else {
        return Err(Failure::usage("no server is named").remedy("name one with --server or TASKLANE_SERVER"));
    };
    let options = tasklane_client::worker::Options {
        slots: config.slots,
        batch: config.slots,
        lease: config.lease,
        stop_grace: STOP_GRACE,
        ..Default::default()
    };
    let worker = first.worker().options(options).grace(config.drain);
    let worker = others.iter().fold(worker, Worker::or_server);
    let worker = config.labels.iter().fold(worker, |worker, label| worker.label(label));
    let worker = config.queues.iter().fold(worker, |worker, queue| worker.queue(queue));
    let types: Vec<_> = config.types.iter().map(String::as_str).collect();
    let worker = if types.is_empty() { worker } else { worker.only(&types) };
    let executors = executors::all(&config.targets, &config.outbound)?;
    Ok(executors.into_iter().fold(worker, Worker::executor))
}

fn client(url: &str, config: &config::worker::Worker) -> Result<Client, Failure> {
    let builder = Client::builder().url(url).timeout(ANSWER);
    config.api_key.iter().fold(builder, |builder, key| builder.api_key(key)).build().map_err(refused)
}

/// What is wrong is what was asked for: a server that is away is waited for.
fn refused(error: tasklane_client::Error) -> Failure {
    Failure::usage(error.to_string())
}
