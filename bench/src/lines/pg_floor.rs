//! What bare SQL reaches on PostgreSQL with its default settings: one table, one partial index for who may be taken, one
//! for who is due; one connection, tasks inserted by 1000, leased and settled by 500, each statement a synced commit. The
//! whole product is measured against it.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::Failure;
use crate::load::block_on;
use crate::machine::monotonic_ns;
use crate::payload::payload;
use crate::place::Place;
use crate::postgres;
use crate::report::{Line, Sample, rate_since, sample};
use crate::settings::Settings;

const TASKS: usize = 200_000;
const BATCH: usize = 500;
const INSERTED: usize = 1000;

// Plans for a table nobody has counted yet; without them the first batches would be joined by a scan of everything.
const SESSION: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";
const SCHEMA: &str = "
    CREATE TABLE task (
        id uuid PRIMARY KEY, lane int NOT NULL, urgency smallint NOT NULL, rank bigint NOT NULL, state smallint NOT NULL,
        attempt int NOT NULL, token bigint, due_at bigint, queued_at bigint NOT NULL, started_at bigint,
        finished_at bigint, payload bytea NOT NULL, result bytea
    );
    CREATE INDEX takeable ON task (lane, urgency, rank, id) WHERE state = 1;
    CREATE INDEX due ON task (due_at) WHERE due_at IS NOT NULL;
";
const INSERT: &str = "
    INSERT INTO task (id, lane, urgency, rank, state, attempt, queued_at, payload)
    SELECT id, 1, 0, rank, 1, 0, rank, payload FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) new (id, rank, payload)";
// By place: the row that was locked is the row that is written, without a second look into an index.
const LEASE: &str = "
    UPDATE task SET state = 2, attempt = attempt + 1, token = $2, due_at = $3, started_at = $3
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM task WHERE lane = 1 AND state = 1
        ORDER BY urgency, rank, id LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING id, attempt, payload";
const SETTLE: &str = "
    UPDATE task SET state = 3, due_at = NULL, finished_at = $4, result = 'null'
    FROM unnest($1::uuid[], $2::int[], $3::bigint[]) held (id, attempt, token)
    WHERE task.id = held.id AND state = 2 AND task.attempt = held.attempt AND task.token = held.token";

/// Prints the line.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    let floor = Line { name: "pg_floor", by: "per_second" }.measure(settings, || measure(settings, tasks))?;
    settings.known.pg_floor.set(floor.number("per_second"));
    Ok(())
}

fn measure(settings: &Settings, tasks: usize) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    block_on(floor(place.url().ok_or("no database")?, tasks))
}

async fn floor(url: &str, tasks: usize) -> Result<Sample, Failure> {
    let client = postgres::connect(url).await?;
    client.batch_execute(SESSION).await?;
    client.batch_execute(SCHEMA).await?;
    let (began, wal) = (monotonic_ns(), postgres::wal_bytes(&client).await?);
    fill(&client, tasks).await?;
    let (insert, inserted) = (rate_since(tasks, began), postgres::wal_bytes(&client).await?);
    let began = monotonic_ns();
    drain(&client, tasks).await?;
    let drained = rate_since(tasks, began);
    let worked = postgres::wal_bytes(&client).await?;
    Ok(drained.with(sample! {
        "batch": BATCH,
        "insert_per_second": insert.number("per_second"),
        "insert_wal_bytes": (inserted - wal) / tasks as f64,
        "wal_bytes": (worked - inserted) / tasks as f64,
    }))
}

async fn fill(client: &Client, tasks: usize) -> Result<(), Failure> {
    let insert = client.prepare_typed(INSERT, &[Type::UUID_ARRAY, Type::INT8_ARRAY, Type::BYTEA_ARRAY]).await?;
    let body = payload(0);
    for first in (0..tasks).step_by(INSERTED) {
        let ranks: Vec<i64> = (first as i64..(first + INSERTED).min(tasks) as i64).collect();
        let ids: Vec<Uuid> = ranks.iter().map(|_| Uuid::now_v7()).collect();
        let payloads = vec![body.as_bytes(); ranks.len()];
        client.execute(&insert, &[&ids, &ranks, &payloads]).await?;
    }
    Ok(())
}

async fn drain(client: &Client, tasks: usize) -> Result<(), Failure> {
    let lease = client.prepare_typed(LEASE, &[Type::INT8, Type::INT8, Type::INT8]).await?;
    let held = [Type::UUID_ARRAY, Type::INT4_ARRAY, Type::INT8_ARRAY, Type::INT8];
    let settle = client.prepare_typed(SETTLE, &held).await?;
    let (mut settled, mut bytes) = (0, 0);
    while settled < tasks {
        let done = lease_and_settle(client, &lease, &settle, &mut bytes).await?;
        if done == 0 {
            break;
        }
        settled += done;
    }
    if settled == tasks && bytes >= tasks * 90 { Ok(()) } else { Err(format!("settled {settled} of {tasks}").into()) }
}

async fn lease_and_settle(
    client: &Client,
    lease: &Statement,
    settle: &Statement,
    bytes: &mut usize,
) -> Result<usize, Failure> {
    let (token, now) = (monotonic_ns(), monotonic_ns() / 1000);
    let rows = client.query(lease, &[&(BATCH as i64), &token, &(now + 30_000_000)]).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    let attempts: Vec<i32> = rows.iter().map(|row| row.get(1)).collect();
    *bytes += rows.iter().map(|row| row.get::<_, &[u8]>(2).len()).sum::<usize>();
    let tokens = vec![token; ids.len()];
    Ok(client.execute(settle, &[&ids, &attempts, &tokens, &now]).await? as usize)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_floor_settles_every_task_once() {
        let database = tasklane_testkit::postgres::shared().scratch("floor");
        block_on(async {
            let sample = floor(database.url(), 1200).await.unwrap();
            assert!(sample.number("wal_bytes") > 0.0, "{sample:?}");
            let client = postgres::connect(database.url()).await.unwrap();
            let done = "SELECT count(*) FROM task WHERE state = 3 AND attempt = 1 AND due_at IS NULL";
            assert_eq!(client.query_one(done, &[]).await.unwrap().get::<_, i64>(0), 1200);
            Ok(())
        })
        .unwrap();
    }
}
