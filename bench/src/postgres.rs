//! The PostgreSQL under measurement: its default settings, every commit synced, on a private port. All lines of a run share
//! it; each has databases of its own.

use std::cell::OnceCell;
use std::rc::Rc;

use tasklane_testkit::postgres::{Cluster, Options, Scratch};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::Failure;
use crate::settings::Settings;

/// The server of this run, started by the first who needs it. It ends with the last who holds this.
#[derive(Clone, Default)]
pub struct Postgres(Rc<OnceCell<Running>>);

struct Running {
    cluster: Cluster,
    // Its data lies there.
    _dir: TempDir,
}

impl Postgres {
    fn cluster(&self, settings: &Settings) -> Result<&Cluster, Failure> {
        if self.0.get().is_none() {
            let dir = settings.fresh_dir_for_all()?;
            let cluster = Cluster::start(Options::full().under(dir.path()));
            drop(self.0.set(Running { cluster, _dir: dir }));
        }
        Ok(&self.0.get().ok_or("PostgreSQL was not started")?.cluster)
    }

    /// An empty database that goes with the answer; what earlier ones left to be written is written.
    pub fn fresh_database(&self, settings: &Settings) -> Result<Scratch, Failure> {
        let cluster = self.cluster(settings)?;
        let database = cluster.scratch("bench");
        cluster.sql("CHECKPOINT");
        Ok(database)
    }

    /// Its first process, once it runs.
    pub fn pid(&self) -> Option<u32> {
        self.0.get().map(|running| running.cluster.pid())
    }

    /// Bytes of WAL ever written.
    pub fn wal_bytes(&self) -> f64 {
        let of = |running: &Running| running.cluster.sql("SELECT pg_current_wal_insert_lsn() - '0/0'").parse().ok();
        self.0.get().and_then(of).unwrap_or(f64::NAN)
    }
}

/// A session. It works as long as the runtime it was made on is driven.
pub async fn connect(url: &str) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Bytes of WAL ever written, as a session is told.
pub async fn wal_bytes(client: &Client) -> Result<f64, Failure> {
    let row = client.query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[]).await?;
    Ok(row.get::<_, i64>(0) as f64)
}

/// A transaction that keeps seeing the database as it was when this was made: no row that ends meanwhile can be cleared away.
pub struct Snapshot {
    _client: Client,
    // Not driven any more: the session stands still in its transaction until it is dropped.
    _runtime: Runtime,
}

impl Snapshot {
    /// Takes one and holds it until it is dropped.
    pub fn hold(url: &str) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(async {
            let client = connect(url).await?;
            client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class").await?;
            Ok::<_, Failure>(client)
        })?;
        Ok(Self { _client: client, _runtime: runtime })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::load::block_on;

    #[test]
    fn a_held_snapshot_stands_in_its_transaction_until_it_is_dropped() {
        let database = tasklane_testkit::postgres::shared().scratch("snapshot");
        let holding = || {
            block_on(async {
                let client = connect(database.url()).await?;
                let held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                            AND state = 'idle in transaction' AND backend_xmin IS NOT NULL";
                Ok(client.query_one(held, &[]).await?.get::<_, i64>(0))
            })
        };
        let snapshot = Snapshot::hold(database.url()).unwrap();
        assert_eq!(holding().unwrap(), 1);
        drop(snapshot);
        tasklane_testkit::process::until("the session to end", std::time::Duration::from_secs(10), || {
            (holding().unwrap() == 0).then_some(())
        });
    }
}
