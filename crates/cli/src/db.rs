//! `tasklane db`: the data files, without a server.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tasklane_core::state::State;
use tasklane_server::config::flags::{Data, FlagsOf};
use tasklane_server::data::{self, FileStats, Report, Restored};
use tasklane_server::{Environment, Settings, config};

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::table::{Cell, Table};

/// Check, back up, restore and measure the data files
#[derive(Debug, Args)]
pub(crate) struct Db {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    said: FlagsOf<Data>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Hold everything in the files against everything else; also while a server runs
    #[command(after_help = "\
Examples:
  tasklane db check --data-dir /var/lib/tasklane

The exit code is 65 if anything is wrong.")]
    Check,
    /// Copy the data into a new file; also while a server runs
    #[command(after_help = "\
Examples:
  tasklane db backup tasks.backup --data-dir /var/lib/tasklane")]
    Backup(File),
    /// Put a backup in place of the data; no server may run on it
    #[command(after_help = "\
Examples:
  tasklane db restore tasks.backup --data-dir /var/lib/tasklane

Tasks that were there are kept in a file beside the data.")]
    Restore(File),
    /// Say how much there is; also while a server runs
    #[command(after_help = "\
Examples:
  tasklane db stats
  tasklane db stats -o json | jq .tasks.queued")]
    Stats,
}

#[derive(Debug, Args)]
struct File {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Db {
    pub(crate) fn run(self, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
        let dir = config::store::data_dir(&Settings::load(&self.said.flags, environment)?);
        match self.action {
            Action::Check => check(&dir, output),
            Action::Stats => stats(&dir, output),
            Action::Backup(it) => backup(&dir, &it.file, output),
            Action::Restore(it) => restore(&dir, &it.file, output),
        }
    }
}

fn check(dir: &Path, output: &Output) -> Result<Exit, Failure> {
    let report = data::check(dir)?;
    if output.is_for_people() {
        report.problems.iter().try_for_each(|problem| output.data(problem))?;
    } else {
        output.document(report_json(&report).to_string().as_bytes())?;
    }
    if report.is_sound() {
        output.note(Tone::Good, &format!("{} tasks in {}; all is well", report.tasks, dir.display()));
        return Ok(Exit::Ok);
    }
    let count = report.problems.len() as u64 + report.more_problems;
    let cause = format!("the data in {} is damaged: {count} problems", dir.display());
    Err(Failure::new(Exit::Data, cause).remedy("stop the server and put a backup in place: tasklane db restore FILE"))
}

fn report_json(report: &Report) -> Value {
    json!({
        "sound": report.is_sound(),
        "tasks": report.tasks,
        "problems": report.problems,
        "more_problems": report.more_problems,
    })
}

fn stats(dir: &Path, output: &Output) -> Result<Exit, Failure> {
    let stats = data::stats(dir)?;
    if output.is_for_people() {
        output.table(&stats_table(&stats))?;
    } else {
        output.document(stats_json(&stats).to_string().as_bytes())?;
    }
    Ok(Exit::Ok)
}

fn stats_json(stats: &FileStats) -> Value {
    let tasks = State::ALL.iter().map(|state| (state.as_str().to_owned(), stats.counts.of(*state).into()));
    let tables = stats.tables.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes }));
    json!({
        "bytes": stats.bytes,
        "wal_bytes": stats.wal_bytes,
        "free_bytes": stats.free_bytes,
        "schema": stats.schema,
        "queues": stats.queues,
        "lanes": stats.lanes,
        "tasks": tasks.collect::<serde_json::Map<_, _>>(),
        "commits": stats.log.map(|(first, last)| json!({ "first": first, "last": last })),
        "tables": tables.collect::<Vec<_>>(),
    })
}

fn stats_table(stats: &FileStats) -> Table {
    let mut table = Table::plain();
    let mut row = |name: &str, value: String| table.row([Cell::new(Tone::Dim, name), value.into()]);
    row("size", size(stats.bytes));
    row("write-ahead log", size(stats.wal_bytes));
    row("free in it", size(stats.free_bytes));
    row("schema", stats.schema.to_string());
    row("queues", stats.queues.to_string());
    row("lanes", stats.lanes.to_string());
    row("tasks", stats.counts.total().to_string());
    for state in State::ALL.iter().filter(|it| stats.counts.of(**it) > 0) {
        row(&format!("  {state}"), stats.counts.of(*state).to_string());
    }
    for (name, bytes) in &stats.tables {
        row(&format!("  table {name}"), size(*bytes));
    }
    table
}

/// In the unit that leaves one to four digits before the point.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

fn backup(dir: &Path, file: &Path, output: &Output) -> Result<Exit, Failure> {
    let bytes = data::backup(dir, file)?;
    if !output.is_for_people() {
        output.document(json!({ "file": file.display().to_string(), "bytes": bytes }).to_string().as_bytes())?;
    }
    output.note(Tone::Good, &format!("copied {} to {} ({})", dir.display(), file.display(), size(bytes)));
    Ok(Exit::Ok)
}

fn restore(dir: &Path, file: &Path, output: &Output) -> Result<Exit, Failure> {
    let Restored { tasks, replaced } = data::restore(dir, file)?;
    let replaced = replaced.map(|it| it.display().to_string());
    if !output.is_for_people() {
        output.document(json!({ "tasks": tasks, "replaced": replaced }).to_string().as_bytes())?;
    }
    output.note(Tone::Good, &format!("{tasks} tasks from {} are in place in {}", file.display(), dir.display()));
    if let Some(replaced) = replaced {
        output.note(Tone::Dim, &format!("what was there before is kept as {replaced}"));
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Paint;

    fn some() -> FileStats {
        let mut stats = FileStats { bytes: 30 << 20, queues: 2, log: Some((1, 9)), ..FileStats::default() };
        stats.counts.add(State::Queued, 7);
        stats.tables.push(("tasks".to_owned(), 1 << 19));
        stats
    }

    #[test]
    fn sizes_are_told_to_programs_in_bytes() {
        let json = stats_json(&some());
        assert_eq!(
            (&json["bytes"], &json["tasks"]["queued"], &json["commits"]["last"]),
            (&31457280.into(), &7.into(), &9.into())
        );
        assert_eq!(json["tasks"].as_object().map(serde_json::Map::len), Some(State::ALL.len()));
    }

    #[test]
    fn sizes_are_told_to_people_in_units() {
        let text = stats_table(&some()).lines(Paint::Text).join("\n");
        for part in ["30.0 MiB", "queued", "table tasks", "512 KiB", "0 B"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains("running"), "{text}");
    }
}
