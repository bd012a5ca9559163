//! The environment as a value, so that tests need not change the process; with it what a `.env` file adds.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::StartError;

/// The file beside which a program is started and that adds variables.
pub const FILE: &str = ".env";
/// Longest `.env` in bytes.
pub const FILE_BYTES: u64 = 1 << 20;

/// Environment variables. Empty ones count as absent: compose files leave them behind.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, Variable>);

#[derive(Debug, Clone)]
struct Variable {
    text: String,
    /// The file and line it stands in; `None`: the process was given it.
    place: Option<(PathBuf, usize)>,
}

impl Environment {
    /// Those of this process. What is not UTF-8 of a value is replaced: a key that cannot be read is still a key, and must
    /// not be taken for none.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        let filled = env::vars_os().filter_map(text).filter(|(_, value)| !value.trim().is_empty());
        Self(filled.map(|(name, text)| (name, Variable { text, place: None })).collect())
    }

    /// The same, with what the `.env` file of the current directory adds; what the process was given wins.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it.
    pub fn with_file(self) -> Result<Self, StartError> {
        let path = Path::new(FILE);
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self),
            // A folder of this name is somebody's Python environment.
            Ok(it) if !it.is_file() => return Ok(self),
            Ok(it) if it.len() > FILE_BYTES => {
                return Err(StartError::file(path, None, format!("it is longer than {FILE_BYTES} bytes")));
            }
            _ => {}
        }
        let text = fs::read_to_string(path).map_err(|error| StartError::file(path, None, error.to_string()))?;
        self.with_text(path, &text)
    }

    fn with_text(mut self, path: &Path, text: &str) -> Result<Self, StartError> {
        for pair in dotenvy::from_read_iter(text.as_bytes()) {
            // The error would show the line, and with it what may be a secret.
            let (name, value) = pair.map_err(|error| {
                let line = match error {
                    dotenvy::Error::LineParse(shown, _) => line_where(text, |it| it.trim() == shown.trim()),
                    _ => None,
                };
                StartError::file(path, line, "this is no NAME=value; quote values with blanks".into())
            })?;
            let line = line_where(text, |it| named(it) == Some(&name));
            if !value.trim().is_empty() {
                let place = Some((path.to_owned(), line.unwrap_or(1)));
                self.0.entry(name).or_insert(Variable { text: value, place });
            }
        }
        Ok(self)
    }

    /// The variable's text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|it| it.text.as_str())
    }

    /// The file and line that set it, where the process was not given it.
    pub fn place(&self, name: &str) -> Option<(&Path, usize)> {
        self.0.get(name)?.place.as_ref().map(|(path, line)| (path.as_path(), *line))
    }

    /// The first of `names` that is set, with its text.
    pub fn first<'a>(&self, names: &[&'a str]) -> Option<(&'a str, &str)> {
        names.iter().find_map(|&name| Some((name, self.get(name)?)))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// The name that a line of a `.env` file sets.
fn named(line: &str) -> Option<&str> {
    let line = line.trim();
    Some(line.strip_prefix("export ").unwrap_or(line).split_once('=')?.0.trim())
}

/// The number of the first line that is meant.
fn line_where(text: &str, meant: impl Fn(&str) -> bool) -> Option<usize> {
    text.lines().position(meant).map(|it| it + 1)
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let filled = pairs.into_iter().filter(|(_, value)| !value.trim().is_empty());
        Self(filled.map(|(name, value)| (name.into(), Variable { text: value.into(), place: None })).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_empty_variable_is_absent() {
        assert_eq!(Environment::from([("A", " ")]).get("A"), None);
    }

    #[test]
    fn a_file_adds_what_the_process_was_not_given() {
        let text = "# ours\nTASKLANE_SLOTS=5\n\nexport B=\"b c\"\nC=\nD=file # why\n";
        let environment = Environment::from([("D", "given")]).with_text(Path::new(".env"), text).unwrap();
        assert_eq!(environment.get("TASKLANE_SLOTS"), Some("5"));
        assert_eq!(environment.place("TASKLANE_SLOTS").unwrap(), (Path::new(".env"), 2));
        assert_eq!((environment.get("B"), environment.place("B").unwrap().1), (Some("b c"), 4));
        assert_eq!(environment.get("C"), None);
        assert_eq!((environment.get("D"), environment.place("D")), (Some("given"), None));
    }

    #[test]
    fn a_broken_line_is_named_and_not_shown() {
        let text = "A=1\nKEY='s3cret\n";
        let refusal = Environment::default().with_text(Path::new(".env"), text).unwrap_err().to_string();
        assert!(refusal.contains(".env:2") && !refusal.contains("s3cret"), "{refusal}");
    }
}
