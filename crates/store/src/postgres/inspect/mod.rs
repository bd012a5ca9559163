//! Reads beside the road: a statement each, without a transaction, so that a reader who goes away leaves nothing behind.

use std::collections::HashMap;
use std::sync::Arc;

use tasklane_core::decision::history;
use tasklane_core::error::StoreError;
use tasklane_core::lease::LeaseKey;
use tasklane_core::limit;
use tasklane_core::ports::store::{CancelAsked, LogPage, LogQuery, Standing, StoreStats};
use tasklane_core::queue::{Counts, QueueState};
use tasklane_core::state::State;
use tasklane_core::task::{Attempt, Facts, Task, TaskId};
use tokio::sync::Semaphore;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::accept::urgency;
use super::error::{Fault, Result};
use super::notes;
use super::open::READERS;
use super::renew::Keys;
use super::row::{HAS_HISTORY, Kept, are_unknown, columns, heads};
use super::session::{Session, Sessions, Statement};
use super::tx::Shared;
use crate::filter::scope_is_of;

pub(super) mod events;
pub(super) mod gates;
pub(super) mod list;
pub(super) mod queues;

const TASKS: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM tasklane.tasks t WHERE t.id = ANY($1)"),
    types: &[Type::UUID_ARRAY],
};

const HEADS: Statement = Statement {
    sql: concat!("SELECT ", heads!(), " FROM tasklane.tasks t WHERE t.id = ANY($1) AND t.hidden IS NULL"),
    types: &[Type::UUID_ARRAY],
};

const ATTEMPTS: Statement =
    Statement { sql: "SELECT body FROM tasklane.attempts WHERE task = $1 ORDER BY attempt", types: &[Type::UUID] };

const QUEUE_STATE: Statement =
    Statement { sql: "SELECT state FROM tasklane.queues WHERE name = $1", types: &[Type::TEXT] };

/// The same over several strands.
const AHEAD_IN: Statement = Statement {
    sql:
        "SELECT count(*) FROM (SELECT 1 FROM unnest($1::int[]) AS s(no) CROSS JOIN LATERAL (SELECT 1 FROM tasklane.tasks
            WHERE lane = s.no AND place IS NOT NULL AND (urgency, place, id) < ($2, $3, $4) LIMIT $5) t LIMIT $5) ahead",
    types: &[Type::INT4_ARRAY, Type::INT2, Type::INT8, Type::UUID, Type::INT8],
};

const AHEAD: Statement = Statement {
    sql: "SELECT count(*) FROM (SELECT 1 FROM tasklane.tasks
          WHERE lane = $1 AND place IS NOT NULL AND (urgency, place, id) < ($2, $3, $4) LIMIT $5) ahead",
    types: &[Type::INT4, Type::INT2, Type::INT8, Type::UUID, Type::INT8],
};

const ENDED: Statement = Statement {
    sql: "SELECT u.id FROM unnest($1::uuid[]) AS u(id) LEFT JOIN tasklane.tasks t ON t.id = u.id
          WHERE t.id IS NULL OR t.state >= 7",
    types: &[Type::UUID_ARRAY],
};

const HELD: Statement = Statement {
    sql: "SELECT t.id, t.attempt, t.token FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS u(id, attempt, token)
          JOIN tasklane.tasks t ON t.id = u.id WHERE t.state = 4 AND t.attempt = u.attempt AND t.token = u.token",
    types: &[Type::UUID_ARRAY, Type::INT4_ARRAY, Type::INT8_ARRAY],
};

const CANCELS: Statement = Statement {
    sql: "SELECT id, attempt, coalesce(worker, '') FROM tasklane.tasks WHERE to_cancel IS NOT NULL ORDER BY id LIMIT $1",
    types: &[Type::INT8],
};

const SIZE: Statement = Statement { sql: "SELECT pg_total_relation_size('tasklane.tasks'::regclass)", types: &[] };

/// The reading half of a store.
pub(super) struct Reader {
    sessions: Sessions,
    shared: Arc<Shared>,
    turns: Semaphore,
}

/// Rows of tasks.
pub(crate) async fn rows(session: &Session, ids: &[Uuid]) -> Result<Vec<Row>> {
    if ids.is_empty() { Ok(Vec::new()) } else { session.rows(&TASKS, &[&ids]).await }
}

impl Reader {
    pub(super) fn new(sessions: Sessions, shared: Arc<Shared>) -> Self {
        Self { sessions, shared, turns: Semaphore::new(READERS) }
    }

    /// Refuses later reads.
    pub(super) fn close(&self) {
        self.turns.close();
    }

    /// Reads, in its turn.
    pub(super) async fn read<T>(&self, read: impl AsyncFnOnce(&Session) -> Result<T>) -> Result<T, StoreError> {
        let _turn = self.turns.acquire().await.map_err(|_| super::closed())?;
        let session = self.sessions.get().await?;
        let answer = read(&session).await;
        if session.is_closed() || answer.as_ref().is_err_and(Fault::is_away) {
            session.discard();
        }
        Ok(answer?)
    }

    async fn kept(&self, session: &Session, rows: &[Row]) -> Result<Vec<Kept>> {
        let mut names = self.shared.book.look();
        if are_unknown(rows, &names)? {
            names = self.shared.book.read_on(session).await?;
        }
        rows.iter().map(|row| Kept::read(row, &names)).collect()
    }

    /// Tasks by their ids, in no order; hidden ones are none.
    async fn find(&self, session: &Session, ids: &[Uuid]) -> Result<Vec<Kept>> {
        let mut kept = self.kept(session, &rows(session, ids).await?).await?;
        kept.retain(|it| it.task.hidden_at.is_none());
        Ok(kept)
    }

    async fn one(&self, session: &Session, id: TaskId) -> Result<Option<Kept>> {
        Ok(self.find(session, &[id.0]).await?.pop())
    }

    pub(super) async fn tasks(&self, session: &Session, ids: &[TaskId]) -> Result<Vec<Option<Task>>> {
        let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let mut found = self.find(session, &wanted).await?;
        self.show(session, &mut found).await?;
        let mut tasks = HashMap::with_capacity(found.len());
        for kept in found {
            let task = kept.sound()?;
            tasks.insert(task.facts.id, task);
        }
        Ok(ids.iter().map(|id| tasks.get(id).cloned()).collect())
    }

    /// What decisions about tasks depend on: no payload is read, so none can be damaged.
    pub(super) async fn facts(&self, session: &Session, ids: &[TaskId]) -> Result<Vec<Option<Facts>>> {
        let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let heads = self.kept(session, &session.rows(&HEADS, &[&wanted]).await?).await?;
        let mut facts: HashMap<TaskId, Facts> =
            heads.into_iter().map(|kept| (kept.task.facts.id, kept.task.facts)).collect();
        Ok(ids.iter().map(|id| facts.remove(id)).collect())
    }

    pub(super) async fn attempts(&self, session: &Session, id: TaskId) -> Result<Option<Vec<Attempt>>> {
        let Some(kept) = self.one(session, id).await? else { return Ok(None) };
        let mut attempts = Vec::new();
        if kept.has & HAS_HISTORY != 0 {
            for row in session.rows(&ATTEMPTS, &[&id.0]).await? {
                let attempt = serde_json::from_str(row.try_get(0)?);
                attempts.push(attempt.map_err(|error| Fault::damaged(format!("an attempt of task {id}: {error}")))?);
            }
        }
        Ok(Some(history(attempts, &kept.sound()?)))
    }

    pub(super) async fn logs(&self, session: &Session, id: TaskId, query: LogQuery) -> Result<Option<LogPage>> {
        let Some(kept) = self.one(session, id).await? else { return Ok(None) };
        notes::page(session, &kept, query).await.map(Some)
    }

    pub(super) async fn standing(&self, session: &Session, id: TaskId, most: u64) -> Result<Option<Standing>> {
        let Some(kept) = self.one(session, id).await? else { return Ok(None) };
        let (lane, strand) = (kept.lane, kept.strand);
        let mut shown = kept.clone();
        let task = kept.sound()?;
        let state = session.rows(&QUEUE_STATE, &[&&*task.facts.lane.queue]).await?;
        let state = state.first().map(|row| row.try_get::<_, i16>(0)).transpose()?;
        let queue =
            state.and_then(|code| QueueState::from_code(u8::try_from(code).ok()?)).unwrap_or(QueueState::Active);
        let mut ahead = None;
        if task.facts.state == State::Queued {
            let (urgency, place, more) = (urgency(task.priority), task.place(), most.saturating_add(1) as i64);
            let names = self.shared.book.look();
            if names.strands.touches(lane) {
                let strands: Vec<_> = names.strands.strands_of(lane).collect();
                let view = self.see_for(session, &names, strands.iter().copied()).await?;
                let open = strands.iter().filter(|it| !view.is_closed(&names, **it)).map(|it| it.0 as i32);
                let open: Vec<i32> = open.collect();
                let row = session.row(&AHEAD_IN, &[&open, &urgency, &place, &id.0, &more]).await?;
                let ahead = Some(row.try_get::<_, i64>(0)?.unsigned_abs());
                view.show(&names, &mut shown);
                let gates = self.full_gates(session, &names, &view, strand).await?;
                return Ok(Some(Standing { gates, ..Standing::new(shown.task, queue, ahead, most) }));
            }
            let row = session.row(&AHEAD, &[&(lane.0 as i32), &urgency, &place, &id.0, &more]).await?;
            ahead = Some(row.try_get::<_, i64>(0)?.unsigned_abs());
        }
        Ok(Some(Standing::new(task, queue, ahead, most)))
    }

    pub(super) async fn counts(&self, session: &Session, origin: &str, tenant: Option<&str>) -> Result<Counts> {
        let (sums, names) = self.sums(session).await?;
        let scopes = names.scopes_where(|scope| scope_is_of(scope, origin, tenant));
        let mut counts = Counts::default();
        for ((_, scope), of) in &sums.by_lane {
            if scopes.contains(&(scope.0 as i32)) {
                counts.add_all(of);
            }
        }
        Ok(counts)
    }

    pub(super) async fn stats(&self, session: &Session) -> Result<StoreStats> {
        let (sums, names) = self.sums(session).await?;
        let bytes: i64 = session.row(&SIZE, &[]).await?.try_get(0)?;
        Ok(StoreStats {
            counts: sums.total(),
            lanes: names.lanes.len(),
            bytes: bytes.unsigned_abs(),
            ..StoreStats::default()
        })
    }
}

/// Those that are final or no more.
pub(super) async fn ended(session: &Session, ids: &[TaskId]) -> Result<Vec<TaskId>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = session.rows(&ENDED, &[&ids]).await?;
    rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect()
}

/// Those whose lease is no longer valid.
pub(super) async fn lost(session: &Session, keys: Vec<LeaseKey>) -> Result<Vec<LeaseKey>> {
    let columns = Keys::of(&keys);
    let rows = session.rows(&HELD, &[&columns.ids, &columns.attempts, &columns.tokens]).await?;
    let key = |row: &Row| Ok::<_, Fault>((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    let held = rows.iter().map(key).collect::<Result<std::collections::HashSet<(Uuid, i32, i64)>>>()?;
    let is_held = |key: &LeaseKey| held.contains(&(key.id.0, key.attempt as i32, key.token.0 as i64));
    Ok(keys.into_iter().filter(|key| !is_held(key)).collect())
}

/// Running attempts that somebody asked to cancel.
pub(super) async fn cancels(session: &Session) -> Result<Vec<CancelAsked>> {
    let rows = session.rows(&CANCELS, &[&(limit::READ_ROWS as i64)]).await?;
    let asked = |row: &Row| {
        let (id, attempt) = (TaskId(row.try_get(0)?), row.try_get::<_, i32>(1)? as u32);
        Ok(CancelAsked { id, attempt, worker: row.try_get::<_, &str>(2)?.into() })
    };
    rows.iter().map(asked).collect()
}
