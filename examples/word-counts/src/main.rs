//! Counts the words of every text of a directory: one task a file, done by a worker in whatever process it runs.
//!
//! ```text
//! word-counts work                 a worker: counts until Ctrl-C
//! word-counts submit DIRECTORY     submits a task a file, waits, prints a table
//! word-counts run DIRECTORY        both in one process
//! ```

mod submit;
mod work;

use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tasklane_client::Client;

/// The type both sides agree on.
const TYPE: &str = "word.count";

/// What is asked for: the payload of a task. The text itself, so that worker and submitter need no common disk.
#[derive(Serialize, Deserialize)]
struct Text {
    name: String,
    text: String,
}

/// What is answered: the result of a task.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    lines: usize,
    words: usize,
    /// How many different words there are, whatever their case.
    distinct: usize,
    /// The word of more than three letters that stands there most often.
    favourite: String,
}

const USAGE: &str = "usage: word-counts work | submit DIRECTORY | run DIRECTORY";

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "a program for a terminal")]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("word-counts: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["work"] => work::work(&client).await?,
        ["submit", directory] => submit::submit(&client, Path::new(directory)).await?,
        ["run", directory] => {
            tokio::select! {
                ended = work::work(&client) => ended?,
                printed = submit::submit(&client, Path::new(directory)) => printed?,
            }
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}
