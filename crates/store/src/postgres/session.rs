//! Connections and statements. A statement is a constant in the file of its verb; it is prepared once a connection.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use deadpool_postgres::{Object, Pool};
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CopyInSink, Row};

use super::SCHEMA;
use super::error::{Fault, Result};

/// One value of a statement.
pub(crate) type Value<'a> = &'a (dyn ToSql + Sync);

/// A statement with the types of its values. Names of tables carry the schema [`SCHEMA`], whatever it is called in the
/// database at hand.
pub(crate) struct Statement {
    pub sql: &'static str,
    pub types: &'static [Type],
}

/// What stands between a server and the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooler {
    /// Nothing, or something that keeps a session on one connection.
    #[default]
    None,
    /// PgBouncer or the like in transaction mode: statements are not prepared, nothing is set for a session, and other
    /// servers' hints are not listened to, so that what they queue is found by looking, within a second.
    Transaction,
}

/// What a transaction behind a pooler begins with; elsewhere a session is set to the same when it begins.
const BEGIN_POOLED: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL jit = off; SET LOCAL enable_seqscan = off;
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_bitmapscan = off;
    SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL lock_timeout = '30s'";

/// Where connections come from.
#[derive(Clone)]
pub(crate) struct Sessions {
    pub pool: Pool,
    pub schema: Box<str>,
    pub pooler: Pooler,
}

/// How long a statement of the road may take before its connection is given up: a database that is reached but does not
/// answer (a standby that it waits for is gone, a disk stands still) is as good as away.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection for a while. One that is dropped within a transaction ends: nobody shall meet the state it is in.
pub(crate) struct Session {
    /// There until it is dropped.
    client: Option<Object>,
    in_transaction: AtomicBool,
    patience: Duration,
    schema: Box<str>,
    pooler: Pooler,
}

impl Sessions {
    /// The next free connection, or a new one.
    pub(crate) async fn get(&self) -> Result<Session> {
        self.get_with(PATIENCE).await
    }

    /// A connection for statements that may take long.
    pub(crate) async fn get_patient(&self) -> Result<Session> {
        self.get_with(Duration::from_secs(24 * 3600)).await
    }

    async fn get_with(&self, patience: Duration) -> Result<Session> {
        let (client, in_transaction) = (Some(self.pool.get().await?), AtomicBool::new(false));
        Ok(Session { client, in_transaction, patience, schema: self.schema.clone(), pooler: self.pooler })
    }
}

/// `sql` for the schema at hand.
pub(crate) fn in_schema<'a>(sql: &'a str, schema: &str) -> Cow<'a, str> {
    if schema == SCHEMA { Cow::Borrowed(sql) } else { Cow::Owned(sql.replace("tasklane.", &format!("{schema}."))) }
}

impl Session {
    /// The rows a statement answers with.
    pub(crate) async fn rows(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<Row>> {
        self.in_time(self.rows_at_leisure(statement, values)).await
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        let late = |_| Fault::NoConnection(format!("it did not answer within {} s", self.patience.as_secs()));
        timeout(self.patience, asked).await.map_err(late)?
    }

    async fn rows_at_leisure(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let sql = in_schema(statement.sql, &self.schema);
        if self.pooler == Pooler::Transaction {
            let typed: Vec<_> = values.iter().copied().zip(statement.types.iter().cloned()).collect();
            return Ok(self.client().query_typed(&sql, &typed).await?);
        }
        let prepared = self.client().prepare_typed_cached(&sql, statement.types).await?;
        Ok(self.client().query(&prepared, values).await?)
    }

    /// Prepares a statement, so that it is sent at once when it is carried out.
    pub(crate) async fn prepare(&self, statement: &Statement) -> Result<()> {
        if self.pooler == Pooler::None {
            let sql = in_schema(statement.sql, &self.schema);
            self.client().prepare_typed_cached(&sql, statement.types).await?;
        }
        Ok(())
    }

    /// The next rows of a cursor, whatever their columns are.
    pub(crate) async fn fetch(&self, statement: &Statement) -> Result<Vec<Row>> {
        Ok(self.client().query_typed(statement.sql, &[]).await?)
    }

    /// The one row of a statement that always has one.
    pub(crate) async fn row(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Row> {
        let missing = || Fault::damaged("a statement answered without a row");
        self.rows(statement, values).await?.into_iter().next().ok_or_else(missing)
    }

    /// Carries a statement out.
    pub(crate) async fn run(&self, statement: &Statement, values: &[Value<'_>]) -> Result<()> {
        self.rows(statement, values).await.map(drop)
    }

    /// Carries out text that holds no values.
    pub(crate) async fn batch(&self, sql: &str) -> Result<()> {
        let sql = in_schema(sql, &self.schema);
        self.in_time(async { Ok(self.client().batch_execute(&sql).await?) }).await
    }

    /// Begins to copy rows into a table, by a statement of COPY.
    pub(crate) async fn copy_in(&self, sql: &str) -> Result<CopyInSink<Bytes>> {
        Ok(self.client().copy_in(&*in_schema(sql, &self.schema)).await?)
    }

    /// Begins a transaction. Behind a pooler it brings its settings along, in the same message: nothing that was set for
    /// the session would be true of the connection at hand.
    pub(crate) async fn begin(&self) -> Result<()> {
        match self.pooler {
            Pooler::None => self.begin_by("BEGIN").await,
            Pooler::Transaction => self.begin_by(BEGIN_POOLED).await,
        }
    }

    /// Begins a transaction in this way.
    pub(crate) async fn begin_by(&self, sql: &str) -> Result<()> {
        self.in_transaction.store(true, Ordering::Relaxed);
        self.batch(sql).await
    }

    /// Ends a transaction: everything in it takes place.
    pub(crate) async fn commit(&self) -> Result<()> {
        self.batch("COMMIT").await?;
        self.in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Ends a transaction: nothing in it took place.
    pub(crate) async fn roll_back(&self) -> Result<()> {
        self.batch("ROLLBACK").await?;
        self.in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn client(&self) -> &Object {
        self.client.as_ref().expect("only its end takes the connection")
    }

    /// What the schema is called here.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// Whether the way to the database is broken.
    pub(crate) fn is_closed(&self) -> bool {
        self.client().is_closed()
    }

    /// Ends the connection instead of giving it back: nobody shall meet the state it is in.
    pub(crate) fn discard(mut self) {
        drop(self.client.take().map(Object::take));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.in_transaction.load(Ordering::Relaxed) {
            drop(self.client.take().map(Object::take));
        }
    }
}
