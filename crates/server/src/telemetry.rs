//! The log: on standard error pretty where a person reads it and JSON where a program does; in a file always JSON.

use std::io::{self, IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use logroller::{LogRoller, LogRollerBuilder, Rotation, RotationSize};
use tracing::{Dispatch, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::config::log::{Colour, Format, Log};
use crate::error::StartError;

/// How the targets of the crates that talk to a database begin.
const DRIVERS: &[&str] = &["deadpool", "tokio_postgres", "postgres_"];

/// Size in bytes at which a log file is set aside.
pub const FILE_BYTES: u64 = 10_000_000;
/// How many that were set aside are kept.
pub const FILES: u64 = 5;

/// Starts the log of this process. A second call changes nothing.
///
/// # Errors
/// The file that was asked for cannot be written.
pub fn start(log: &Log) -> Result<(), StartError> {
    let file = log.file.as_deref().map(LogFile::open).transpose()?;
    let dispatch = dispatch(log, stderr, stderr().is_terminal(), file.map(Mutex::new));
    // The first one wins; a test that started one already keeps it.
    let _started = tracing::dispatcher::set_global_default(dispatch);
    Ok(())
}

fn dispatch<W, F>(log: &Log, lines: W, terminal: bool, file: Option<F>) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    F: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let format = log.format.unwrap_or(if terminal { Format::Pretty } else { Format::Json });
    let lines = match format {
        Format::Pretty => {
            let ansi = terminal && log.colour == Colour::Allowed;
            fmt::layer().with_writer(lines).with_target(false).compact().with_ansi(ansi).boxed()
        }
        Format::Json => json(lines),
    };
    Dispatch::new(Registry::default().with(levels(log.level)).with(lines).with(file.map(json)))
}

/// The least urgent level of each target. Drivers of the database have a warning for each connection that an outage takes:
/// that there is one is said once, by us. Who asks for debugging wants to hear them, too.
fn levels(level: Level) -> Targets {
    let most = if level > Level::INFO { level } else { Level::ERROR };
    DRIVERS.iter().fold(Targets::new().with_default(level), |targets, driver| targets.with_target(*driver, most))
}

/// One JSON object a line.
fn json<S, W>(writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_target(false).with_ansi(false);
    lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
}

/// A file that is set aside when it is full. What a crate does for it stays behind this type.
struct LogFile(LogRoller);

impl LogFile {
    fn open(path: &Path) -> Result<Self, StartError> {
        let refused = |why: String| StartError::LogFile { path: path.to_owned(), why };
        let name = path.file_name().ok_or_else(|| refused("it names no file".into()))?;
        let dir = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).map_err(|error| refused(error.to_string()))?;
        let roller = LogRollerBuilder::new(dir.to_owned(), PathBuf::from(name))
            .rotation(Rotation::SizeBased(RotationSize::Bytes(FILE_BYTES)))
            .max_keep_files(FILES);
        roller.build().map(Self).map_err(|error| refused(error.to_string()))
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    fn log(path: &Path) -> Log {
        Log { level: Level::INFO, format: None, colour: Colour::Allowed, file: Some(path.to_owned()) }
    }

    #[test]
    fn a_file_gets_one_json_object_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/tasklane.log");
        let file = Mutex::new(LogFile::open(&path).unwrap());
        let dispatch = dispatch(&log(&path), io::sink, true, Some(file));
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::info!(answer = 42, "known");
            tracing::debug!("not shown");
        });
        let text = fs::read_to_string(&path).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["message"], &line["answer"], &line["level"]), (&"known".into(), &42.into(), &"INFO".into()));
    }

    #[test]
    fn the_warnings_of_drivers_are_for_who_debugs() {
        for (level, shown) in [(Level::INFO, "ours error"), (Level::DEBUG, "warning ours error")] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("t.log");
            let file = Mutex::new(LogFile::open(&path).unwrap());
            let dispatch = dispatch(&Log { level, ..log(&path) }, io::sink, true, Some(file));
            tracing::dispatcher::with_default(&dispatch, || {
                tracing::warn!(target: "deadpool_postgres", "warning");
                tracing::warn!("ours");
                tracing::error!(target: "tokio_postgres::connection", "error");
            });
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap());
            let said: Vec<_> = lines.map(|it| it["message"].as_str().unwrap().to_owned()).collect();
            assert_eq!(said.join(" "), shown);
        }
    }

    #[test]
    fn a_full_file_is_set_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.log");
        let mut file = LogFile::open(&path).unwrap();
        let line = vec![b'x'; 1 << 20];
        for _ in 0..80 {
            file.write_all(&line).unwrap();
        }
        // What is set aside is given its number by a thread, which ends with the file.
        drop(file);
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["t.log", "t.log.1", "t.log.2", "t.log.3", "t.log.4", "t.log.5"]);
        for name in names {
            assert!(fs::metadata(dir.path().join(name)).unwrap().len() <= FILE_BYTES);
        }
    }

    #[test]
    fn a_file_that_cannot_be_is_refused() {
        let refusal = start(&log(Path::new("/proc/nowhere/t.log"))).unwrap_err().to_string();
        assert!(refusal.contains("/proc/nowhere/t.log"), "{refusal}");
    }
}
