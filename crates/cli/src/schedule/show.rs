//! Schedules, slots and runs as tables.

use tasklane_core::schedule::{CatchUp, Overlap, Source};
use tasklane_core::time::Timestamp;
use tasklane_wire::schedule::{Outcome, PreviewShape, RunShape, ScheduleShape};
use tasklane_wire::task::NewTask;
use tasklane_wire::{duration, json, read as reading, time};

use crate::failure::Failure;
use crate::moment::relative;
use crate::output::{Output, Tone};
use crate::table::{Cell, Table};
use crate::task::state_cell;

pub(super) fn table(schedules: &[ScheduleShape], now: Timestamp) -> Table {
    let mut table = Table::new(&["NAME", "WHEN", "NEXT", "TYPE", "TENANT", "OVERLAP", "SET BY"]);
    for it in schedules {
        let (task_type, tenant) = task(it);
        table.row([
            Cell::from(&it.name),
            when(it).into(),
            next(it, now),
            task_type.into(),
            tenant.unwrap_or_else(|| "-".to_owned()).into(),
            overlap(it.overlap).into(),
            set_by(it.set_by).into(),
        ]);
    }
    table
}

/// The schedule in names and values, and its next slots.
pub(super) fn one(it: &ScheduleShape, slots: &PreviewShape, now: Timestamp, output: &Output) -> Result<(), Failure> {
    let mut table = Table::plain();
    let mut row = |name: &str, cell: Cell| table.row([Cell::new(Tone::Dim, name), cell]);
    row("name", Cell::from(&it.name));
    row("id", it.id.0.to_string().into());
    row("when", when(it).into());
    row("next", next(it, now));
    for (name, bound) in [("starts", it.starts_at), ("ends", it.ends_at)] {
        if let Some(at) = bound {
            row(name, time::format(at).into());
        }
    }
    row("overlap", overlap(it.overlap).into());
    let (cap, window) = (it.missed.cap, duration::format(it.missed.window));
    let missed = match it.missed.policy {
        CatchUp::None => "none".to_owned(),
        CatchUp::One => format!("the last one of {window}"),
        CatchUp::All => format!("all, at most {cap}, of {window}"),
    };
    row("missed", missed.into());
    if !it.jitter.is_zero() {
        row("jitter", duration::format(it.jitter).into());
    }
    row("set by", set_by(it.set_by).into());
    row("task", it.task.get().into());
    output.table(&table)?;
    if slots.items.is_empty() {
        return Ok(());
    }
    output.data("")?;
    output.table(&self::slots(slots, now))
}

pub(super) fn slots(slots: &PreviewShape, now: Timestamp) -> Table {
    let mut table = Table::new(&["SLOT", "LOCAL", "WHEN"]);
    for slot in &slots.items {
        let at = time::format(slot.at);
        let when = relative(&at, now);
        table.row([Cell::from(&at), slot.local.as_str().into(), when.into()]);
    }
    table
}

pub(super) fn runs(runs: &[RunShape]) -> Table {
    let mut table = Table::new(&["SLOT", "LOCAL", "OUTCOME", "TASK", "STATE"]);
    for run in runs {
        let (tone, outcome) = match run.outcome {
            Outcome::Made => (Tone::Good, "✓ made"),
            Outcome::Missed => (Tone::Careful, "- missed"),
            Outcome::Overlapped => (Tone::Careful, "- overlapped"),
            Outcome::Refused => (Tone::Bad, "✗ refused"),
        };
        table.row([
            Cell::from(&time::format(run.at)),
            run.local.as_str().into(),
            Cell::new(tone, outcome),
            run.task.map_or_else(|| "-".to_owned(), |it| it.to_string()).into(),
            run.state.map_or_else(|| "-".into(), |it| state_cell(it.as_str())),
        ]);
    }
    table
}

fn when(it: &ScheduleShape) -> String {
    match (&it.cron, it.every, it.at) {
        (Some(cron), ..) => format!("{cron} {}", it.timezone.as_deref().unwrap_or("UTC")),
        (_, Some(every), _) => format!("every {}", duration::format(every)),
        (.., Some(at)) => format!("at {}", time::format(at)),
        _ => "-".to_owned(),
    }
}

fn next(it: &ScheduleShape, now: Timestamp) -> Cell {
    match it.next_at {
        _ if it.paused => Cell::new(Tone::Careful, "‖ paused"),
        Some(at) => relative(&time::format(at), now).into(),
        None => Cell::new(Tone::Dim, "over"),
    }
}

/// The type of what it makes, and whom that is for.
fn task(it: &ScheduleShape) -> (String, Option<String>) {
    let mut findings = reading::Findings::default();
    let Ok(text) = json::validate(it.task.get().as_bytes(), 0) else { return ("-".to_owned(), None) };
    let task = NewTask::read(json::Value::new(text), &reading::Path::ROOT, &mut findings);
    (task.task_type.into_owned(), task.tenant.map(Into::into))
}

fn overlap(overlap: Overlap) -> &'static str {
    match overlap {
        Overlap::Allow => "allow",
        Overlap::Skip => "skip",
        Overlap::Replace => "replace",
        Overlap::QueueOne => "queue one",
    }
}

fn set_by(source: Source) -> &'static str {
    match source {
        Source::Caller => "caller",
        Source::Config => "config",
    }
}
