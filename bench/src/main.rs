//! Measures Tasklane: one JSON object a line on stdout, progress on stderr.
//!
//! `ONLY=name[,name]` picks lines, `STORE=sqlite` the store, `REPS=3` how often each is measured, `BENCH_DIR` where the
//! data goes (default: beside the build, so that it lies on a real disk). The server under test is the release binary,
//! started on a private port of loopback; workers and submitters are processes of their own.

mod http;
mod lines;
mod load;
mod machine;
mod payload;
mod process;
mod report;
mod server;
mod settings;
mod store;
mod tally;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Anything that stops a measurement; it is printed and the next line is measured.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result = match arguments.next().as_deref() {
        None => settings::Settings::read().and_then(|settings| lines::run(&settings)),
        Some(process::WORK) => Err("not built yet".into()),
        Some(other) => Err(format!("unknown argument {other:?}; narrow the lines with ONLY=name[,name]").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::say(&format!("bench: {failure}"));
            ExitCode::FAILURE
        }
    }
}
