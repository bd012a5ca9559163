//! `tasklane worker`: does the work of servers elsewhere, and lists who does.

use clap::{Args, Subcommand};
use serde::Deserialize;
use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;
use tasklane_server::Flags;
use tasklane_server::clock::MachineClock;
use tasklane_server::config::flags::{FlagsOf, OfWorker};
use tasklane_server::config::worker::SERVERS;

use crate::failure::{Exit, Failure};
use crate::listing;
use crate::moment::relative;
use crate::output::Output;
use crate::remote::Remote;
use crate::table::Table;

/// Run what servers run, in a process of its own
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  tasklane worker --server http://tasks.internal:8000
  tasklane worker --server http://a:8000 --server http://b:8000 --slots 16 --label zone=b
  tasklane worker --queue reports --type report_generation --lease-seconds 60
  tasklane worker ls

It serves the builtin types, and those that `executors.http` binds to URLs. Settings are those of the section `worker`, with
their variables (TASKLANE_SERVER, TASKLANE_WORKER_SLOTS); the key is TASKLANE_API_KEY. It goes on for ever: a server that is
away is waited for.

SIGTERM or Ctrl-C drains: running tasks may finish, the rest is given back, then the worker ends with 0. A second one ends it
at once with 130."
)]
pub(crate) struct Worker {
    #[command(flatten)]
    said: FlagsOf<OfWorker>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the workers the server heard of lately
    #[command(after_help = "\
Examples:
  tasklane worker ls
  tasklane worker ls --field name,running")]
    Ls,
}

/// A worker; members this server does not tell are absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shown {
    name: String,
    lanes: Vec<Lane>,
    running: Option<u64>,
    parked: Option<serde_json::Value>,
    #[serde(alias = "last_seen_at")]
    heard_at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lane {
    queue: Option<String>,
    types: Vec<String>,
}

impl Worker {
    /// The flags of one that is to work itself, at this server unless they name others.
    pub(crate) fn to_work(&self, url: Option<&str>) -> Option<Flags> {
        let (flags, works) = (&self.said.flags, self.action.is_none());
        let url = url.filter(|_| !flags.says(&SERVERS));
        works.then(|| url.iter().fold(flags.clone(), |flags, url| flags.with(&SERVERS, *url)))
    }

    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let nobody = "no worker was heard of lately; a server without --no-executors is one itself";
        listing::show(remote, output, "workers", nobody, |items| table(items, MachineClock::start().wall())).await
    }
}

pub(crate) fn table(workers: Vec<Shown>, now: Timestamp) -> Table {
    let mut table = Table::new(&["WORKER", "RUNNING", "QUEUES", "TYPES", "HEARD OF", ""]);
    for worker in workers {
        let queues = listing::names(worker.lanes.iter().map(|it| it.queue.as_deref().unwrap_or("*")));
        let types = listing::names(worker.lanes.iter().flat_map(|it| &it.types).map(String::as_str));
        let seen = worker.heard_at.map_or_else(|| "-".to_owned(), |at| relative(&at, now));
        let parked = match worker.parked {
            Some(serde_json::Value::Bool(true)) => "waits for work",
            Some(serde_json::Value::Number(it)) if it.as_u64() != Some(0) => "waits for work",
            _ => "",
        };
        let running = worker.running.map_or_else(|| "-".to_owned(), |it| it.to_string());
        table.row([worker.name.into(), running.into(), queues.into(), types.into(), seen.into(), parked.into()]);
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::output::Paint;

    #[test]
    fn a_worker_is_a_row_whatever_is_known_of_it() {
        let body = r#"[{"name":"w-1","lanes":[{"queue":"mail","types":["a","b"]},{"types":["a"]}],"running":2,
            "last_seen_at":"2026-01-31T11:59:50Z","parked":true},{"name":"w-2","later":1}]"#;
        let now = tasklane_wire::time::parse("2026-01-31T12:00:00Z").unwrap();
        let lines = table(serde_json::from_str(body).unwrap(), now).lines(Paint::Text);
        let words: Vec<_> = lines[1].split_whitespace().collect();
        assert_eq!(words, ["w-1", "2", "*,mail", "a,b", "10s", "ago", "waits", "for", "work"]);
        assert!(lines[2].starts_with("w-2"), "{lines:?}");
    }
}
