//! What the server says about itself, where and how.

use std::path::PathBuf;

use tracing::Level;

use super::setting::{Flag, Kind, Section, Setting};
use super::{Environment, Settings};
use crate::error::StartError;

/// How much is said.
pub const LEVEL: Setting = Setting {
    key: "log.level",
    kind: Kind::Word(&["trace", "debug", "info", "warn", "warning", "error", "critical"]),
    default: Some("info"),
    variable: Some("TASKLANE_LOG"),
    foreign: &["LOG_LEVEL"],
    flag: Some(Flag::Takes { long: "log", value: "LEVEL" }),
    doc: "The least urgent level that is logged: debug, info, warning or error",
    more: "Also `warn` and `critical`, in any case; there is nothing above an error here.",
};

/// How a line looks.
pub const FORMAT: Setting = Setting {
    key: "log.format",
    kind: Kind::Word(&["auto", "pretty", "text", "json"]),
    default: Some("auto"),
    variable: Some("TASKLANE_LOG_FORMAT"),
    doc: "How a line on standard error looks: pretty, json, or auto: pretty on a terminal and JSON otherwise",
    ..Setting::NEW
};

/// A file of it.
pub const FILE: Setting = Setting {
    key: "log.file",
    kind: Kind::Path,
    variable: Some("TASKLANE_LOG_FILE"),
    flag: Some(Flag::Takes { long: "log-file", value: "FILE" }),
    doc: "Log into this file too, as JSON",
    more: "At 10 MB it is set aside as `FILE.1`, and so on up to `FILE.5`, which is the oldest.",
    ..Setting::NEW
};

/// The section.
pub const SECTION: Section = Section {
    name: "log",
    doc: "What the server says about itself. Payloads, results and secrets are never logged.",
    settings: &[&LEVEL, &FORMAT, &FILE],
};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: colours where the terminal has them.
    Pretty,
    /// For programs: one JSON object a line.
    Json,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least urgent level that is shown.
    pub level: Level,
    /// `None`: pretty on a terminal, JSON otherwise.
    pub format: Option<Format>,
    /// Whether colours were forbidden (`NO_COLOR`).
    pub colour: Colour,
    /// A file that gets every line too, as JSON.
    pub file: Option<PathBuf>,
}

/// Whether a terminal gets colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// It does.
    Allowed,
    /// It does not.
    Forbidden,
}

impl Log {
    /// Reads the section.
    ///
    /// # Errors
    /// A word that is no level or no format.
    pub fn read(settings: &Settings, environment: &Environment) -> Result<Self, StartError> {
        let colour = environment.get("NO_COLOR").map_or(Colour::Allowed, |_| Colour::Forbidden);
        let level = settings.parsed(&LEVEL, level)?;
        Ok(Self { level, format: settings.parsed(&FORMAT, format)?, colour, file: settings.path(&FILE) })
    }
}

/// The words of Python's logging and of ours, in any case.
fn level(word: &str) -> Option<Level> {
    match word.to_ascii_lowercase().as_str() {
        "trace" => Some(Level::TRACE),
        "debug" => Some(Level::DEBUG),
        "info" => Some(Level::INFO),
        "warn" | "warning" => Some(Level::WARN),
        "error" | "critical" => Some(Level::ERROR),
        _ => None,
    }
}

fn format(word: &str) -> Option<Option<Format>> {
    match word.to_ascii_lowercase().as_str() {
        "auto" => Some(None),
        "pretty" | "text" => Some(Some(Format::Pretty)),
        "json" => Some(Some(Format::Json)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Flags;
    use super::*;

    fn read(environment: &Environment) -> Result<Log, StartError> {
        Log::read(&Settings::without_files(&Flags::default(), environment)?, environment)
    }

    #[test]
    fn levels_are_read_in_any_case() {
        let words = [
            ("DEBUG", Level::DEBUG),
            ("info", Level::INFO),
            ("Warn", Level::WARN),
            ("WARNING", Level::WARN),
            ("error", Level::ERROR),
            ("CRITICAL", Level::ERROR),
        ];
        for (word, level) in words {
            for name in ["LOG_LEVEL", "TASKLANE_LOG"] {
                assert_eq!(read(&Environment::from([(name, word)])).unwrap().level, level, "{name} {word}");
            }
        }
        assert!(read(&Environment::from([("TASKLANE_LOG", "loud")])).is_err());
    }

    #[test]
    fn every_word_that_is_taken_means_something() {
        let words = |setting: &Setting| match setting.kind {
            Kind::Word(words) => words,
            _ => &[],
        };
        assert!(words(&LEVEL).iter().all(|it| level(it).is_some()));
        assert!(words(&FORMAT).iter().all(|it| format(it).is_some()));
    }

    #[test]
    fn our_own_variable_wins() {
        let environment = Environment::from([("TASKLANE_LOG", "error"), ("LOG_LEVEL", "debug")]);
        assert_eq!(read(&environment).unwrap().level, Level::ERROR);
        let silent = read(&Environment::default()).unwrap();
        assert_eq!((silent.level, silent.format, silent.file), (Level::INFO, None, None));
    }
}
