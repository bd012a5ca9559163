//! A record outside the system under test: what clients were told and what handlers did.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of lines. Every line is one write at the end of the file, so processes that are killed leave whole lines.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
}

impl Ledger {
    /// Opens the ledger at `path`, which may exist.
    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path).expect("the ledger can be written");
        Self { path: path.into(), file }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one line.
    pub fn write(&self, line: &str) {
        (&self.file).write_all(format!("{line}\n").as_bytes()).expect("the ledger can be written");
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.file.metadata().expect("the ledger can be looked at").len()
    }

    /// Every line, in the order written.
    pub fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.path).expect("the ledger can be read").lines().map(str::to_owned).collect()
    }

    /// Lines that begin with this word, without it.
    pub fn of(&self, word: &str) -> Vec<String> {
        let lines = self.lines();
        lines.iter().filter_map(|it| it.strip_prefix(word)?.strip_prefix(' ')).map(str::to_owned).collect()
    }
}
