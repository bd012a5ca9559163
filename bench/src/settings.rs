//! What the environment asks for.

use std::env;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::Failure;

/// What is measured, how often, and where its data goes.
#[derive(Clone)]
pub struct Settings {
    /// Names of lines; empty is all of them.
    pub only: Vec<String>,
    /// How often each is measured.
    pub reps: usize,
    /// Divides every number of tasks: a quick look that proves nothing.
    pub divide: usize,
    /// Where data directories are made.
    root: PathBuf,
    /// The server under test.
    pub binary: PathBuf,
}

impl Settings {
    /// Reads `ONLY`, `STORE`, `REPS`, `DIVIDE`, `BENCH_DIR` and `TASKLANE_BIN`.
    pub fn read() -> Result<Self, Failure> {
        let store = env::var("STORE").unwrap_or_else(|_| "sqlite".to_owned());
        if !store.split(',').any(|it| it == "sqlite") {
            return Err(format!("STORE={store}: the only store is sqlite").into());
        }
        let only = env::var("ONLY").unwrap_or_default();
        let here = env::current_exe()?;
        let beside = here.parent().ok_or("the bench lies in no directory")?;
        let root = env::var_os("BENCH_DIR").map_or_else(|| beside.join("bench-data"), PathBuf::from);
        std::fs::create_dir_all(&root)?;
        Ok(Self {
            only: only.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            reps: number("REPS", 3)?,
            divide: number("DIVIDE", 1)?,
            binary: env::var_os("TASKLANE_BIN").map_or_else(|| beside.join("tasklane"), PathBuf::from),
            root,
        })
    }

    /// A directory for one measurement, removed with it.
    pub fn fresh_dir(&self) -> Result<TempDir, Failure> {
        Ok(tempfile::Builder::new().prefix("run-").tempdir_in(&self.root)?)
    }

    /// `tasks`, divided for a quick look; whole thousands.
    pub fn tasks(&self, tasks: usize) -> usize {
        (tasks / self.divide / 1000).max(1) * 1000
    }

    /// The same, for figures that do not vary: measured once.
    pub fn once(&self) -> Self {
        Self { reps: 1, ..self.clone() }
    }

    /// Whether the line of this name is asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|it| it == name)
    }
}

fn number(name: &str, default: usize) -> Result<usize, Failure> {
    match env::var(name) {
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{name}={text}: a number from 1 on is wanted").into()),
        },
        Err(_) => Ok(default),
    }
}
