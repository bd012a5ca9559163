//! What the server says about itself, and how.

use tracing::Level;

use super::Environment;
use crate::error::StartError;

/// The level's variables; ours wins.
const LEVEL: &[&str] = &["TASKLANE_LOG", "LOG_LEVEL"];
const FORMAT: &str = "TASKLANE_LOG_FORMAT";
/// The variables this section reads.
pub const VARIABLES: &[&str] = &["TASKLANE_LOG", FORMAT];

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: colours where the terminal has them.
    Pretty,
    /// For programs: one JSON object a line.
    Json,
}

/// The log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least urgent level that is shown.
    pub level: Level,
    /// `None`: pretty on a terminal, JSON otherwise.
    pub format: Option<Format>,
    /// Whether colours were forbidden (`NO_COLOR`).
    pub colour: Colour,
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
    pub fn read(environment: &Environment) -> Result<Self, StartError> {
        let level = environment.first(LEVEL).map_or(Ok(Level::INFO), |(name, word)| level(name, word))?;
        let colour = environment.get("NO_COLOR").map_or(Colour::Allowed, |_| Colour::Forbidden);
        Ok(Self { level, format: environment.get(FORMAT).map(format).transpose()?, colour })
    }
}

/// The words of Python's logging and of ours, in any case; there is nothing above an error here.
fn level(name: &'static str, word: &str) -> Result<Level, StartError> {
    match word.to_ascii_lowercase().as_str() {
        "trace" => Ok(Level::TRACE),
        "debug" => Ok(Level::DEBUG),
        "info" => Ok(Level::INFO),
        "warn" | "warning" => Ok(Level::WARN),
        "error" | "critical" => Ok(Level::ERROR),
        _ => Err(StartError::setting(name, word, "DEBUG, INFO, WARNING, ERROR or CRITICAL")),
    }
}

fn format(word: &str) -> Result<Format, StartError> {
    match word.to_ascii_lowercase().as_str() {
        "pretty" | "text" => Ok(Format::Pretty),
        "json" => Ok(Format::Json),
        _ => Err(StartError::setting(FORMAT, word, "pretty or json")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
            assert_eq!(Log::read(&Environment::from([("LOG_LEVEL", word)])).unwrap().level, level, "{word}");
        }
        assert!(Log::read(&Environment::from([("TASKLANE_LOG", "loud")])).is_err());
    }

    #[test]
    fn our_own_variable_wins() {
        let environment = Environment::from([("TASKLANE_LOG", "error"), ("LOG_LEVEL", "debug")]);
        assert_eq!(Log::read(&environment).unwrap().level, Level::ERROR);
        assert_eq!(Log::read(&Environment::default()).unwrap().level, Level::INFO);
    }
}
