//! Moves what the write-ahead log has gathered into the database, often enough to keep the log short. The writer does so
//! itself after it has answered: while it moves pages it does not add any, so the log begins anew every time.

use rusqlite::Connection;

use tasklane_core::limit;

use super::error::Result;
use super::open::PAGE;

/// The log's length past which it is moved, in pages: 16 MiB.
const PAGES: i64 = 2048;
/// How much the log must grow before a move that a reader held up is tried again, in pages.
const AGAIN: i64 = 512;

/// The log's length past which somebody is told, in pages.
const ALARM: i64 = limit::WAL_BYTES as i64 / PAGE;

#[derive(Default)]
pub(crate) struct Checkpoint {
    next: i64,
    alarmed: bool,
}

impl Checkpoint {
    /// Moves the log if it has grown past its bound.
    pub(crate) fn look(&mut self, db: &Connection) -> Result<()> {
        let (log, moved) = checkpoint(db, "PRAGMA wal_checkpoint(NOOP)")?;
        self.tell(log);
        if log < PAGES {
            self.next = PAGES;
        } else if log > moved && log >= self.next {
            checkpoint(db, "PRAGMA wal_checkpoint(PASSIVE)")?;
            self.next = log + AGAIN;
        }
        Ok(())
    }

    /// Says once when the log is too long, and once when it is short again.
    fn tell(&mut self, log: i64) {
        if log > ALARM && !self.alarmed {
            let mebibytes = (log * PAGE) >> 20;
            tracing::warn!(
                mebibytes,
                "the write-ahead log grows: another program reads an old state of the database and does not end"
            );
            self.alarmed = true;
        } else if log < PAGES && self.alarmed {
            tracing::info!("the write-ahead log is short again");
            self.alarmed = false;
        }
    }

    /// Moves all of it, and cuts the file.
    pub(crate) fn last(&mut self, db: &Connection) {
        if let Err(error) = checkpoint(db, "PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(%error, "the write-ahead log was not moved at the end; the next start does it");
        }
    }
}

/// Pages in the log, and how many of them have been moved.
fn checkpoint(db: &Connection, how: &str) -> rusqlite::Result<(i64, i64)> {
    db.prepare_cached(how)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}
