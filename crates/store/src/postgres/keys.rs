//! Idempotency keys and unique keys: touched only by tasks that use them. Whoever reads a key to decide by it locks its
//! name first, until the end of the commit; names are locked in the order of their stripes, so that nobody waits in a ring.

use std::collections::HashMap;

use tasklane_core::accept::{Holder, NewTask};
use tasklane_core::state::State;
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::error::Result;
use super::row::micros;
use super::session::{Session, Statement};
use super::tx::Freed;

/// What sort of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Idempotency = 1,
    Unique = 2,
}

/// A key's name.
pub(crate) type Name = (Kind, Box<str>, Box<str>);

const LOCK: Statement = Statement {
    sql: "SELECT pg_advisory_xact_lock('tasklane.keys'::regclass::oid::int, u.stripe) FROM unnest($1::int[]) AS u(stripe)",
    types: &[Type::INT4_ARRAY],
};

const FIND: Statement = Statement {
    sql: "SELECT k.kind, k.tenant, k.key, k.task, k.fingerprint, coalesce(t.state, k.gone), coalesce(t.attempt, 0)
          FROM unnest($1::smallint[], $2::text[], $3::text[]) AS u(kind, tenant, key)
          JOIN tasklane.keys k ON k.kind = u.kind AND k.tenant = u.tenant AND k.key = u.key
          LEFT JOIN tasklane.tasks t ON t.id = k.task
          WHERE (k.until IS NULL OR k.until > $4) AND coalesce(t.state, k.gone) IS NOT NULL",
    types: &[Type::INT2_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT8],
};

const FIND_IDS: Statement = Statement {
    sql: "SELECT id, state, attempt, spec FROM tasklane.tasks WHERE id = ANY($1)",
    types: &[Type::UUID_ARRAY],
};

const PUT: Statement = Statement {
    sql: "INSERT INTO tasklane.keys AS k (kind, tenant, key, task, fingerprint, until)
          SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[])
          ON CONFLICT (kind, tenant, key) DO UPDATE SET
            task = excluded.task, fingerprint = excluded.fingerprint, until = excluded.until, gone = NULL",
    types: &[
        Type::INT2_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::UUID_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

const LET_GO: Statement = Statement {
    sql: "DELETE FROM tasklane.keys k USING unnest($1::text[], $2::text[], $3::uuid[]) AS u(tenant, key, task)
          WHERE k.kind = 2 AND k.tenant = u.tenant AND k.key = u.key AND k.task = u.task",
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::UUID_ARRAY],
};

const LET_GO_OF: Statement =
    Statement { sql: "DELETE FROM tasklane.keys WHERE kind = 2 AND task = ANY($1)", types: &[Type::UUID_ARRAY] };

const LET_GO_LATER: Statement = Statement {
    sql: "UPDATE tasklane.keys k SET until = u.until
          FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) AS u(tenant, key, task, until)
          WHERE k.kind = 2 AND k.tenant = u.tenant AND k.key = u.key AND k.task = u.task",
    types: &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::UUID_ARRAY, Type::INT8_ARRAY],
};

const GONE: Statement = Statement {
    sql: "UPDATE tasklane.keys k SET gone = u.state FROM unnest($1::uuid[], $2::smallint[]) AS u(task, state)
          WHERE k.task = u.task",
    types: &[Type::UUID_ARRAY, Type::INT2_ARRAY],
};

const FORGET: Statement = Statement {
    sql: "DELETE FROM tasklane.keys WHERE (kind, tenant, key) IN (
            SELECT kind, tenant, key FROM tasklane.keys WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)",
    types: &[Type::INT8, Type::INT8],
};

/// Who holds what, as the database says and as it becomes in the course of a commit.
#[derive(Default)]
pub(crate) struct Held {
    pub names: HashMap<Name, Holder>,
    pub ids: HashMap<TaskId, Holder>,
}

/// The names that a new task is known by.
pub(crate) fn names_of(task: &NewTask) -> impl Iterator<Item = Name> + '_ {
    let tenant = &task.scope.tenant;
    let idempotency = task.idempotency.as_ref().map(|it| (Kind::Idempotency, tenant.clone(), it.key.clone()));
    let unique = task.spec.unique.as_ref().map(|it| (Kind::Unique, tenant.clone(), it.key.clone()));
    idempotency.into_iter().chain(unique)
}

/// Locks these names and ids until the end of the commit.
async fn lock(session: &Session, names: &[Name], ids: &[Uuid]) -> Result<()> {
    let stripe_of_name = |(kind, tenant, key): &Name| stripe(format!("{}\0{tenant}\0{key}", *kind as u8).as_bytes());
    let mut stripes: Vec<i32> =
        names.iter().map(stripe_of_name).chain(ids.iter().map(|id| stripe(id.as_bytes()))).collect();
    stripes.sort_unstable();
    stripes.dedup();
    session.run(&LOCK, &[&stripes]).await
}

/// The lock that stands for a name. Names share locks, so that however many are asked for at once, the database's table of
/// locks, which all its users share, has room: names that meet by chance wait for each other, and that is all.
fn stripe(name: &[u8]) -> i32 {
    (xxh3_64(name) & 0xfff) as i32
}

/// Locks these names and ids and reads who holds them.
pub(crate) async fn hold(session: &Session, names: &[Name], ids: &[Uuid], now: Timestamp) -> Result<Held> {
    let mut held = Held::default();
    if names.is_empty() && ids.is_empty() {
        return Ok(held);
    }
    lock(session, names, ids).await?;
    let kinds: Vec<i16> = names.iter().map(|(kind, ..)| *kind as i16).collect();
    let tenants: Vec<&str> = names.iter().map(|(_, tenant, _)| &**tenant).collect();
    let keys: Vec<&str> = names.iter().map(|(.., key)| &**key).collect();
    for row in session.rows(&FIND, &[&kinds, &tenants, &keys, &now.as_micros()]).await? {
        let kind = if row.try_get::<_, i16>(0)? == Kind::Unique as i16 { Kind::Unique } else { Kind::Idempotency };
        let fingerprint = row.try_get::<_, Option<i64>>(4)?.map(|it| it as u64);
        let name = (kind, row.try_get::<_, &str>(1)?.into(), row.try_get::<_, &str>(2)?.into());
        held.names.extend(holder(&row, 3, fingerprint)?.map(|holder| (name, holder)));
    }
    for row in session.rows(&FIND_IDS, &[&ids]).await? {
        let spec: Option<&str> = row.try_get(3)?;
        let spec = spec.and_then(|json| serde_json::from_str::<tasklane_core::task::Spec>(json).ok());
        let (id, state, attempt): (Uuid, i16, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if let Some(state) = state_of(state) {
            let fingerprint = spec.and_then(|it| it.fingerprint);
            held.ids.insert(TaskId(id), Holder { id: TaskId(id), state, attempt: attempt as u32, fingerprint });
        }
    }
    Ok(held)
}

fn holder(row: &Row, id: usize, fingerprint: Option<u64>) -> Result<Option<Holder>> {
    let attempt: i32 = row.try_get(id + 3)?;
    let state = state_of(row.try_get(id + 2)?);
    let id = TaskId(row.try_get(id)?);
    Ok(state.map(|state| Holder { id, state, attempt: attempt as u32, fingerprint }))
}

fn state_of(code: i16) -> Option<State> {
    State::from_code(u8::try_from(code).ok()?)
}

/// A key that is given to a task, whoever had it.
pub(crate) struct Given {
    pub name: Name,
    pub id: TaskId,
    pub fingerprint: Option<u64>,
    pub until: Option<Timestamp>,
}

/// Gives keys to tasks. The last one to be given a key has it.
pub(crate) async fn put(session: &Session, given: &[Given]) -> Result<()> {
    let last: HashMap<&Name, &Given> = given.iter().map(|it| (&it.name, it)).collect();
    let given: Vec<&Given> = last.into_values().collect();
    if given.is_empty() {
        return Ok(());
    }
    let kinds: Vec<i16> = given.iter().map(|it| it.name.0 as i16).collect();
    let tenants: Vec<&str> = given.iter().map(|it| &*it.name.1).collect();
    let keys: Vec<&str> = given.iter().map(|it| &*it.name.2).collect();
    let ids: Vec<Uuid> = given.iter().map(|it| it.id.0).collect();
    let fingerprints: Vec<Option<i64>> = given.iter().map(|it| it.fingerprint.map(|it| it as i64)).collect();
    let until: Vec<Option<i64>> = given.iter().map(|it| micros(it.until)).collect();
    session.run(&PUT, &[&kinds, &tenants, &keys, &ids, &fingerprints, &until]).await
}

/// The holders let their unique keys go.
pub(crate) async fn let_go(session: &Session, freed: &[Freed]) -> Result<()> {
    let (later, now): (Vec<&Freed>, Vec<&Freed>) = freed.iter().partition(|it| it.until.is_some());
    let columns = |freed: &[&Freed]| {
        let tenants: Vec<String> = freed.iter().map(|it| it.tenant.to_string()).collect();
        let keys: Vec<String> = freed.iter().map(|it| it.key.to_string()).collect();
        let ids: Vec<Uuid> = freed.iter().map(|it| it.id.0).collect();
        (tenants, keys, ids)
    };
    if !now.is_empty() {
        let (tenants, keys, ids) = columns(&now);
        session.run(&LET_GO, &[&tenants, &keys, &ids]).await?;
    }
    if !later.is_empty() {
        let (tenants, keys, ids) = columns(&later);
        let until: Vec<Option<i64>> = later.iter().map(|it| micros(it.until)).collect();
        session.run(&LET_GO_LATER, &[&tenants, &keys, &ids, &until]).await?;
    }
    Ok(())
}

/// These tasks let their unique keys go, whatever they are called.
pub(crate) async fn let_go_of(session: &Session, tasks: &[Uuid]) -> Result<()> {
    if tasks.is_empty() { Ok(()) } else { session.run(&LET_GO_OF, &[&tasks]).await }
}

/// Tasks are removed: what is still held by them remembers how they ended.
pub(crate) async fn tasks_gone(session: &Session, ids: &[Uuid], states: &[i16]) -> Result<()> {
    if ids.is_empty() { Ok(()) } else { session.run(&GONE, &[&ids, &states]).await }
}

/// Removes keys whose time is over, at most `most`.
pub(crate) async fn forget(session: &Session, now: Timestamp, most: usize) -> Result<()> {
    session.run(&FORGET, &[&now.as_micros(), &(most as i64)]).await
}
