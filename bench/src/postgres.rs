//! The PostgreSQL under measurement: its default settings, every commit synced, on a private port.

use std::path::Path;

use tasklane_testkit::postgres::{Cluster, Options};
use tokio_postgres::{Client, NoTls};

use crate::Failure;

/// Starts one that keeps its data under `dir`. It ends when it is dropped.
pub fn start(dir: &Path) -> Cluster {
    Cluster::start(Options::full().under(dir))
}

/// A session. It works as long as the runtime it was made on is driven.
pub async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Bytes of WAL ever written.
pub async fn wal_bytes(client: &Client) -> Result<f64, Failure> {
    let row = client.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[]).await?;
    Ok(row.get::<_, i64>(0) as f64)
}
