//! What bare SQL reaches: one table with one partial index, tasks leased and settled by 500, every commit synced. The
//! whole product is measured against it, so it is written as well as it can be: prepared statements, integer keys, one
//! commit that settles the last 500 and leases the next.

use rusqlite::{Connection, params};

use crate::Failure;
use crate::machine::monotonic_ns;
use crate::payload::payload;
use crate::report::{Line, Sample, rate_since, sample};
use crate::settings::Settings;

const TASKS: usize = 200_000;
const BATCH: i64 = 500;

const RUNNING: i64 = 2;
const SUCCEEDED: i64 = 3;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA cache_size = -65536;
    CREATE TABLE task (
        id INTEGER PRIMARY KEY, state INTEGER NOT NULL, priority INTEGER NOT NULL, attempt INTEGER NOT NULL,
        token INTEGER, until INTEGER, finished_at INTEGER, payload BLOB NOT NULL, result BLOB
    );
    CREATE INDEX ready ON task (priority DESC, id) WHERE state = 1;
";
const INSERT: &str = "INSERT INTO task (id, state, priority, attempt, payload) VALUES (?1, 1, 0, 0, ?2)";
const TAKE: &str = "SELECT id, attempt, payload FROM task WHERE state = 1 ORDER BY priority DESC, id LIMIT ?1";
const LEASE: &str = "UPDATE task SET state = ?2, attempt = ?3, token = ?4, until = ?5 WHERE id = ?1";
const SETTLE: &str =
    "UPDATE task SET state = ?2, finished_at = ?4, result = ?5 WHERE id = ?1 AND state = 2 AND token = ?3";

/// Prints the line.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    Line { name: "sqlite_floor", by: "per_second" }.measure(settings, || measure(settings, tasks)).map(drop)
}

fn measure(settings: &Settings, tasks: usize) -> Result<Sample, Failure> {
    let dir = settings.fresh_dir()?;
    let mut db = Connection::open(dir.path().join("floor.db"))?;
    db.execute_batch(SCHEMA)?;
    let began = monotonic_ns();
    fill(&mut db, tasks)?;
    let insert = rate_since(tasks, began);
    let began = monotonic_ns();
    drain(&mut db, tasks)?;
    Ok(rate_since(tasks, began).with(sample! { "batch": BATCH, "insert_per_second": insert.number("per_second") }))
}

fn fill(db: &mut Connection, tasks: usize) -> Result<(), Failure> {
    let body = payload(0);
    for first in (0..tasks).step_by(1000) {
        let commit = db.transaction()?;
        {
            let mut insert = commit.prepare_cached(INSERT)?;
            for id in first..(first + 1000).min(tasks) {
                insert.execute(params![id as i64, body.as_bytes()])?;
            }
        }
        commit.commit()?;
    }
    Ok(())
}

/// A leased task: id and token. Its payload was read, as a worker would be sent it.
type Taken = (i64, i64);

fn drain(db: &mut Connection, tasks: usize) -> Result<(), Failure> {
    let (mut held, mut settled, mut bytes) = (Vec::new(), 0, 0);
    while settled < tasks {
        let commit = db.transaction()?;
        settled += settle(&commit, &held)?;
        held = lease(&commit, &mut bytes)?;
        commit.commit()?;
    }
    if settled == tasks && bytes >= tasks * 90 { Ok(()) } else { Err(format!("settled {settled} of {tasks}").into()) }
}

fn settle(commit: &Connection, held: &[Taken]) -> Result<usize, Failure> {
    let mut statement = commit.prepare_cached(SETTLE)?;
    let mut settled = 0;
    for (id, token) in held {
        settled += statement.execute(params![id, SUCCEEDED, token, monotonic_ns() / 1000, b"null".as_slice()])?;
    }
    Ok(settled)
}

fn lease(commit: &Connection, bytes: &mut usize) -> Result<Vec<Taken>, Failure> {
    let mut take = commit.prepare_cached(TAKE)?;
    let mut taken = Vec::new();
    let mut rows = take.query(params![BATCH])?;
    while let Some(row) = rows.next()? {
        let payload: Vec<u8> = row.get(2)?;
        *bytes += payload.len();
        taken.push((row.get::<_, i64>(0)?, row.get::<_, i64>(1)? + 1));
    }
    drop(rows);
    let mut statement = commit.prepare_cached(LEASE)?;
    let until = monotonic_ns() / 1000 + 30_000_000;
    let mut held = Vec::with_capacity(taken.len());
    for (id, attempt) in taken {
        let token = id.wrapping_mul(6_364_136_223_846_793_005) ^ until;
        statement.execute(params![id, RUNNING, attempt, token, until])?;
        held.push((id, token));
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_floor_settles_every_task_once() {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        fill(&mut db, 1200).unwrap();
        drain(&mut db, 1200).unwrap();
        let done = "SELECT count(*) FROM task WHERE state = 3 AND attempt = 1 AND CAST(result AS TEXT) = 'null'";
        assert_eq!(db.query_row(done, [], |row| row.get::<_, i64>(0)).unwrap(), 1200);
    }
}
