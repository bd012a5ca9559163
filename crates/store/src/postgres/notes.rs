//! What running attempts say and put aside. A task that does neither has no row here: its flags say whether to look.

use std::collections::HashMap;

use bytes::Bytes;
use tasklane_core::checkpoint::{Checkpoint, Checkpointed};
use tasklane_core::lease::LeaseKey;
use tasklane_core::log::{Line, Tally};
use tasklane_core::ports::store::{Batch, LogPage, LogQuery, Logged};
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::error::{Fault, Result};
use super::lease::Aside;
use super::row::{HAS_CHECKPOINTS, HAS_LOGS, Kept};
use super::session::{Session, Statement};
use super::tx::Tx;
use crate::encoding::checksum::sum;
use crate::encoding::chunk;
use crate::log_page::Filling;

/// The task under this lease, locked; the flag says that it has rows of what is about to be written.
const LOCK: Statement = Statement {
    sql: "UPDATE tasklane.tasks SET flags = flags | $4
          WHERE id = $1 AND state = 4 AND attempt = $2 AND token = $3 RETURNING started",
    types: &[Type::UUID, Type::INT4, Type::INT8, Type::INT2],
};

const TALLY: Statement = Statement {
    sql: "SELECT max(last), coalesce(sum(lines), 0)::bigint, coalesce(sum(bytes), 0)::bigint
          FROM tasklane.logs WHERE task = $1 AND attempt = $2",
    types: &[Type::UUID, Type::INT4],
};

const LOG: Statement = Statement {
    sql: "INSERT INTO tasklane.logs (task, attempt, last, lines, bytes, body) VALUES ($1, $2, $3, $4, $5, $6)",
    types: &[Type::UUID, Type::INT4, Type::INT8, Type::INT4, Type::INT4, Type::BYTEA],
};

const BESIDES: Statement = Statement {
    sql: "SELECT count(*), coalesce(sum(octet_length(name) + octet_length(data)), 0)::bigint
          FROM tasklane.checkpoints WHERE task = $1 AND name <> $2",
    types: &[Type::UUID, Type::TEXT],
};

const CHECKPOINT: Statement = Statement {
    sql: "INSERT INTO tasklane.checkpoints (task, name, sum, data) VALUES ($1, $2, $3, $4)
          ON CONFLICT (task, name) DO UPDATE SET sum = excluded.sum, data = excluded.data",
    types: &[Type::UUID, Type::TEXT, Type::INT8, Type::BYTEA],
};

const CHECKPOINTS: Statement = Statement {
    sql: "SELECT task, name, sum, data FROM tasklane.checkpoints WHERE task = ANY($1) ORDER BY task, name COLLATE \"C\"",
    types: &[Type::UUID_ARRAY],
};

const PAGE: Statement = Statement {
    sql: "SELECT attempt, last, body FROM tasklane.logs WHERE task = $1 AND (attempt, last) > ($2, $3)
          ORDER BY attempt, last LIMIT $4",
    types: &[Type::UUID, Type::INT4, Type::INT8, Type::INT8],
};

/// Chunks of a log read at a time.
const CHUNKS: i64 = 64;

impl Tx<'_> {
    pub(super) async fn note_all(&mut self, batches: &[Batch]) -> Result<()> {
        let logs = batches.iter().flat_map(|it| &it.logs).map(|(key, _)| *key);
        let signs: Vec<LeaseKey> =
            logs.chain(batches.iter().flat_map(|it| &it.checkpoints).map(|(key, _)| *key)).collect();
        if signs.is_empty() {
            return Ok(());
        }
        self.heard(signs.into_iter().map(|key| (key, None))).await?;
        for (caller, batch) in batches.iter().enumerate() {
            self.caller = caller;
            for (key, lines) in &batch.logs {
                let logged = self.log(key, lines).await?;
                self.answer().logs.push(logged);
            }
            for (key, checkpoint) in &batch.checkpoints {
                let kept = self.checkpoint(key, checkpoint).await?;
                self.answer().checkpoints.push(kept);
            }
        }
        Ok(())
    }

    /// When the attempt under this lease started; `None`: the lease is not valid.
    async fn lock_noted(&mut self, key: &LeaseKey, flag: i16) -> Result<Option<Option<Timestamp>>> {
        let (attempt, token) = (key.attempt as i32, key.token.0 as i64);
        let rows = self.session.rows(&LOCK, &[&key.id.0, &attempt, &token, &flag]).await?;
        let started = |row: &tokio_postgres::Row| Ok(row.try_get::<_, Option<i64>>(0)?.map(Timestamp::from_micros));
        rows.first().map(started).transpose()
    }

    async fn log(&mut self, key: &LeaseKey, lines: &[Line]) -> Result<Logged> {
        let Some(started) = self.lock_noted(key, HAS_LOGS).await? else { return Ok(Logged::Lost) };
        let (id, attempt) = (key.id.0, key.attempt as i32);
        let row = self.session.row(&TALLY, &[&id, &attempt]).await?;
        let next = row.try_get::<_, Option<i64>>(0)?.map_or(0, |last| last.cast_unsigned().saturating_add(1));
        let (lines_before, bytes_before): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
        let before = Tally { next, lines: lines_before as u32, bytes: bytes_before as u32 };
        let mut tally = before;
        let kept = tally.admit(lines, key.attempt, started, self.now);
        if let Some(last) = kept.last() {
            let size = ((tally.lines - before.lines) as i32, (tally.bytes - before.bytes) as i32);
            let (n, body) = (last.id.n.cast_signed(), chunk::encode(&kept));
            self.session.run(&LOG, &[&id, &attempt, &n, &size.0, &size.1, &body]).await?;
        }
        Ok(Logged::Held { kept: kept.len(), cut: tally.is_full() && !before.is_full() })
    }

    async fn checkpoint(&mut self, key: &LeaseKey, checkpoint: &Checkpoint) -> Result<Checkpointed> {
        if self.lock_noted(key, HAS_CHECKPOINTS).await?.is_none() {
            return Ok(Checkpointed::Lost);
        }
        let (id, name) = (key.id.0, &*checkpoint.name);
        let row = self.session.row(&BESIDES, &[&id, &name]).await?;
        let (others, bytes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if !checkpoint.fits(others as usize, bytes as usize) {
            return Ok(Checkpointed::TooLarge);
        }
        let (sum, data) = (sum(key.id, &checkpoint.data) as i64, &*checkpoint.data);
        self.session.run(&CHECKPOINT, &[&id, &name, &sum, &data]).await?;
        Ok(Checkpointed::Held)
    }

    /// What earlier attempts of these tasks put aside. One that is damaged is left out: the attempt begins without it.
    pub(super) async fn put_aside(&mut self, tasks: impl Iterator<Item = &Kept>) -> Result<Aside> {
        let ids = tasks.filter(|it| it.has & HAS_CHECKPOINTS != 0).map(|it| it.task.facts.id.0);
        let ids: Vec<Uuid> = ids.collect();
        let mut aside: Aside = HashMap::new();
        if ids.is_empty() {
            return Ok(aside);
        }
        for row in self.session.rows(&CHECKPOINTS, &[&ids]).await? {
            let (id, name): (Uuid, &str) = (row.try_get(0)?, row.try_get(1)?);
            let (written, data): (i64, &[u8]) = (row.try_get(2)?, row.try_get(3)?);
            if sum(TaskId(id), data) as i64 == written {
                let checkpoint = Checkpoint { name: name.into(), data: Bytes::copy_from_slice(data) };
                aside.entry(TaskId(id)).or_default().push(checkpoint);
            } else {
                tracing::error!(task = %id, name, "a checkpoint is damaged; the attempt begins without it");
            }
        }
        Ok(aside)
    }
}

/// A page of the log of this task.
pub(super) async fn page(session: &Session, kept: &Kept, query: LogQuery) -> Result<LogPage> {
    let mut filling = Filling::new(query);
    if kept.has & HAS_LOGS == 0 {
        return Ok(filling.page());
    }
    let after = query.after.map_or((-1, -1), |after| (after.attempt as i32, after.n.cast_signed()));
    // Of one attempt only: from where it begins.
    let mut from = query.attempt.map_or(after, |attempt| after.max((attempt as i32, -1)));
    loop {
        let rows = session.rows(&PAGE, &[&kept.task.facts.id.0, &from.0, &from.1, &CHUNKS]).await?;
        for row in &rows {
            let (attempt, last): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
            if query.attempt.is_some_and(|wanted| attempt as u32 > wanted) {
                return Ok(filling.page());
            }
            from = (attempt, last);
            let lines = chunk::decode(row.try_get(2)?, attempt as u32).map_err(Fault::from)?;
            if !lines.into_iter().all(|line| filling.offer(line)) {
                return Ok(filling.page());
            }
        }
        if (rows.len() as i64) < CHUNKS {
            return Ok(filling.page());
        }
    }
}
