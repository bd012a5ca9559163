//! Brings a file to the schema this program knows. The steps are files beside this folder, embedded with their checksums;
//! `PRAGMA user_version` says how many of them a file has had, the table `migrations` which.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use xxhash_rust::xxh3::xxh3_64;

use super::error::OpenError;

/// A step: its name and what it does.
struct Step {
    name: &'static str,
    sql: &'static str,
}

const STEPS: &[Step] = &[
    Step { name: "0001_tasks", sql: include_str!("../migrations/sqlite/0001_tasks.sql") },
    Step { name: "0002_notes", sql: include_str!("../migrations/sqlite/0002_notes.sql") },
    Step { name: "0003_origin", sql: include_str!("../migrations/sqlite/0003_origin.sql") },
    Step { name: "0004_inside", sql: include_str!("../migrations/sqlite/0004_inside.sql") },
    Step { name: "0005_gates", sql: include_str!("../migrations/sqlite/0005_gates.sql") },
    Step { name: "0006_turns", sql: include_str!("../migrations/sqlite/0006_turns.sql") },
    Step { name: "0007_cuts", sql: include_str!("../migrations/sqlite/0007_cuts.sql") },
    Step { name: "0008_records", sql: include_str!("../migrations/sqlite/0008_records.sql") },
];

/// What tells a file of ours from any other SQLite file: "Task" in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x5461_736b;

/// Whether a file of an older schema is brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Migrate {
    /// At once.
    #[default]
    Yes,
    /// It is refused.
    No,
}

/// The schema version this program knows.
pub(crate) fn known() -> u32 {
    STEPS.len() as u32
}

/// Refuses what this program cannot read; brings up to date what it can.
pub(crate) fn migrate(db: &mut Connection, path: &Path, migrate: Migrate) -> Result<(), OpenError> {
    let version = version(db, path)?;
    let known = known();
    if version > known {
        return Err(OpenError::Newer { path: path.to_owned(), found: version, known });
    }
    if version > 0 && version < known && migrate == Migrate::No {
        return Err(OpenError::Older { path: path.to_owned(), found: version, known });
    }
    let faulty = |error: rusqlite::Error| OpenError::from_fault(path, &error.into());
    if version < known {
        run(db, version).map_err(faulty)?;
    }
    same_steps(db, path)
}

/// How many steps the file has had; 0 is an empty file.
pub(crate) fn version(db: &Connection, path: &Path) -> Result<u32, OpenError> {
    let faulty = |error: rusqlite::Error| OpenError::from_fault(path, &error.into());
    let version: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(faulty)?;
    let application: i32 = db.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(faulty)?;
    let tables: u32 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(faulty)?;
    if application != APPLICATION_ID && (tables > 0 || version > 0) {
        let cause = "it is a database of another program".to_owned();
        return Err(OpenError::Damaged { path: path.to_owned(), cause });
    }
    Ok(version)
}

fn run(db: &mut Connection, from: u32) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, checksum INTEGER NOT NULL) WITHOUT ROWID",
    )?;
    for step in &STEPS[from as usize..] {
        tx.execute_batch(step.sql)?;
        tx.execute("INSERT INTO migrations (name, checksum) VALUES (?, ?)", (step.name, checksum(step)))?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", known())?;
    tx.commit()
}

fn checksum(step: &Step) -> i64 {
    xxh3_64(step.sql.as_bytes()) as i64
}

/// A file whose steps were others than ours looks right and is not.
fn same_steps(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let faulty = |error: rusqlite::Error| OpenError::from_fault(path, &error.into());
    let mut find = db.prepare("SELECT checksum FROM migrations WHERE name = ?").map_err(faulty)?;
    for step in STEPS {
        let found: i64 = find.query_row([step.name], |row| row.get(0)).map_err(faulty)?;
        if found != checksum(step) {
            let cause = format!("its schema step {} is not the one this program knows", step.name);
            return Err(OpenError::Damaged { path: path.to_owned(), cause });
        }
    }
    Ok(())
}
