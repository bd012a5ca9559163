//! `db stats`: sizes and counts of a database, without counting rows. It works while servers run.

use tasklane_core::queue::Counts;
use tokio_postgres::types::Type;

use super::counters::Sums;
use super::error::{OpenError, Result};
use super::names::Names;
use super::open::{Connect, Options};
use super::session::{Session, Statement};

const NUMBERS: Statement = Statement {
    sql: "SELECT current_setting('server_version'), (SELECT coalesce(max(no), 0) FROM tasklane.migrations),
            (SELECT count(*) FROM tasklane.queues),
            (SELECT count(*) FROM tasklane.servers
              WHERE seen > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 10000000)",
    types: &[],
};

const TABLES: Statement = Statement {
    sql: "SELECT c.relname::text, pg_total_relation_size(c.oid) FROM pg_class c
          WHERE c.relnamespace = to_regnamespace($1) AND c.relkind = 'r' ORDER BY 2 DESC, 1",
    types: &[Type::TEXT],
};

/// What a database holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatabaseStats {
    /// The version of PostgreSQL.
    pub version: String,
    /// The schema's version.
    pub schema: u32,
    /// Bytes of all tables with their indexes.
    pub bytes: u64,
    /// Bytes in the event log.
    pub log_bytes: u64,
    /// Tasks in each state.
    pub counts: Counts,
    /// Queues.
    pub queues: u64,
    /// Lanes.
    pub lanes: usize,
    /// Servers that were in touch within the last ten seconds.
    pub servers: u64,
    /// Bytes of each table, indexes included, with their names, the largest first.
    pub tables: Vec<(String, u64)>,
}

/// The sizes and counts of the database.
///
/// # Errors
/// [`OpenError`] where it cannot be read.
pub async fn stats(options: &Options) -> Result<DatabaseStats, OpenError> {
    let faulty = |fault| OpenError::from_fault(&fault);
    let sessions = Connect::new(options)?.sessions(options)?;
    let session = sessions.get_patient().await.map_err(faulty)?;
    super::migrate::known(&session).await?;
    read(&session).await.map_err(faulty)
}

async fn read(session: &Session) -> Result<DatabaseStats> {
    let numbers = session.row(&NUMBERS, &[]).await?;
    let sums = Sums::read(session).await?;
    let mut tables = Vec::new();
    for row in session.rows(&TABLES, &[&session.schema()]).await? {
        tables.push((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs()));
    }
    Ok(DatabaseStats {
        version: numbers.try_get(0)?,
        schema: numbers.try_get::<_, i32>(1)?.unsigned_abs(),
        bytes: tables.iter().map(|(_, bytes)| bytes).sum(),
        log_bytes: sums.log_bytes,
        counts: sums.total(),
        queues: numbers.try_get::<_, i64>(2)?.unsigned_abs(),
        lanes: Names::all(session).await?.lanes.len(),
        servers: numbers.try_get::<_, i64>(3)?.unsigned_abs(),
        tables,
    })
}
