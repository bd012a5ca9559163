//! `tasklane db`: the data, in files or in a database, without a server.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tasklane_core::queue::Counts;
use tasklane_core::state::State;
use tasklane_server::config::flags::{FlagsOf, Stored};
use tasklane_server::config::store::{DATA_DIR, DATABASE_URL, Database};
use tasklane_server::data::{self, DatabaseStats, FileStats, Report, Restored};
use tasklane_server::{Environment, Settings, config};

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::promote::Promote;
use crate::table::{Cell, Table};

/// Check, back up, restore, measure and promote the data
#[derive(Debug, Args)]
pub(crate) struct Db {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    said: FlagsOf<Stored>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Hold everything against everything else; also while a server runs
    #[command(after_help = "\
Examples:
  tasklane db check --data-dir /var/lib/tasklane
  tasklane db check --database-url postgres://db.example.com/tasklane

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
    /// Move everything into an empty PostgreSQL database; no server may run on either
    #[command(after_help = "\
Examples:
  tasklane db promote --to postgres://db.example.com/tasklane
  TASKLANE_DATABASE_URL=postgres://... tasklane db promote --data-dir /var/lib/tasklane -o json
  tasklane db promote --undo

Until the command has ended well, the files are the true store: one that was cut off is run again. A password in --to can be
seen by others on this machine; one in TASKLANE_DATABASE_URL or a .env file cannot.")]
    Promote(Promote),
}

#[derive(Debug, Args)]
struct File {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Db {
    pub(crate) fn run(self, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
        let flags = match &self.action {
            Action::Promote(it) => it.flags(self.said.flags),
            _ => self.said.flags,
        };
        // Who names a directory and no database means the directory, whatever stands in the environment.
        let means_files = flags.says(&DATA_DIR) && !flags.says(&DATABASE_URL);
        let settings = Settings::load(&flags, environment)?;
        let dir = config::store::data_dir(&settings);
        let database = config::store::database(&settings)?;
        let looked_at = database.as_ref().filter(|_| !means_files);
        match (self.action, looked_at) {
            (Action::Check, None) => check(&data::check(&dir)?, &dir.display().to_string(), output),
            (Action::Check, Some(it)) => check(&data::check_database(it)?, &name(it), output),
            (Action::Stats, None) => stats(&dir, output),
            (Action::Stats, Some(it)) => database_stats(&data::database_stats(it)?, output),
            (Action::Backup(it), None) => backup(&dir, &it.file, output),
            (Action::Restore(it), None) => restore(&dir, &it.file, output),
            (Action::Backup(_), Some(it)) => Err(not_here(
                "a database is copied by PostgreSQL's own programs",
                &format!("pg_dump --format=custom --schema={} --file=tasks.dump \"$TASKLANE_DATABASE_URL\"", it.schema),
            )),
            (Action::Restore(_), Some(_)) => Err(not_here(
                "a database is restored by PostgreSQL's own programs, into one without the schema and before a server starts",
                "pg_restore --exit-on-error --dbname=\"$TASKLANE_DATABASE_URL\" tasks.dump",
            )),
            (Action::Promote(it), _) => it.run(&dir, database.as_ref(), output),
        }
    }
}

/// What to call a database without telling who asks.
fn name(database: &Database) -> String {
    format!("schema {} of the database", database.schema)
}

fn not_here(cause: &str, command: &str) -> Failure {
    Failure::usage(cause).remedy(format!("run: {command}"))
}

fn check(report: &Report, place: &str, output: &Output) -> Result<Exit, Failure> {
    if output.is_for_people() {
        report.problems.iter().try_for_each(|problem| output.data(problem))?;
    } else {
        output.document(report_json(report).to_string().as_bytes())?;
    }
    if report.is_sound() {
        output.note(Tone::Good, &format!("{} tasks in {place}; all is well", report.tasks));
        return Ok(Exit::Ok);
    }
    let count = report.problems.len() as u64 + report.more_problems;
    let cause = format!("the data in {place} is damaged: {count} problems");
    Err(Failure::new(Exit::Data, cause).remedy("stop the servers and put a backup in place"))
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
    json!({
        "bytes": stats.bytes,
        "wal_bytes": stats.wal_bytes,
        "free_bytes": stats.free_bytes,
        "schema": stats.schema,
        "queues": stats.queues,
        "lanes": stats.lanes,
        "tasks": counts_json(&stats.counts),
        "commits": stats.log.map(|(first, last)| json!({ "first": first, "last": last })),
        "tables": tables_json(&stats.tables),
    })
}

fn counts_json(counts: &Counts) -> Value {
    let tasks = State::ALL.iter().map(|state| (state.as_str().to_owned(), counts.of(*state).into()));
    Value::Object(tasks.chain([("deleted".to_owned(), counts.deleted().into())]).collect())
}

fn tables_json(tables: &[(String, u64)]) -> Value {
    tables.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect()
}

fn database_stats(stats: &DatabaseStats, output: &Output) -> Result<Exit, Failure> {
    if output.is_for_people() {
        output.table(&database_table(stats))?;
    } else {
        let document = json!({
            "postgres": stats.version,
            "bytes": stats.bytes,
            "log_bytes": stats.log_bytes,
            "schema": stats.schema,
            "servers": stats.servers,
            "queues": stats.queues,
            "lanes": stats.lanes,
            "tasks": counts_json(&stats.counts),
            "tables": tables_json(&stats.tables),
        });
        output.document(document.to_string().as_bytes())?;
    }
    Ok(Exit::Ok)
}

fn database_table(stats: &DatabaseStats) -> Table {
    let mut table = Table::plain();
    let mut row = |name: &str, value: String| table.row([Cell::new(Tone::Dim, name), value.into()]);
    row("PostgreSQL", stats.version.clone());
    row("size", size(stats.bytes));
    row("event log", size(stats.log_bytes));
    row("schema", stats.schema.to_string());
    row("servers", stats.servers.to_string());
    row("queues", stats.queues.to_string());
    row("lanes", stats.lanes.to_string());
    rows_of_counts(&stats.counts, &stats.tables, row);
    table
}

fn rows_of_counts(counts: &Counts, tables: &[(String, u64)], mut row: impl FnMut(&str, String)) {
    row("tasks", counts.total().to_string());
    for state in State::ALL.iter().filter(|it| counts.of(**it) > 0) {
        row(&format!("  {state}"), counts.of(*state).to_string());
    }
    if counts.deleted() > 0 {
        row("  deleted", counts.deleted().to_string());
    }
    for (name, bytes) in tables {
        row(&format!("  table {name}"), size(*bytes));
    }
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
    rows_of_counts(&stats.counts, &stats.tables, row);
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
        assert_eq!(json["tasks"].as_object().map(serde_json::Map::len), Some(State::ALL.len() + 1));
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
