//! `tasklane queue`: the lines tasks stand in.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};
use crate::moment;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::table::{Cell, Table};
use crate::task::{read, state_cell};

/// List, pause, resume, drain and empty queues
#[derive(Debug, Args)]
pub(crate) struct Queue {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List queues
    #[command(after_help = "\
Examples:
  tasklane queue ls
  tasklane queue ls -o ndjson | jq .counts")]
    Ls,
    /// Lease nothing from a queue; submits are still accepted
    #[command(after_help = "\
Examples:
  tasklane queue pause mail")]
    Pause(Name),
    /// Lease from a queue and accept into it again
    #[command(after_help = "\
Examples:
  tasklane queue resume mail")]
    Resume(Name),
    /// Refuse new tasks of a queue; what it has still runs
    #[command(after_help = "\
Examples:
  tasklane queue drain mail")]
    Drain(Name),
    /// Cancel every unfinished task of a queue that does not run
    #[command(after_help = "\
Examples:
  tasklane queue purge mail
  tasklane queue purge mail --yes

On a terminal it asks first. The server does it in the background.")]
    Purge(Purge),
}

#[derive(Debug, Args)]
struct Purge {
    #[command(flatten)]
    name: Name,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Args)]
struct Name {
    /// Which queue
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
pub(crate) struct Shown {
    name: String,
    state: String,
    #[serde(default)]
    counts: Counts,
    oldest_queued_age: Option<String>,
    verdict: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Counts {
    scheduled: u64,
    blocked: u64,
    queued: u64,
    running: u64,
    waiting: u64,
    retrying: u64,
}

impl Queue {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let (name, verb) = match self.action {
            Action::Ls => return list(remote, output).await,
            Action::Pause(name) => (name.name, "pause"),
            Action::Resume(name) => (name.name, "resume"),
            Action::Drain(name) => (name.name, "drain"),
            Action::Purge(it) => return purge(it, remote, output).await,
        };
        let body = remote.call(Call::post(["queues", &format!("{name}:{verb}")])).await?;
        if output.is_for_people() {
            output.table(&table([read(&body)?]))?;
        } else {
            output.document(&body)?;
        }
        Ok(Exit::Ok)
    }
}

async fn purge(purge: Purge, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let name = purge.name.name;
    if !purge.yes {
        let before: Shown = read(&remote.call(Call::get(["queues", &name])).await?)?;
        let counts = before.counts;
        let waiting = counts.queued + counts.scheduled + counts.blocked + counts.waiting + counts.retrying;
        if !output.confirms(&format!("cancel {waiting} tasks of queue {name}?")) {
            return Err(Failure::new(Exit::Interrupted, "nothing was done"));
        }
    }
    let action = format!("{name}:purge");
    let body =
        remote.call(Call::post(["queues", &action])).await.map_err(|failure| failure.or_too_old("empty queues"))?;
    if !output.is_for_people() {
        output.document(&body)?;
        return Ok(Exit::Ok);
    }
    // The answer is the queue, or the task that does it.
    match read::<Shown>(&body) {
        Ok(shown) => output.table(&table([shown]))?,
        Err(_) => output.data(&crate::shape::fields::line(&String::from_utf8_lossy(&body), &["id".into()])?)?,
    }
    output.note(Tone::Dim, &format!("queue {name} is being emptied; see it with: tasklane queue ls"));
    Ok(Exit::Ok)
}

async fn list(remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let body = remote.call(Call::get(["queues"])).await?;
    let page: Page = read(&body)?;
    if !output.is_for_people() {
        output.items(&page.items, || String::from_utf8_lossy(&body).into_owned())?;
    } else if page.items.is_empty() {
        output.note(Tone::Dim, "no queues; one exists from its first task: tasklane submit TYPE --queue NAME");
    } else {
        let shown = page.items.iter().map(|it| read(it.get().as_bytes()));
        output.table(&table(shown.collect::<Result<Vec<_>, _>>()?))?;
    }
    Ok(Exit::Ok)
}

pub(crate) fn table(queues: impl IntoIterator<Item = Shown>) -> Table {
    let mut table = Table::new(&[
        "QUEUE",
        "STATE",
        "QUEUED",
        "RUNNING",
        "RETRYING",
        "SCHEDULED",
        "BLOCKED",
        "WAITING",
        "OLDEST",
        "VERDICT",
    ]);
    for queue in queues {
        let counts = &queue.counts;
        let numbers =
            [counts.queued, counts.running, counts.retrying, counts.scheduled, counts.blocked, counts.waiting];
        let oldest = queue.oldest_queued_age.map_or_else(|| "-".to_owned(), |age| rough(&age));
        table.row(
            [Cell::from(&queue.name), state_cell(&queue.state)]
                .into_iter()
                .chain(numbers.map(|it| Cell::from(it.to_string())))
                .chain([oldest.into(), queue.verdict.unwrap_or_default().into()]),
        );
    }
    table
}

/// The largest unit of a duration.
fn rough(age: &str) -> String {
    moment::duration(age).map_or_else(|_| age.to_owned(), moment::rough)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::output::Paint;

    #[test]
    fn a_queue_is_a_row() {
        let body =
            br#"{"name":"mail","state":"paused","counts":{"queued":3,"running":1},"oldest_queued_age":"5m3s120ms"}"#;
        let lines = table([read(body).unwrap()]).lines(Paint::Text);
        let words: Vec<_> = lines[1].split_whitespace().collect();
        assert_eq!(words, ["mail", "‖", "paused", "3", "1", "0", "0", "0", "0", "5m"]);
    }
}
