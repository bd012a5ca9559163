//! Idempotency keys and unique keys: touched only by tasks that use them.

use rusqlite::{Connection, OptionalExtension};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::error::Result;

/// What sort of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Idempotency = 1,
    Unique = 2,
}

/// Who a key leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRow {
    pub id: TaskId,
    pub fingerprint: Option<u64>,
    /// Held until then; `None`: until it is let go.
    pub until: Option<Timestamp>,
    /// The last state of a task that was removed while its key was still remembered.
    pub gone: Option<State>,
}

/// The key's row if it is still held at `now`.
pub(crate) fn find(db: &Connection, kind: Kind, tenant: &str, key: &str, now: Timestamp) -> Result<Option<KeyRow>> {
    let mut find = db.prepare_cached(
        "SELECT id, fingerprint, until, gone FROM keys
         WHERE kind = ? AND tenant = ? AND key = ? AND (until IS NULL OR until > ?)",
    )?;
    let row = find.query_row((kind as u8, tenant, key, now.as_micros()), |row| {
        Ok(KeyRow {
            id: TaskId::from_bytes(row.get(0)?),
            fingerprint: row.get::<_, Option<i64>>(1)?.map(|it| it as u64),
            until: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_micros),
            gone: row.get::<_, Option<u8>>(3)?.and_then(State::from_code),
        })
    });
    Ok(row.optional()?)
}

/// Gives the key to a task, whoever had it.
pub(crate) fn put(db: &Connection, kind: Kind, tenant: &str, key: &str, row: KeyRow) -> Result<()> {
    let mut put = db.prepare_cached(
        "INSERT OR REPLACE INTO keys (kind, tenant, key, id, fingerprint, until) VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    let fingerprint = row.fingerprint.map(|it| it as i64);
    put.execute((kind as u8, tenant, key, row.id.as_bytes(), fingerprint, row.until.map(Timestamp::as_micros)))?;
    Ok(())
}

/// The holder lets its unique key go: at once, or at `until`.
pub(crate) fn let_go(db: &Connection, tenant: &str, key: &str, id: TaskId, until: Option<Timestamp>) -> Result<()> {
    let (kind, id) = (Kind::Unique as u8, id.as_bytes());
    match until {
        Some(until) => db
            .prepare_cached("UPDATE keys SET until = ? WHERE kind = ? AND tenant = ? AND key = ? AND id = ?")?
            .execute((until.as_micros(), kind, tenant, key, id))?,
        None => db
            .prepare_cached("DELETE FROM keys WHERE kind = ? AND tenant = ? AND key = ? AND id = ?")?
            .execute((kind, tenant, key, id))?,
    };
    Ok(())
}

/// A task is removed: what is still held by it remembers how it ended.
pub(crate) fn task_gone(db: &Connection, id: TaskId, state: State) -> Result<()> {
    db.prepare_cached("UPDATE keys SET gone = ? WHERE id = ?")?.execute((state.code(), id.as_bytes()))?;
    Ok(())
}

/// Removes keys whose time is over, at most `most`.
pub(crate) fn forget(db: &Connection, now: Timestamp, most: usize) -> Result<()> {
    let mut forget = db.prepare_cached(
        "DELETE FROM keys WHERE (kind, tenant, key) IN (SELECT kind, tenant, key FROM keys WHERE until <= ? LIMIT ?)",
    )?;
    forget.execute((now.as_micros(), most as i64))?;
    Ok(())
}

/// Whether there are any.
pub(crate) fn any(db: &Connection) -> Result<bool> {
    Ok(db.query_row("SELECT EXISTS (SELECT 1 FROM keys)", [], |row| row.get(0))?)
}
