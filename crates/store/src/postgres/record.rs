//! Beside the road: records are kept as they are said, and changed by who has seen them.

use tasklane_core::accept::Submission;
use tasklane_core::limit;
use tasklane_core::ports::records::{Answer, Records};
use tasklane_core::ports::store::Batch;
use tasklane_core::record::{Content, DueRecords, Kind, Order, Record, RecordQuery, RecordSet, SetRecord};
use tasklane_core::schedule::Came;
use tasklane_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::PostgresStore;
use super::error::Result;
use super::session::{Session, Statement};
use super::tx::Tx;
use crate::encoding::record::{came, came_columns, kind_code};

/// Changes of a kind come one after the other: whoever has this sees what the others have done.
const LOCK: Statement = Statement {
    sql: "SELECT version FROM tasklane.records_versions WHERE kind = ANY($1) ORDER BY kind FOR UPDATE",
    types: &[Type::INT2_ARRAY],
};

/// The version there is, and whether nobody else has the name. To be asked behind [`LOCK`].
const STANDS: Statement = Statement {
    sql: "SELECT (SELECT version FROM tasklane.records WHERE kind = $1 AND id = $2),
            NOT EXISTS (SELECT 1 FROM tasklane.records WHERE kind = $1 AND tenant = $3 AND name = $4 AND id <> $2)",
    types: &[Type::INT2, Type::UUID, Type::TEXT, Type::TEXT],
};

const NEXT: Statement = Statement {
    sql: "UPDATE tasklane.records_versions SET version = version + 1 WHERE kind = $1 RETURNING version",
    types: &[Type::INT2],
};

const KEEP: Statement = Statement {
    sql: "INSERT INTO tasklane.records (kind, id, version, tenant, name, due, body) VALUES ($1, $2, $3, $4, $5, $6, $7)
          ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, tenant = excluded.tenant,
            name = excluded.name, due = excluded.due, body = excluded.body",
    types: &[Type::INT2, Type::UUID, Type::INT8, Type::TEXT, Type::TEXT, Type::INT8, Type::TEXT],
};

const REMOVE: Statement = Statement {
    sql: "WITH slots AS (DELETE FROM tasklane.schedule_slots WHERE schedule = $2)
          DELETE FROM tasklane.records WHERE kind = $1 AND id = $2",
    types: &[Type::INT2, Type::UUID],
};

const NOTE_SLOTS: Statement = Statement {
    sql: "INSERT INTO tasklane.schedule_slots (schedule, slot, came, task)
          SELECT $1, * FROM unnest($2::bigint[], $3::smallint[], $4::uuid[])
          ON CONFLICT (schedule, slot) DO UPDATE SET came = excluded.came, task = excluded.task",
    types: &[Type::UUID, Type::INT8_ARRAY, Type::INT2_ARRAY, Type::UUID_ARRAY],
};

const FORGET_SLOTS: Statement = Statement {
    sql: "DELETE FROM tasklane.schedule_slots WHERE schedule = $1 AND slot <= (
            SELECT slot FROM tasklane.schedule_slots WHERE schedule = $1 ORDER BY slot DESC LIMIT 1 OFFSET $2)",
    types: &[Type::UUID, Type::INT8],
};

const PAGE: Statement = Statement {
    sql: "SELECT id, version, tenant, name, due, body FROM tasklane.records
          WHERE kind = $1 AND ($2::uuid IS NULL OR id > $2) AND ($3::text IS NULL OR tenant = $3)
            AND ($4::text IS NULL OR name = $4) ORDER BY id LIMIT $5",
    types: &[Type::INT2, Type::UUID, Type::TEXT, Type::TEXT, Type::INT8],
};

const PAGE_BACK: Statement = Statement {
    sql: "SELECT id, version, tenant, name, due, body FROM tasklane.records
          WHERE kind = $1 AND ($2::uuid IS NULL OR id < $2) AND ($3::text IS NULL OR tenant = $3)
            AND ($4::text IS NULL OR name = $4) ORDER BY id DESC LIMIT $5",
    types: &[Type::INT2, Type::UUID, Type::TEXT, Type::TEXT, Type::INT8],
};

const ONE: Statement = Statement {
    sql: "SELECT id, version, tenant, name, due, body FROM tasklane.records WHERE kind = $1 AND id = $2",
    types: &[Type::INT2, Type::UUID],
};

const DUE: Statement = Statement {
    sql: "SELECT id, version, tenant, name, due, body FROM tasklane.records
          WHERE kind = $1 AND due IS NOT NULL AND due <= $2 ORDER BY due, id LIMIT $3",
    types: &[Type::INT2, Type::INT8, Type::INT8],
};

const NEXT_DUE: Statement = Statement {
    sql: "SELECT min(due) FROM tasklane.records WHERE kind = $1 AND due IS NOT NULL AND due > $2",
    types: &[Type::INT2, Type::INT8],
};

const VERSION: Statement =
    Statement { sql: "SELECT version FROM tasklane.records_versions WHERE kind = $1", types: &[Type::INT2] };

const SLOTS: Statement = Statement {
    sql: "SELECT slot, came, task FROM tasklane.schedule_slots WHERE schedule = $1 AND slot < $2
          ORDER BY slot DESC LIMIT $3",
    types: &[Type::UUID, Type::INT8, Type::INT8],
};

impl Tx<'_> {
    pub(super) async fn record_all(&mut self, batches: &[Batch]) -> Result<()> {
        let sets = || batches.iter().flat_map(|it| &it.record);
        let mut kinds: Vec<i16> =
            sets().chain(sets().filter_map(|it| it.also.as_deref())).map(|it| kind_code(it.kind)).collect();
        if kinds.is_empty() {
            return Ok(());
        }
        kinds.sort_unstable();
        kinds.dedup();
        self.session.run(&LOCK, &[&kinds]).await?;
        for (caller, batch) in batches.iter().enumerate() {
            self.caller = caller;
            for set in &batch.record {
                let held = self.set_record(set).await?;
                self.answer().record.push(held);
            }
        }
        Ok(())
    }

    async fn set_record(&mut self, set: &SetRecord) -> Result<RecordSet> {
        let (kind, id) = (kind_code(set.kind), &set.id);
        let name = set.to.as_ref().and_then(|to| Some((&*to.tenant, to.name.as_deref()?))).unzip();
        let row = self.session.row(&STANDS, &[&kind, id, &name.0, &name.1]).await?;
        let there = row.try_get::<_, Option<i64>>(0)?.map(i64::unsigned_abs);
        if let Err(why) = RecordSet::decide(set.seen, there, row.try_get(1)?) {
            return Ok(why);
        }
        let version: i64 = self.session.row(&NEXT, &[&kind]).await?.try_get(0)?;
        match &set.to {
            Some(Content { tenant, name, due, body }) => {
                let (name, due) = (name.as_deref(), due.map(Timestamp::as_micros));
                self.session.run(&KEEP, &[&kind, id, &version, &&**tenant, &name, &due, &&**body]).await?;
            }
            None => self.session.run(&REMOVE, &[&kind, id]).await?,
        }
        if let Some(gate) = &set.gate {
            self.set_gate(gate).await?;
        }
        let mut accepted = Vec::with_capacity(set.then.len());
        for task in &set.then {
            // Its own keys may lead to a task that is there already, or refuse it.
            let outcome = self.accept(&Submission { tasks: vec![task.clone()] }).await?;
            accepted.push(outcome.ok().and_then(|it| it.first().map(|it| it.id)));
        }
        self.note_slots(set.id, &set.slots_of(&accepted)).await?;
        if let Some(also) = &set.also {
            Box::pin(self.set_record(also)).await?;
        }
        Ok(RecordSet::Held(version.unsigned_abs()))
    }

    async fn note_slots(&self, schedule: Uuid, came: &[(Timestamp, Came)]) -> Result<()> {
        if came.is_empty() {
            return Ok(());
        }
        let slots: Vec<i64> = came.iter().map(|(slot, _)| slot.as_micros()).collect();
        let (codes, tasks): (Vec<i16>, Vec<Option<Uuid>>) = came.iter().map(|(_, came)| came_columns(*came)).unzip();
        self.session.run(&NOTE_SLOTS, &[&schedule, &slots, &codes, &tasks]).await?;
        self.session.run(&FORGET_SLOTS, &[&schedule, &(limit::SLOTS_KEPT as i64)]).await
    }
}

fn record(row: &Row, kind: Kind) -> Result<Record> {
    let (name, due): (Option<&str>, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
    let (tenant, body): (&str, &str) = (row.try_get(2)?, row.try_get(5)?);
    let due = due.map(Timestamp::from_micros);
    let content = Content { tenant: tenant.into(), name: name.map(Box::from), due, body: body.into() };
    Ok(Record { kind, id: row.try_get(0)?, version: row.try_get::<_, i64>(1)?.unsigned_abs(), content })
}

/// A page of records.
pub(super) async fn page(session: &Session, query: &RecordQuery) -> Result<Vec<Record>> {
    let (kind, most) = (kind_code(query.kind), query.most as i64);
    let (tenant, name) = (query.tenant.as_deref(), query.name.as_deref());
    let page = if query.order == Order::Newest { &PAGE_BACK } else { &PAGE };
    let rows = session.rows(page, &[&kind, &query.after, &tenant, &name, &most]).await?;
    rows.iter().map(|row| record(row, query.kind)).collect()
}

/// A record.
pub(super) async fn one(session: &Session, kind: Kind, id: Uuid) -> Result<Option<Record>> {
    let rows = session.rows(&ONE, &[&kind_code(kind), &id]).await?;
    rows.first().map(|row| record(row, kind)).transpose()
}

/// Records that are due, and how soon the next one is.
pub(super) async fn due(session: &Session, kind: Kind, most: usize, now: Timestamp) -> Result<DueRecords> {
    let (code, at) = (kind_code(kind), now.as_micros());
    let rows = session.rows(&DUE, &[&code, &at, &(most as i64)]).await?;
    let due = rows.iter().map(|row| record(row, kind)).collect::<Result<_>>()?;
    let next: Option<i64> = session.row(&NEXT_DUE, &[&code, &at]).await?.try_get(0)?;
    Ok(DueRecords { due, next: next.map(|at| Timestamp::from_micros(at).since(now)) })
}

/// The last version of a kind.
pub(super) async fn version(session: &Session, kind: Kind) -> Result<u64> {
    Ok(session.row(&VERSION, &[&kind_code(kind)]).await?.try_get::<_, i64>(0)?.unsigned_abs())
}

/// What the last slots of a schedule came to.
pub(super) async fn slots(
    session: &Session,
    schedule: Uuid,
    before: Option<Timestamp>,
    most: usize,
) -> Result<Vec<(Timestamp, Came)>> {
    let before = before.map_or(i64::MAX, Timestamp::as_micros);
    let rows = session.rows(&SLOTS, &[&schedule, &before, &(most as i64)]).await?;
    let slot = |row: &Row| Ok((Timestamp::from_micros(row.try_get(0)?), came(row.try_get(1)?, row.try_get(2)?)?));
    rows.iter().map(slot).collect()
}

impl Records for PostgresStore {
    fn page(&self, query: RecordQuery) -> Answer<'_, Vec<Record>> {
        Box::pin(self.reader.read(async move |session| page(session, &query).await))
    }

    fn one(&self, kind: Kind, id: Uuid) -> Answer<'_, Option<Record>> {
        Box::pin(self.reader.read(async move |session| one(session, kind, id).await))
    }

    fn due(&self, kind: Kind, most: usize) -> Answer<'_, DueRecords> {
        let now = self.shared.time.now();
        Box::pin(self.reader.read(async move |session| due(session, kind, most, now).await))
    }

    fn version(&self, kind: Kind) -> Answer<'_, u64> {
        Box::pin(self.reader.read(async move |session| version(session, kind).await))
    }

    fn slots(&self, schedule: Uuid, before: Option<Timestamp>, most: usize) -> Answer<'_, Vec<(Timestamp, Came)>> {
        Box::pin(self.reader.read(async move |session| slots(session, schedule, before, most).await))
    }
}
