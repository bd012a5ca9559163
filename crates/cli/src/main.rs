//! The command line. A file a command; what they share stands below them.

mod arguments;

// The server, and what it is good for.
mod atropos;
mod bench;
mod db;
mod dev;
mod serve;

// Tasks, in the order of their life.
mod cancel;
mod get;
mod ls;
mod queue;
mod result;
mod retry;
mod submit;
mod why;

// What commands share.
mod act;
mod failure;
mod interrupt;
mod moment;
mod output;
mod payload;
mod remote;
mod table;
mod task;
mod wait;

use std::process::ExitCode;

use clap::Parser;
use tasklane_server::{Environment, runtime};

use arguments::{Arguments, Command};
use failure::{Exit, Failure};
use output::Output;
use remote::Remote;

/// Returns memory to the system while idle and is quicker than the system's own under many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let arguments = Arguments::parse();
    let output = Output::new(arguments.output, arguments.colour(&environment));
    let exit = run(arguments, &environment, &output).unwrap_or_else(|failure| {
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
        command => {
            let remote = Remote::new(arguments.url.as_deref(), environment)?;
            let runtime = match command {
                // A worker of many tasks wants every core.
                Command::Bench(_) => runtime::server(),
                _ => runtime::command(),
            };
            let runtime = runtime.map_err(Failure::from_io)?;
            runtime.block_on(talk(command, &remote, output))
        }
    }
}

async fn talk(command: Command, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Submit(command) => command.run(remote, output).await,
        Command::Get(command) => command.run(remote, output).await,
        Command::Result(command) => command.run(remote, output).await,
        Command::Ls(command) => command.run(remote, output).await,
        Command::Why(command) => command.run(remote, output).await,
        Command::Cancel(command) => command.run(remote, output).await,
        Command::Retry(command) => command.run(remote, output).await,
        Command::Queue(command) => command.run(remote, output).await,
        Command::Bench(command) => command.run(remote, output).await,
        Command::Dev(_) | Command::Serve(_) | Command::Atropos(_) | Command::Db(_) => Ok(Exit::Ok),
    }
}
