//! `tasklane get`: all there is to know about a task.

use clap::Args;
use tasklane_core::ports::clock::Clock;
use tasklane_core::time::Timestamp;
use tasklane_server::clock::MachineClock;

use crate::failure::{Exit, Failure};
use crate::moment::exact;
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote, task_id};
use crate::table::{Cell, Table};
use crate::task::{Progress, Task, state_cell};

/// Show a task
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tasklane get 0198f2a4-0000-7000-8000-000000000001
  tasklane get 0198f2a4-0000-7000-8000-000000000001 --field progress.percent,progress.message
  tasklane get 0198f2a4-0000-7000-8000-000000000001 -o yaml")]
pub(crate) struct Get {
    /// Which task
    #[arg(value_name = "ID", value_parser = task_id)]
    id: String,
}

impl Get {
    pub(crate) async fn run(self, remote: &Remote, output: &Output) -> Result<Exit, Failure> {
        let body = remote.call(Call::get(["tasks", &self.id])).await?;
        if output.is_for_people() {
            output.table(&table(&Task::read(&body)?, MachineClock::start().wall()))?;
        } else {
            output.document(&body)?;
        }
        Ok(Exit::Ok)
    }
}

/// Names and values; what is absent is left out.
fn table(task: &Task, now: Timestamp) -> Table {
    let mut table = Table::plain();
    let mut row = |name: &str, cell: Cell| table.row([Cell::new(Tone::Dim, name), cell]);
    row("id", task.id.as_str().into());
    row("type", task.task_type.as_str().into());
    row("queue", task.queue.as_str().into());
    row("state", state_cell(&task.state));
    for (name, text) in words(task).into_iter().chain(times(task, now)).chain(documents(task)) {
        row(name, text.into());
    }
    if let Some(failure) = &task.failure {
        row("failure", Cell::new(Tone::Bad, format!("{}: {}", failure.kind, failure.message)));
    }
    table
}

type Named = (&'static str, String);

fn words(task: &Task) -> Vec<Named> {
    let labels = task.labels.iter().flatten().map(|(name, value)| format!("{name}={value}"));
    let flag = |set: bool, text: &str| if set { text.to_owned() } else { String::new() };
    let spent = if task.is_charged_as_counted() { String::new() } else { format!(", {} spent", task.spent) };
    let named = [
        ("reason", task.reason.clone()),
        ("attempt", format!("{}{spent}", task.attempts())),
        ("priority", if task.priority == 0 { String::new() } else { task.priority.to_string() }),
        ("tenant", task.tenant.clone().unwrap_or_default()),
        ("labels", labels.collect::<Vec<_>>().join(" ")),
        ("limits", task.limits.iter().map(|it| &*it.key).collect::<Vec<_>>().join(" ")),
        ("unique key", task.unique_key.clone().unwrap_or_default()),
        ("rerun of", task.rerun_of.clone().unwrap_or_default()),
        ("worker", task.worker.clone().unwrap_or_default()),
        ("progress", task.progress.as_ref().map(Progress::line).unwrap_or_default()),
        ("asked", flag(task.cancel_requested && !task.is_final(), "to stop")),
        ("guard", flag(task.quarantined, "quarantined: it ended too many workers in a row")),
    ];
    named.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

fn times(task: &Task, now: Timestamp) -> Vec<Named> {
    let moment = |name, text: Option<&String>| text.map(|text| (name, exact(text, now)));
    let run_at = task.run_at.as_ref().filter(|_| !task.is_final());
    let known = [
        moment("created", Some(&task.created_at)),
        moment("run at", run_at),
        moment("start deadline", task.start_deadline.as_ref()),
        moment("deadline", task.deadline.as_ref()),
        moment("started", task.started_at.as_ref()),
        moment("finished", task.finished_at.as_ref()),
    ];
    known.into_iter().flatten().collect()
}

fn documents(task: &Task) -> Vec<Named> {
    let known = [("payload", &task.payload), ("result", &task.result)];
    known.into_iter().filter_map(|(name, json)| Some((name, json.as_ref()?.get().to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::output::Paint;

    #[test]
    fn a_task_is_told_in_names_and_values() {
        let body =
            br#"{"id":"i","type":"t","queue":"q","state":"failed","reason":"attempts_spent","attempt":3,"spent":3,
            "max_attempts":3,"payload":{"n":1},"failure":{"kind":"error","message":"no\u0007"},
            "created_at":"2026-01-31T11:00:00Z","quarantined":true,"limits":[{"key":"smtp"},{"key":"u-7"}],"run_at":"2026-01-31T11:30:00Z"}"#;
        let now = tasklane_wire::time::parse("2026-01-31T12:00:00Z").unwrap();
        let lines = table(&Task::read(body).unwrap(), now).lines(Paint::Text);
        let text = lines.join("\n");
        for part in ["✗ failed", "attempt  3/3", "(1h ago)", r#"{"n":1}"#, "error: no\\u{7}", "quarantined", "smtp u-7"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains("run at"), "{text}");
    }
}
