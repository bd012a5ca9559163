//! What the environment asks for.

use std::cell::Cell;
use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use crate::Failure;
use crate::postgres::Postgres;

/// What keeps the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The embedded one.
    Sqlite,
    /// A server started for the measurement.
    Postgres,
}

impl Store {
    /// Its name in `STORE` and in the output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    fn named(word: &str) -> Result<Self, Failure> {
        let found = [Self::Sqlite, Self::Postgres].into_iter().find(|it| it.word() == word);
        found.ok_or_else(|| format!("STORE={word}: the stores are sqlite and postgres").into())
    }
}

/// Tasks a second of some lines; NaN until they are measured.
pub struct Known {
    /// Bare SQL on PostgreSQL.
    pub pg_floor: Cell<f64>,
    /// `end_to_end` with one server.
    pub end_to_end: Cell<f64>,
}

impl Default for Known {
    fn default() -> Self {
        Self { pg_floor: Cell::new(f64::NAN), end_to_end: Cell::new(f64::NAN) }
    }
}

/// What is measured, how often, and where its data goes.
#[derive(Clone)]
pub struct Settings {
    /// Names of lines; empty is all of them.
    pub only: Vec<String>,
    /// The stores asked for, in that order.
    pub stores: Vec<Store>,
    /// The store of the line that is being measured.
    pub store: Store,
    /// How often each is measured.
    pub reps: usize,
    /// Divides every number of tasks: a quick look that proves nothing.
    pub divide: usize,
    /// How long a snapshot is held open while the store works.
    pub hold: Duration,
    /// The PostgreSQL of this run.
    pub postgres: Postgres,
    /// Tasks a second that lines were measured at in this run, for others to be compared with.
    pub known: Rc<Known>,
    /// Where data directories are made.
    root: PathBuf,
    /// The server under test.
    pub binary: PathBuf,
}

impl Settings {
    /// Reads `ONLY`, `STORE`, `REPS`, `DIVIDE`, `HOLD`, `BENCH_DIR` and `TASKLANE_BIN`.
    pub fn read() -> Result<Self, Failure> {
        let store = env::var("STORE").unwrap_or_else(|_| "sqlite".to_owned());
        let stores = store.split(',').map(|word| Store::named(word.trim())).collect::<Result<Vec<_>, _>>()?;
        let only = env::var("ONLY").unwrap_or_default();
        let here = env::current_exe()?;
        let beside = here.parent().ok_or("the bench lies in no directory")?;
        let root = env::var_os("BENCH_DIR").map_or_else(|| beside.join("bench-data"), PathBuf::from);
        std::fs::create_dir_all(&root)?;
        Ok(Self {
            only: only.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            store: *stores.first().ok_or("STORE names no store")?,
            stores,
            reps: number("REPS", 3)?,
            divide: number("DIVIDE", 1)?,
            hold: Duration::from_secs(number("HOLD", 60)? as u64),
            postgres: Postgres::default(),
            known: Rc::default(),
            binary: env::var_os("TASKLANE_BIN").map_or_else(|| beside.join("tasklane"), PathBuf::from),
            root,
        })
    }

    /// A directory for one measurement, removed with it.
    pub fn fresh_dir(&self) -> Result<TempDir, Failure> {
        Ok(tempfile::Builder::new().prefix("run-").tempdir_in(&self.root)?)
    }

    /// The same, for programs that do not run as us: PostgreSQL never runs as root.
    pub fn fresh_dir_for_all(&self) -> Result<TempDir, Failure> {
        let dir = self.fresh_dir()?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
        Ok(dir)
    }

    /// A directory that is kept from one run to the next.
    pub fn kept_dir(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// `tasks`, divided for a quick look; whole thousands.
    pub fn tasks(&self, tasks: usize) -> usize {
        (tasks / self.divide / 1000).max(1) * 1000
    }

    /// The same, for figures that do not vary: measured once.
    pub fn once(&self) -> Self {
        Self { reps: 1, ..self.clone() }
    }

    /// The same, on one store. Nothing is known of it yet.
    pub fn on(&self, store: Store) -> Self {
        Self { store, known: Rc::default(), ..self.clone() }
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
