//! The steps by which a harness measures many queues the same way; see `bench/peer/README.md`.

use std::io::Write;
use std::path::Path;

use serde_json::json;
use tasklane_client::Client;

use crate::callers::{fill, new_task, paced, singles};
use crate::load::block_on;
use crate::machine::{cpu_seconds, monotonic_ns, seconds_since};
use crate::{Failure, work};

/// The argument that asks for a step.
pub const PEER: &str = "peer";
const URL: &str = "http://127.0.0.1:17800";

/// Does the step that the arguments name.
pub fn run(arguments: &[String]) -> Result<(), Failure> {
    let url = std::env::var("TASKLANE_URL").unwrap_or_else(|_| URL.to_owned());
    let client = Client::builder().url(&url).build()?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["setup"] => Ok(()),
        ["single", callers, seconds] => single(&client, callers.parse()?, seconds.parse()?),
        ["fill", tasks, batch, lanes] => bulk(&client, tasks.parse()?, batch.parse()?, lanes.parse()?),
        ["paced", tasks] => {
            block_on(paced(&client, tasks.parse()?))?;
            print("{}")
        }
        ["work", slots] => work::run(&url, Path::new(&std::env::var("PEERS_RUN")?), slots.parse()?),
        _ => Err("setup | single CONC SECS | fill TOTAL BATCH LANES | paced COUNT | work CONC".into()),
    }
}

fn single(client: &Client, callers: usize, seconds: f64) -> Result<(), Failure> {
    block_on(async {
        client.submit(new_task(0)).await?;
        let began = Began::now();
        let sent = singles(client, callers, seconds).await?;
        began.tell(sent)
    })
}

fn bulk(client: &Client, tasks: usize, batch: usize, lanes: usize) -> Result<(), Failure> {
    block_on(async {
        client.submit(new_task(0)).await?;
        let began = Began::now();
        fill(client, tasks, batch, lanes).await?;
        began.tell(tasks)
    })
}

/// When a step began, and what the process had spent by then.
struct Began {
    at: i64,
    spent: f64,
}

impl Began {
    fn now() -> Self {
        Self { at: monotonic_ns(), spent: cpu_seconds(std::process::id()) }
    }

    fn tell(&self, tasks: usize) -> Result<(), Failure> {
        let seconds = seconds_since(self.at);
        let cores = (cpu_seconds(std::process::id()) - self.spent) / seconds;
        let told = json!({ "n": tasks, "secs": seconds, "rate": tasks as f64 / seconds, "client_cores": cores });
        print(&told.to_string())
    }
}

fn print(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
