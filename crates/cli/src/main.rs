//! The command line. A file a command; what they share stands below them.

mod arguments;

// The server, and what it is good for.
mod atropos;
mod audit;
mod bench;
mod config;
mod db;
mod dev;
mod doctor;
mod health;
mod key;
mod promote;
mod serve;
mod stats;
mod top;

// Tasks, in the order of their life.
mod cancel;
mod get;
mod logs;
mod ls;
mod rerun;
mod result;
mod retry;
mod submit;
mod watch;
mod why;

// Other nouns.
mod gate;
mod queue;
mod schedule;
mod types;
mod webhook;
mod work;
mod worker;

// What this program knows by itself.
mod completion;
mod explain;
mod reference;

// What commands share.
mod act;
mod bar;
mod failure;
mod follow;
mod interrupt;
mod limits;
mod listing;
mod moment;
mod named;
mod new_task;
mod output;
mod payload;
mod remote;
mod screen;
mod shape;
mod stream;
mod table;
mod task;
mod told;
mod wait;

use std::process::ExitCode;

use clap::Parser;
use tasklane_server::{Environment, Flags, Settings, runtime};

use arguments::{Arguments, Command};
use failure::{Exit, Failure};
use output::Output;
use remote::Remote;

/// Returns memory to the system while idle and is quicker than the system's own under many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let environment = Environment::of_process();
    let output = Output::new(arguments.output, arguments.field.clone(), arguments.colour(&environment));
    let ended = environment.with_file().map_err(Failure::from).and_then(|it| run(arguments, &it, &output));
    let exit = ended.unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit
    });
    exit.into()
}

/// Servers bring their own runtime and log; everything else talks to one over HTTP, or to its files.
fn run(arguments: Arguments, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Dev(command) => command.run(environment, output),
        Command::Serve(command) => command.run(environment),
        Command::Atropos(command) => command.run(environment),
        Command::Db(command) => command.run(environment, output),
        Command::Config(command) => command.run(environment, output),
        Command::Explain(command) => command.run(output),
        Command::Completion(command) => command.run(output),
        Command::Reference(command) => command.run(output),
        Command::Worker(worker) if let Some(flags) = worker.to_work(arguments.url.as_deref()) => {
            work::work(&flags, environment)
        }
        command => {
            let settings = Settings::load(&Flags::default(), environment)?;
            let url = match command {
                Command::Healthcheck(_) => arguments.url.or_else(|| health::own_url(&settings)),
                _ => arguments.url,
            };
            let remote = Remote::new(url.as_deref(), &settings)?;
            let runtime = match command {
                // A worker of many tasks wants every core.
                Command::Bench(_) => runtime::server(),
                _ => runtime::command(),
            };
            let runtime = runtime.map_err(Failure::from_io)?;
            runtime.block_on(async {
                match command {
                    Command::Doctor(command) => command.run(&remote, &settings, environment, output).await,
                    command => talk(command, &remote, output).await,
                }
            })
        }
    }
}

async fn talk(command: Command, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Submit(command) => command.run(remote, output).await,
        Command::Get(command) => command.run(remote, output).await,
        Command::Result(command) => command.run(remote, output).await,
        Command::Ls(command) => command.run(remote, output).await,
        Command::Watch(command) => command.run(remote, output).await,
        Command::Logs(command) => command.run(remote, output).await,
        Command::Why(command) => command.run(remote, output).await,
        Command::Cancel(command) => command.run(remote, output).await,
        Command::Retry(command) => command.run(remote, output).await,
        Command::Rerun(command) => command.run(remote, output).await,
        Command::Queue(command) => command.run(remote, output).await,
        Command::Gate(command) => command.run(remote, output).await,
        Command::Audit(command) => command.run(remote, output).await,
        Command::Key(command) => command.run(remote, output).await,
        Command::Schedule(command) => command.run(remote, output).await,
        Command::Webhook(command) => command.run(remote, output).await,
        Command::Type(command) => command.run(remote, output).await,
        Command::Worker(command) => command.run(remote, output).await,
        Command::Stats(command) => command.run(remote, output).await,
        Command::Top(command) => command.run(remote, output).await,
        Command::Healthcheck(command) => command.run(remote, output).await,
        Command::Bench(command) => command.run(remote, output).await,
        // Those that need no server, or more than one.
        Command::Dev(_)
        | Command::Serve(_)
        | Command::Atropos(_)
        | Command::Db(_)
        | Command::Config(_)
        | Command::Doctor(_)
        | Command::Explain(_)
        | Command::Completion(_)
        | Command::Reference(_) => Ok(Exit::Ok),
    }
}
