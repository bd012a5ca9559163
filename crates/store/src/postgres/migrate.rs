//! Brings a database to the schema this program knows, one server at a time. A step says which versions of the program can
//! still work beside it, so that servers of two versions may run while one takes the other's place.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use xxhash_rust::xxh3::xxh3_64;

use super::error::{Fault, OpenError};
use super::session::{Session, Statement};
use crate::sqlite::Migrate;

/// A step: its name, what it does, and the oldest version that can work with what it leaves.
struct Step {
    name: &'static str,
    sql: &'static str,
    oldest: i32,
}

const STEPS: &[Step] = &[
    Step { name: "0001_tasks", sql: include_str!("../migrations/postgres/0001_tasks.sql"), oldest: 1 },
    Step { name: "0002_inside", sql: include_str!("../migrations/postgres/0002_inside.sql"), oldest: 1 },
    // A server that knows no gates would start tasks whose gates are full.
    Step { name: "0003_gates", sql: include_str!("../migrations/postgres/0003_gates.sql"), oldest: 3 },
    // A server that knows no turns would not find what stands at one.
    Step { name: "0004_turns", sql: include_str!("../migrations/postgres/0004_turns.sql"), oldest: 4 },
    // A server that knows no stripes would start tasks beside those that do, each up to the limit.
    Step { name: "0005_slots", sql: include_str!("../migrations/postgres/0005_slots.sql"), oldest: 5 },
    Step { name: "0006_records", sql: include_str!("../migrations/postgres/0006_records.sql"), oldest: 5 },
    Step { name: "0007_audit", sql: include_str!("../migrations/postgres/0007_audit.sql"), oldest: 5 },
    // A server that knows no callbacks would take them off what it changes, and would tell no webhook of it.
    Step { name: "0008_webhooks", sql: include_str!("../migrations/postgres/0008_webhooks.sql"), oldest: 8 },
];

/// The oldest PostgreSQL that has what is used.
const NEEDED: u32 = 13;

/// One server at a time; the number is this program's own, as there may be no table yet to lock by.
const TURN: &str = "SELECT pg_advisory_xact_lock(7806831264735756657)";

const TABLE: &str = "CREATE TABLE IF NOT EXISTS tasklane.migrations (
        no int PRIMARY KEY, name text NOT NULL, checksum bigint NOT NULL, oldest int NOT NULL,
        at timestamptz NOT NULL DEFAULT now())";

const DONE: Statement =
    Statement { sql: "SELECT no, name, checksum, oldest FROM tasklane.migrations ORDER BY no", types: &[] };

const ADD: Statement = Statement {
    sql: "INSERT INTO tasklane.migrations (no, name, checksum, oldest) VALUES ($1, $2, $3, $4)",
    types: &[Type::INT4, Type::TEXT, Type::INT8, Type::INT4],
};

const VERSION: Statement = Statement {
    sql: "SELECT current_setting('server_version_num')::int, current_setting('server_version')",
    types: &[],
};

/// A step that the database has had.
struct Done {
    no: i32,
    name: String,
    checksum: i64,
    oldest: i32,
}

/// Refuses what this program cannot read; brings up to date what it can.
pub(crate) async fn migrate(session: &Session, migrate: Migrate) -> Result<(), OpenError> {
    let faulty = |fault: Fault| OpenError::from_fault(&fault);
    new_enough(session).await?;
    let done = match done(session).await {
        Ok(done) => done,
        Err(Fault::Sql(error)) if is_missing(&error) => Vec::new(),
        Err(fault) => return Err(faulty(fault)),
    };
    let (version, known) = (done.last().map_or(0, |it| it.no), STEPS.len() as i32);
    same_steps(&done)?;
    if version > known && done.iter().any(|it| it.oldest > known) {
        return Err(OpenError::Newer { found: version as u32, known: known as u32 });
    }
    if version >= known {
        return Ok(());
    }
    if version > 0 && migrate == Migrate::No {
        return Err(OpenError::Older { found: version as u32, known: known as u32 });
    }
    run(session).await.map_err(faulty)
}

/// Refuses what this program cannot read, and changes nothing.
pub(crate) async fn known(session: &Session) -> Result<(), OpenError> {
    new_enough(session).await?;
    let done = match done(session).await {
        Err(Fault::Sql(error)) if is_missing(&error) => return Err(OpenError::Missing(session.schema().into())),
        done => done.map_err(|fault| OpenError::from_fault(&fault))?,
    };
    same_steps(&done)?;
    let (found, known) = (done.last().map_or(0, |it| it.no).unsigned_abs(), STEPS.len() as u32);
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(OpenError::Older { found, known }),
        std::cmp::Ordering::Greater if done.iter().any(|it| it.oldest > known as i32) => {
            Err(OpenError::Newer { found, known })
        }
        _ => Ok(()),
    }
}

fn is_missing(error: &tokio_postgres::Error) -> bool {
    let missing = [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME];
    error.code().is_some_and(|code| missing.contains(code))
}

async fn new_enough(session: &Session) -> Result<(), OpenError> {
    let faulty = |fault: Fault| OpenError::from_fault(&fault);
    let row = session.row(&VERSION, &[]).await.map_err(faulty)?;
    let number: i32 = row.try_get(0).map_err(|error| faulty(error.into()))?;
    if number < NEEDED as i32 * 10_000 {
        let found = row.try_get(1).map_err(|error| faulty(error.into()))?;
        return Err(OpenError::TooOld { found, needed: NEEDED });
    }
    Ok(())
}

async fn done(session: &Session) -> super::error::Result<Vec<Done>> {
    let rows = session.rows(&DONE, &[]).await?;
    let read = |row: &tokio_postgres::Row| {
        Ok(Done { no: row.try_get(0)?, name: row.try_get(1)?, checksum: row.try_get(2)?, oldest: row.try_get(3)? })
    };
    rows.iter().map(read).collect()
}

/// Refuses a database whose steps are not those of this program.
fn same_steps(done: &[Done]) -> Result<(), OpenError> {
    for (had, step) in done.iter().zip(STEPS) {
        if had.name != step.name || had.checksum != checksum(step) {
            return Err(OpenError::Strange(format!(
                "its step {} is {:?} and not the one this program knows",
                had.no, had.name
            )));
        }
    }
    Ok(())
}

async fn run(session: &Session) -> super::error::Result<()> {
    session.begin().await?;
    let steps = run_here(session).await;
    match steps {
        Ok(()) => session.commit().await,
        failed => session.roll_back().await.and(failed),
    }
}

async fn run_here(session: &Session) -> super::error::Result<()> {
    session.batch(TURN).await?;
    session.batch(&schema(session.schema())).await?;
    session.batch(TABLE).await?;
    // Another server may have been quicker.
    let version = done(session).await?.last().map_or(0, |it| it.no);
    for (no, step) in (1..).zip(STEPS).skip(version as usize) {
        session.batch(step.sql).await?;
        session.run(&ADD, &[&no, &step.name, &checksum(step), &step.oldest]).await?;
        tracing::info!(step = step.name, "the database was migrated");
    }
    Ok(())
}

/// Makes the schema where it is missing; where it is there, nobody needs the right to make one.
fn schema(name: &str) -> String {
    format!("DO $$ BEGIN IF to_regnamespace('{name}') IS NULL THEN CREATE SCHEMA {name}; END IF; END $$")
}

fn checksum(step: &Step) -> i64 {
    xxh3_64(step.sql.as_bytes()) as i64
}
