//! Reads: a small pool of read-only connections, a short transaction each, on threads that may block.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tasklane_core::error::StoreError;
use tokio::sync::Semaphore;

use super::error::{Fault, Result};

/// Most reads at a time; others wait.
const READERS: usize = 4;
/// Page cache of a reader, in KiB.
const CACHE_KIB: i64 = 2048;

/// The pool.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, idle: Mutex::new(Vec::new()), turns: Semaphore::new(READERS) })
    }

    /// Runs `read` within one transaction.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _turn = self.turns.acquire().await.map_err(|_| StoreError::Away("it was closed".into()))?;
        let pool = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || pool.read_here(read));
        match reading.await {
            Ok(answer) => answer.map_err(StoreError::from),
            Err(failed) => Err(StoreError::Away(failed.to_string())),
        }
    }

    fn read_here<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.idle().pop();
        let db = idle.map_or_else(|| open(&self.path), Ok)?;
        db.execute_batch("BEGIN")?;
        let answer = read(&db);
        db.execute_batch("COMMIT")?;
        self.idle().push(db);
        answer
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses later reads and closes what is idle.
    pub(crate) fn close(&self) {
        self.turns.close();
        self.idle().clear();
    }
}

/// A read-only connection to the file.
pub(crate) fn open(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "cache_size", -CACHE_KIB)?;
    db.set_prepared_statement_cache_capacity(32);
    Ok(db)
}

/// Bytes of a column.
pub(crate) fn blob<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<&'a [u8]> {
    row.get_ref(column)?.as_blob().map_err(|error| Fault::damaged(error.to_string()))
}
