//! `tasklane gate`: what tasks pass when they start.

use clap::{Args, Subcommand};
use serde_json::value::RawValue;
use tasklane_core::gate::{GateName, SetBy};
use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;
use tasklane_server::clock::MachineClock;
use tasklane_wire::gate::{self as wire, GateShape, LimitsShape, RateShape};
use tasklane_wire::{duration, time};

use crate::failure::{Exit, Failure};
use crate::limits;
use crate::listing;
use crate::moment::relative;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::table::{Cell, Table};
use crate::task::read;

/// List gates, see who holds one, and say how much passes it
#[derive(Debug, Args)]
pub(crate) struct Gate {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the gates that somebody limited or that tasks name
    #[command(after_help = "\
Examples:
  tasklane gate ls
  tasklane gate ls -o ndjson | jq .waiting")]
    Ls,
    /// Show a gate and the tasks that hold its slots
    #[command(after_help = "\
Examples:
  tasklane gate show queue:mail
  tasklane gate show key:user-7 --tenant acme")]
    Show(Named),
    /// Say how many tasks may run, or start in a time, that pass a gate
    #[command(after_help = "\
Examples:
  tasklane gate set queue:mail --max-running 10
  tasklane gate set type:report.generate --rate 100/1m
  tasklane gate set key:smtp --tenant '*' --max-running 2 --rate 30/1s
  tasklane gate set key:smtp --max-running 0

It holds from the next start on, whatever tasks and the configuration say, until it is set again or removed. What is not
named is not limited: a gate that had a rate has none after --max-running alone. At most 0 stops what passes; what runs
goes on.")]
    Set(Set),
    /// Forget what was said of a gate
    #[command(after_help = "\
Examples:
  tasklane gate rm queue:mail

A task that names its key says anew what it lets through, and so does the configuration at the next start of a server.")]
    Rm(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// Which: queue:NAME, type:NAME or key:KEY
    #[arg(value_name = "GATE")]
    name: String,
    /// Whose key; * is what holds for the key of every tenant of which only tasks said something
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, Args)]
struct Set {
    #[command(flatten)]
    gate: Named,
    /// Most tasks that run at a time
    #[arg(long, value_name = "N", required_unless_present = "rate")]
    max_running: Option<u32>,
    /// Most tasks that start in any span of a time, such as 100/1m
    #[arg(long, value_name = "N/TIME", value_parser = limits::rate)]
    rate: Option<RateShape>,
}

impl Named {
    /// Which gate that is.
    fn parsed(&self) -> Result<GateName, Failure> {
        wire::parse(&self.name, self.tenant.as_deref()).map_err(|why| Failure::usage(format!("{:?}: {why}", self.name)))
    }
}

/// The gate in the answer to a call at its path, which `to` makes.
async fn call<F>(named: &Named, remote: &Remote, to: F) -> Result<Vec<u8>, Failure>
where
    F: for<'a> FnOnce([&'a str; 2]) -> Call<'a>,
{
    let name = named.parsed()?;
    let (name, tenant) = wire::format(&name);
    let asked = remote.call(to(["gates", &name]).query("tenant", tenant)).await;
    asked.map_err(|failure| failure.or_too_old("tell of gates"))
}

impl Gate {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let body = match &self.action {
            Action::Ls => return list(remote, output).await,
            Action::Show(it) => call(it, remote, |path| Call::get(path)).await?,
            Action::Rm(it) => {
                let body = call(it, remote, |path| Call::delete(path)).await?;
                if !output.is_for_people() {
                    output.document(&body)?;
                }
                output.note(Tone::Dim, &format!("nothing is said of {} any more", it.name));
                return Ok(Exit::Ok);
            }
            Action::Set(it) => {
                let limits = LimitsShape { max_running: it.max_running, rate: it.rate };
                let json = serde_json::to_vec(&limits).map_err(|it| Failure::new(Exit::Failed, it.to_string()))?;
                call(&it.gate, remote, |path| Call::put(path).json(json)).await?
            }
        };
        if output.is_for_people() {
            show(&read(&body)?, MachineClock::start().wall(), output)?;
        } else {
            output.document(&body)?;
        }
        Ok(Exit::Ok)
    }
}

async fn list(remote: &Remote, output: &Output) -> Result<Exit, Failure> {
    let nothing = "no gates; one exists from the first task that names its key, or once it is set: tasklane gate set";
    let now = MachineClock::start().wall();
    listing::show(remote, output, "gates", nothing, |gates: Vec<GateShape>| table(&gates, now)).await
}

/// Those that something passes or waits for, the full ones first.
pub(crate) fn busiest(items: &[Box<RawValue>], most: usize) -> Result<Vec<GateShape>, Failure> {
    let mut gates: Vec<GateShape> = listing::shapes(items)?;
    gates.retain(|it| it.running > 0 || it.waiting > 0);
    gates.sort_by_key(|it| !it.full);
    gates.truncate(most);
    Ok(gates)
}

pub(crate) fn table(gates: &[GateShape], now: Timestamp) -> Table {
    let mut table = Table::new(&["GATE", "TENANT", "RUNNING", "RATE", "WAITING", "STATE", "SET BY"]);
    for gate in gates {
        table.row([
            Cell::from(&gate.name),
            gate.tenant.as_deref().unwrap_or("-").into(),
            running(gate).into(),
            rate(gate).into(),
            gate.waiting.to_string().into(),
            state(gate, now),
            said_by(gate.set_by).into(),
        ]);
    }
    table
}

/// The gate in names and values, and who holds its slots.
fn show(gate: &GateShape, now: Timestamp, output: &Output) -> Result<(), Failure> {
    let mut table = Table::plain();
    let mut row = |name: &str, cell: Cell| table.row([Cell::new(Tone::Dim, name), cell]);
    row("gate", Cell::from(&gate.name));
    if let Some(tenant) = &gate.tenant {
        row("tenant", tenant.into());
    }
    row("state", state(gate, now));
    row("running", running(gate).into());
    row("rate", rate(gate).into());
    row("waiting", gate.waiting.to_string().into());
    row("set by", said_by(gate.set_by).into());
    output.table(&table)?;
    let holders = gate.holders.as_deref().unwrap_or_default();
    if holders.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["HELD BY TASK", "WORKER"]);
    for holder in holders {
        table.row([holder.id.to_string().into(), holder.worker.as_deref().unwrap_or("-").into()]);
    }
    output.data("")?;
    output.table(&table)
}

/// `2/3`: those that run, those that may.
fn running(gate: &GateShape) -> String {
    match gate.limits.max_running {
        Some(most) => format!("{}/{most}", gate.running),
        None => gate.running.to_string(),
    }
}

fn rate(gate: &GateShape) -> String {
    gate.limits.rate.map_or_else(|| "-".to_owned(), |it| format!("{}/{}", it.count, duration::format(it.per)))
}

fn state(gate: &GateShape, now: Timestamp) -> Cell {
    match (gate.full, gate.opens_at) {
        (true, Some(at)) => Cell::new(Tone::Careful, format!("‖ full, opens {}", relative(&time::format(at), now))),
        (true, None) => Cell::new(Tone::Careful, "‖ full"),
        (false, _) => Cell::new(Tone::Good, "✓ open"),
    }
}

fn said_by(set_by: SetBy) -> &'static str {
    match set_by {
        SetBy::Task => "task",
        SetBy::Config => "config",
        SetBy::Operator => "operator",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};
    use crate::output::Paint;

    const RATE: &str = r#"{"name":"queue:mail","max_running":3,"rate":{"count":100,"per":"1m"},"set_by":"config",
        "running":2,"waiting":7,"full":true,"opens_at":"2026-01-31T12:00:20Z"}"#;
    const KEY: &str = r#"{"name":"key:k","tenant":"acme","set_by":"task","running":0,"waiting":0,"full":false}"#;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_gate_is_a_row() {
        let now = time::parse("2026-01-31T12:00:00Z").unwrap();
        let gates = listing::shapes(&[raw(RATE), raw(KEY)]).unwrap();
        let lines = table(&gates, now).lines(Paint::Text);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            words(&lines[1]),
            ["queue:mail", "-", "2/3", "100/1m", "7", "‖", "full,", "opens", "in", "20s", "config"]
        );
        assert_eq!(words(&lines[2]), ["key:k", "acme", "0", "-", "0", "✓", "open", "task"]);
    }

    #[test]
    fn only_gates_that_matter_now_are_shown_beside_others() {
        let open = RATE.replace("true", "false").replace("queue:mail", "type:a");
        let names = |most| {
            let gates = busiest(&[raw(KEY), raw(&open), raw(RATE)], most).unwrap();
            gates.into_iter().map(|it| it.name).collect::<Vec<_>>()
        };
        assert_eq!(names(5), ["queue:mail", "type:a"]);
        assert_eq!(names(1), ["queue:mail"]);
    }

    #[test]
    fn a_gate_is_named_by_its_kind() {
        let named = |words: &[&str]| {
            let words = ["tasklane", "gate", "show"].iter().chain(words);
            match Arguments::try_parse_from(words).unwrap().command {
                Command::Gate(Gate { action: Action::Show(it) }) => it.parsed(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(named(&["queue:q"]).unwrap(), GateName::Queue("q".into()));
        let key = GateName::Key { tenant: "*".into(), key: "a:b".into() };
        assert_eq!(named(&["key:a:b", "--tenant", "*"]).unwrap(), key);
        for wrong in [&["mail"][..], &["queue:q", "--tenant", "t"]] {
            assert_eq!(named(wrong).unwrap_err().exit, Exit::Usage, "{wrong:?}");
        }
        assert!(Arguments::try_parse_from(["tasklane", "gate", "set", "queue:q"]).is_err(), "nothing is said");
    }
}
