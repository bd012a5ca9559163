//! `tasklane type`: what tasks are of.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::listing;
use crate::output::{Output, Tone};
use crate::remote::Remote;
use crate::table::{Cell, Table};

/// List types
#[derive(Debug, Args)]
#[command(name = "type")]
pub(crate) struct Types {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the types that tasks are of or that workers serve
    #[command(after_help = "\
Examples:
  tasklane type ls
  tasklane type ls -o ndjson")]
    Ls,
}

/// A type; members this server does not tell are absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Shown {
    name: String,
    queues: Vec<String>,
    counts: BTreeMap<String, u64>,
    workers: Option<serde_json::Value>,
    crashing: bool,
}

impl Types {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let Action::Ls = self.action;
        listing::show(remote, output, "types", "no types; one exists from its first task or worker", table).await
    }
}

fn table(types: Vec<Shown>) -> Table {
    let mut table = Table::new(&["TYPE", "QUEUES", "QUEUED", "RUNNING", "FAILED", "WORKERS"]);
    for shown in types {
        let count = |state: &str| Cell::from(shown.counts.get(state).copied().unwrap_or(0).to_string());
        let workers = match &shown.workers {
            Some(serde_json::Value::Array(names)) => Some(names.len() as u64),
            Some(count) => count.as_u64(),
            None => None,
        };
        let workers = match workers {
            Some(0) => Cell::new(Tone::Careful, "none"),
            Some(count) => count.to_string().into(),
            None => "-".into(),
        };
        let queues = listing::names(shown.queues.iter().map(String::as_str));
        table.row([
            if shown.crashing {
                Cell::new(Tone::Bad, format!("{} (crashing)", shown.name))
            } else {
                Cell::from(&shown.name)
            },
            queues.into(),
            count("queued"),
            count("running"),
            count("failed"),
            workers,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::output::Paint;

    #[test]
    fn a_type_nobody_serves_stands_out() {
        let body = r#"[{"name":"a","queues":["q"],"counts":{"queued":3,"failed":1},"workers":0},{"name":"b","workers":["w"],"crashing":true}]"#;
        let lines = table(serde_json::from_str(body).unwrap()).lines(Paint::Text);
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["a", "q", "3", "0", "1", "none"]);
        assert!(lines[2].starts_with("b (crashing)") && lines[2].ends_with('1'), "{lines:?}");
    }
}
