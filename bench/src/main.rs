//! Measures Tasklane: one JSON object a line on stdout, progress on stderr.
//!
//! `ONLY=name[,name]` picks lines, `STORE=sqlite,postgres` the stores, `REPS=3` how often each is measured, `HOLD=60` for
//! how many seconds a snapshot is held, `BENCH_DIR` where the data goes (default: beside the build, so that it lies on a real
//! disk). The server under test is the release binary, started on a private port of loopback; workers and submitters are
//! processes of their own.

// What is measured, and how it is told.
mod lines;
mod report;
mod settings;

// What the lines are made of: the server, those who submit, those who work, the bare store.
mod callers;
mod http;
mod load;
mod payload;
mod place;
mod postgres;
mod process;
mod server;
mod store;
mod tally;
mod work;

// Beside them.
mod machine;
mod peer;

use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Anything that stops a measurement; it is printed and the next line is measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::say(&format!("bench: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Failure> {
    match arguments {
        [] => lines::run(&settings::Settings::read()?),
        [word, url, dir] if word == process::WORK => work::run(url, Path::new(dir), work::SLOTS),
        [word, step @ ..] if word == peer::PEER => peer::run(step),
        [other, ..] => Err(format!("unknown argument {other:?}; narrow the lines with ONLY=name[,name]").into()),
    }
}
