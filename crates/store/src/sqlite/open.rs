//! Opening: one server a file, nothing newer, nothing damaged.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use tasklane_core::fair::Fairness;
use tasklane_core::ports::clock::Clock;

use super::error::OpenError;
use super::migrate::{self, Migrate};

/// The database within a data directory.
pub const DATABASE: &str = "tasklane.db";
/// Page cache of the writer, in KiB.
const CACHE_KIB: i64 = 16 * 1024;
/// What the write-ahead log is cut to when it was larger.
const JOURNAL_SIZE_LIMIT: i64 = 64 << 20;
/// Size of a page, in bytes.
pub(crate) const PAGE: i64 = 8192;
/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Where its files are; made if it is not there.
    pub dir: PathBuf,
    /// The machine's clocks.
    pub clock: Arc<dyn Clock>,
    /// Whether an older schema is brought up to date.
    pub migrate: Migrate,
    /// Room kept back for a full disk.
    pub reserve_bytes: u64,
    /// Whether tenants take turns.
    pub fairness: Fairness,
}

impl Options {
    /// The defaults.
    pub fn new(dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        let (migrate, reserve_bytes) = (Migrate::default(), super::reserve::RESERVE_BYTES);
        Self { dir: dir.into(), clock, migrate, reserve_bytes, fairness: Fairness::default() }
    }

    /// The database's path.
    pub fn database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }
}

/// The right to be the only server on a file; given back when it is dropped, also by a process that is killed.
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock of the database at `path`.
pub(crate) fn lock(path: &Path) -> Result<Lock, OpenError> {
    let beside = PathBuf::from(format!("{}.lock", path.display()));
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&beside);
    let file = opened.map_err(|error| OpenError::io(&beside, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::io(&beside, error)),
    }
}

/// Opens the database for writing. What is there is looked at before anything is changed.
pub(crate) fn open(options: &Options) -> Result<(Connection, Lock), OpenError> {
    fs::create_dir_all(&options.dir).map_err(|error| OpenError::io(&options.dir, error))?;
    let path = options.database();
    let lock = lock(&path)?;
    look_at_header(&path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let faulty = |error: rusqlite::Error| OpenError::from_fault(&path, &error.into());
    let mut db = Connection::open_with_flags(&path, flags).map_err(faulty)?;
    let version = migrate::version(&db, &path)?;
    if version == 0 {
        // Only an empty file can still learn these. Larger pages are fewer to write and to split.
        db.pragma_update(None, "page_size", PAGE).map_err(faulty)?;
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(faulty)?;
    }
    configure(&db).map_err(faulty)?;
    migrate::migrate(&mut db, &path, options.migrate)?;
    check_quickly(&db, &path)?;
    Ok((db, lock))
}

fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update_and_check(None, "journal_size_limit", JOURNAL_SIZE_LIMIT, |_| Ok(()))?;
    db.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// SQLite takes an empty file for a new database and finds out about others late; a zeroed header must not look new.
pub(crate) fn look_at_header(path: &Path) -> Result<(), OpenError> {
    let Ok(mut file) = File::open(path) else { return Ok(()) };
    let length = file.metadata().map_err(|error| OpenError::io(path, error))?.len();
    let mut header = [0; 16];
    let whole = file.read_exact(&mut header).is_ok();
    if length == 0 || (whole && header == *MAGIC) {
        return Ok(());
    }
    Err(OpenError::Damaged { path: path.to_owned(), cause: "it does not begin as an SQLite database does".into() })
}

/// Reads what every start reads: the schema, and the ends of each table.
fn check_quickly(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let faulty = |error: rusqlite::Error| OpenError::from_fault(path, &error.into());
    let pages: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0)).map_err(faulty)?;
    let size: i64 = db.query_row("PRAGMA page_size", [], |row| row.get(0)).map_err(faulty)?;
    let wal = fs::metadata(format!("{}-wal", path.display())).map_or(0, |file| file.len());
    let length = fs::metadata(path).map_err(|error| OpenError::io(path, error))?.len();
    if wal == 0 && (length as i64) < pages * size {
        let cause = format!("it is cut off: {length} bytes where {} are expected", pages * size);
        return Err(OpenError::Damaged { path: path.to_owned(), cause });
    }
    for (table, key) in [("tasks", "seq"), ("takeable", "lane"), ("due", "at"), ("log", "position"), ("leases", "no")] {
        let ends = format!("SELECT min({key}), max({key}) FROM {table}");
        db.query_row(&ends, [], |_| Ok(())).map_err(faulty)?;
    }
    Ok(())
}
