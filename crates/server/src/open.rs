//! Opens the store that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::fair::Fairness;
use tasklane_core::ports::store::SharedStore;
use tasklane_store::postgres::{self, PostgresStore};
use tasklane_store::sqlite::{self, SqliteStore};
use tokio::time::{Instant, sleep};

use crate::clock::MachineClock;
use crate::config::store::{Database, Store};
use crate::disk;
use crate::error::StartError;

/// How long a start waits for a database that does not answer: servers and databases are often started together.
pub const DATABASE_WAIT: Duration = Duration::from_secs(60);
/// How long between two tries.
const BETWEEN: Duration = Duration::from_secs(1);

/// The store, and what the engine has to know of where it is.
pub(crate) async fn open(
    store: &Store,
    fairness: &Fairness,
) -> Result<(SharedStore, tasklane_engine::Options), StartError> {
    let clock = Arc::new(MachineClock::start());
    match store {
        Store::Embedded { dir } => {
            let opened =
                SqliteStore::open(sqlite::Options { fairness: fairness.clone(), ..sqlite::Options::new(dir, clock) })?;
            let dir = dir.clone();
            let options = tasklane_engine::Options { disk: Arc::new(move || disk::usage(&dir)), ..Default::default() };
            Ok((opened, options))
        }
        Store::Postgres(Database { url, schema, pooler }) => {
            let (schema, pooler, fairness) = (schema.clone(), *pooler, fairness.clone());
            let options = postgres::Options { schema, pooler, fairness, ..postgres::Options::new(url.clone(), clock) };
            Ok((patiently(options).await?, tasklane_engine::Options::default()))
        }
    }
}

/// Opens a database; one that does not answer is waited for.
async fn patiently(options: postgres::Options) -> Result<Arc<PostgresStore>, StartError> {
    let (until, mut told) = (Instant::now() + DATABASE_WAIT, false);
    loop {
        match PostgresStore::open(options.clone()).await {
            Err(postgres::OpenError::Away(why)) if Instant::now() < until => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(
                        why,
                        seconds = DATABASE_WAIT.as_secs(),
                        "the database does not answer yet; waiting for it"
                    );
                }
                sleep(BETWEEN).await;
            }
            opened => return Ok(opened?),
        }
    }
}
