//! `tasklane top`: a server at work, drawn anew in place; where nobody watches, a bounded number of times as text.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;
use tasklane_server::clock::MachineClock;
use tokio::time::{MissedTickBehavior, interval};

use crate::failure::{Exit, Failure};
use crate::gate;
use crate::interrupt;
use crate::listing;
use crate::moment;
use crate::output::{Output, Tone};
use crate::queue;
use crate::remote::{Call, Remote};
use crate::screen::Screen;
use crate::stats;
use crate::table::{Cell, Table};
use crate::task::{Progress, Task, read, state_cell};
use crate::worker;

/// Tasks, workers and gates that are shown.
const TASKS: usize = 12;
const WORKERS: usize = 8;
const GATES: usize = 8;
/// Gates that are looked at for those: of queues and types come first.
const LOOKED_AT: usize = 200;

/// Watch a server at work: queues, running tasks, workers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane top
  tasklane top --every 5s
  tasklane top --count 1

On a terminal it goes on until Ctrl-C. Elsewhere, and with -o, it shows one picture and ends, or as many as --count says.")]
pub(crate) struct Top {
    /// How long from one picture to the next
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = period)]
    every: Duration,
    /// End after so many pictures
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

fn period(text: &str) -> Result<Duration, String> {
    let period = moment::duration(text)?;
    if period < Duration::from_millis(200) { Err("at least 200ms".to_owned()) } else { Ok(period) }
}

impl Top {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let screen = if self.count.is_none() && output.is_for_people() { Screen::take() } else { None };
        let watching = self.watch(remote, output, screen.as_ref());
        match interrupt::or("", watching).await {
            // Ctrl-C is how a picture is left.
            Err(failure) if failure.exit == Exit::Interrupted && screen.is_some() => Ok(Exit::Ok),
            ended => ended.map(|()| Exit::Ok),
        }
    }

    async fn watch(&self, remote: &Remote, output: &Output, screen: Option<&Screen>) -> Result<(), Failure> {
        let mut left = self.count.unwrap_or(if screen.is_some() { u64::MAX } else { 1 });
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while left > 0 {
            ticks.tick().await;
            match (look(remote).await, screen) {
                (Ok(seen), Some(screen)) => screen.draw(&picture(&seen, remote.url(), output)?)?,
                (Ok(seen), None) if output.is_for_people() => {
                    picture(&seen, remote.url(), output)?.iter().try_for_each(|line| output.data(line))?;
                }
                (Ok(seen), None) => output.item(&seen.json())?,
                // A restart is no reason to leave.
                (Err(failure), Some(screen)) if failure.exit == Exit::Away => {
                    screen.draw(&[failure.cause.unwrap_or_default(), "trying again".to_owned()])?;
                }
                (Err(failure), _) => return Err(failure),
            }
            left -= 1;
        }
        Ok(())
    }
}

/// What there is to see at one moment.
struct Seen {
    queues: Vec<Box<RawValue>>,
    running: Vec<Box<RawValue>>,
    /// `None`: the server does not tell.
    workers: Option<Vec<Box<RawValue>>>,
    gates: Option<Vec<Box<RawValue>>>,
    stats: Option<String>,
    at: Timestamp,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
}

async fn look(remote: &Remote) -> Result<Seen, Failure> {
    let running = remote.call(Call::get(["tasks"]).query("state", Some("running")).query("limit", Some(TASKS))).await?;
    let stats = remote.call(Call::get(["stats"])).await;
    let gates = remote.call(Call::get(["gates"]).query("limit", Some(LOOKED_AT))).await;
    Ok(Seen {
        queues: listing::gather(remote, "queues").await?,
        running: read::<Page>(&running)?.items,
        workers: told(listing::gather(remote, "workers").await)?,
        gates: told(gates)?.map(|it| read::<Page>(&it)).transpose()?.map(|it| it.items),
        stats: told(stats)?.map(|it| String::from_utf8_lossy(&it).into_owned()),
        at: MachineClock::start().wall(),
    })
}

/// Nothing where the server has no such route.
fn told<T>(asked: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match asked {
        Err(failure) if failure.exit == Exit::NotFound || failure.exit == Exit::Usage => Ok(None),
        asked => asked.map(Some),
    }
}

impl Seen {
    fn json(&self) -> String {
        let list =
            |items: &[Box<RawValue>]| format!("[{}]", items.iter().map(|it| it.get()).collect::<Vec<_>>().join(","));
        let workers = self.workers.as_ref().map(|it| format!(",\"workers\":{}", list(it))).unwrap_or_default();
        let gates = self.gates.as_ref().map(|it| format!(",\"gates\":{}", list(it))).unwrap_or_default();
        let stats = self.stats.as_ref().map(|it| format!(",\"stats\":{it}")).unwrap_or_default();
        format!("{{\"queues\":{},\"running\":{}{workers}{gates}{stats}}}", list(&self.queues), list(&self.running))
    }
}

fn picture(seen: &Seen, url: &str, output: &Output) -> Result<Vec<String>, Failure> {
    let paint = output.paint;
    let clock = tasklane_wire::time::format(seen.at);
    let mut lines = vec![format!("{}  {url}  {clock}", paint.apply(Tone::Good, "tasklane"))];
    if let Some(stats) = &seen.stats {
        // What is nothing, and what hardly changes, only takes room.
        let shown = |(name, value): &(String, String)| value != "0" && !name.starts_with("store");
        let numbers = stats::flat(stats)?.into_iter().filter(shown).map(|(name, value)| format!("{name} {value}"));
        lines.push(numbers.collect::<Vec<_>>().join("  "));
    }
    let mut part = |table: Table, nothing: &str, empty: bool| {
        lines.push(String::new());
        if empty { lines.push(paint.apply(Tone::Dim, nothing)) } else { lines.extend(table.lines(paint)) }
    };
    part(queue::table(listing::shapes(&seen.queues)?), "no queues", seen.queues.is_empty());
    part(running(&seen.running, seen.at)?, "nothing runs", seen.running.is_empty());
    if let Some(workers) = &seen.workers {
        let shown = &workers[..workers.len().min(WORKERS)];
        part(worker::table(listing::shapes(shown)?, seen.at), "no workers", workers.is_empty());
    }
    // Most servers have none; those that nothing passes only take room.
    let gates = gate::busiest(seen.gates.as_deref().unwrap_or_default(), GATES)?;
    if !gates.is_empty() {
        lines.push(String::new());
        lines.extend(gate::table(&gates, seen.at).lines(paint));
    }
    Ok(lines)
}

fn running(tasks: &[Box<RawValue>], now: Timestamp) -> Result<Table, Failure> {
    let mut table = Table::new(&["TASK", "TYPE", "QUEUE", "STATE", "STARTED", "PROGRESS"]);
    for task in tasks {
        let task = Task::read(task.get().as_bytes())?;
        let started = task.started_at.as_ref().map(|at| moment::relative(at, now)).unwrap_or_default();
        let progress = task.progress.as_ref().map(Progress::line).unwrap_or_default();
        let names = [&task.id, &task.task_type, &task.queue].map(Cell::from);
        table.row(names.into_iter().chain([state_cell(&task.state), started.into(), progress.into()]));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::output::{Colour, Format};

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_picture_shows_what_is_told_and_nothing_else() {
        let output = Output::new(Format::Table, vec![], Colour::Never);
        let mut seen = Seen {
            queues: vec![raw(r#"{"name":"mail","state":"active","counts":{"queued":3}}"#)],
            running: vec![raw(
                r#"{"id":"i","type":"t","queue":"mail","state":"running","progress":{"percent":40,"message":"p"}}"#,
            )],
            workers: None,
            gates: None,
            stats: None,
            at: tasklane_wire::time::parse("2026-01-31T12:00:00Z").unwrap(),
        };
        let text = picture(&seen, "http://x", &output).unwrap().join("\n");
        assert!(text.contains("mail") && text.contains("40 %  p") && !text.contains("WORKER"), "{text}");
        assert!(!seen.json().contains("workers") && !seen.json().contains("gates"));
        let gate = r#"{"name":"queue:mail","max_running":1,"set_by":"config","running":1,"waiting":3,"full":true}"#;
        seen.gates = Some(vec![raw(gate)]);
        seen.workers = Some(vec![]);
        seen.stats = Some(r#"{"tasks":{"queued":3}}"#.into());
        let text = picture(&seen, "http://x", &output).unwrap().join("\n");
        assert!(text.contains("no workers") && text.contains("tasks queued 3"), "{text}");
        assert!(text.contains("queue:mail") && text.contains("‖ full") && seen.json().contains("gates"), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(&seen.json()).is_ok());
    }
}
