//! `db stats`: sizes and counts of a file, without counting rows. It works while a server runs.

use std::path::Path;

use tasklane_core::event::Position;
use tasklane_core::queue::Counts;

use super::check::open_known;
use super::counters::{COUNTED_TO, Counters};
use super::error::{OpenError, Result};
use super::live::fact;
use super::names::Names;

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileStats {
    /// Bytes of the database file.
    pub bytes: u64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: u64,
    /// Bytes within the file that are free.
    pub free_bytes: u64,
    /// Tasks in each state.
    pub counts: Counts,
    /// Queues.
    pub queues: usize,
    /// Lanes.
    pub lanes: usize,
    /// Commits in the event log: the first and the last.
    pub log: Option<(u64, u64)>,
    /// The schema's version.
    pub schema: u32,
    /// Bytes of each table and index with their names, the largest first.
    pub tables: Vec<(String, u64)>,
}

/// The sizes and counts of the database at `path`.
///
/// # Errors
/// [`OpenError`] where it cannot be read.
pub fn stats(path: &Path) -> Result<FileStats, OpenError> {
    let db = open_known(path)?;
    let schema = super::migrate::version(&db, path)?;
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let stats = FileStats { bytes: size(path), wal_bytes: size(&super::wal_of(path)), schema, ..FileStats::default() };
    read(&db, stats).map_err(|fault| OpenError::from_fault(path, &fault))
}

fn read(db: &rusqlite::Connection, mut stats: FileStats) -> Result<FileStats> {
    db.execute_batch("BEGIN")?;
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    stats.free_bytes = (number("PRAGMA freelist_count")? * number("PRAGMA page_size")?) as u64;
    let names = Names::load(db)?;
    (stats.queues, stats.lanes) = (names.queues.len(), names.lanes.len());
    let counted_to = Position(fact(db, COUNTED_TO)?.unwrap_or(0) as u64);
    let counters = Counters::load(db, counted_to)?;
    stats.counts = *counters.total();
    let ends = "SELECT (SELECT min(position) FROM log), (SELECT max(position) FROM log)";
    let (first, last): (Option<i64>, Option<i64>) = db.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    stats.log = first.zip(last).map(|(first, last)| (first as u64, last as u64));
    let mut tables = db.prepare("SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE ORDER BY pgsize DESC")?;
    let rows = tables.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
    stats.tables = rows.collect::<std::result::Result<_, _>>()?;
    Ok(stats)
}
