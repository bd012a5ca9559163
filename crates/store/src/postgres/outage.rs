//! Outages do not expire leases. Every server says at least once a second that it is in touch with the database; a while in
//! which none did is an outage, however it came about, and whoever comes back first lets every lease count anew before
//! anything is rescued.

use std::collections::HashSet;
use std::time::Duration;

use tasklane_core::task::TaskId;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::error::Result;
use super::row::Kept;
use super::session::{Session, Statement};
use super::tx::{Ended, Tx};

/// Without a sign of any server for so long there was an outage. A lease is renewed long before it has only this left.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);

/// Says that this server is in touch; answers how long ago any server last was, in microseconds. Always by the database's
/// own clock.
const PULSE: Statement = Statement {
    sql: "INSERT INTO tasklane.servers AS s (id, name, seen) VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
          ON CONFLICT (id) DO UPDATE SET seen = excluded.seen
          RETURNING s.seen - (SELECT max(seen) FROM tasklane.servers)",
    types: &[Type::INT8, Type::TEXT],
};

/// Those of these tasks whose attempt runs in a server that no server has seen for so long, in microseconds; with null, in
/// one that is known to have gone.
const CUT_OFF: Statement = Statement {
    sql: "SELECT t.id FROM tasklane.tasks t WHERE t.id = ANY($1) AND t.inside_attempt = t.attempt
            AND NOT EXISTS (SELECT 1 FROM tasklane.servers s WHERE s.id = t.inside
              AND ($2 IS NULL OR s.seen >= (SELECT max(seen) FROM tasklane.servers) - $2))",
    types: &[Type::UUID_ARRAY, Type::INT8],
};

const LEAVE: Statement = Statement { sql: "DELETE FROM tasklane.servers WHERE id = $1", types: &[Type::INT8] };

/// Forgets servers that have been gone for an hour.
const FORGET: Statement = Statement {
    sql: "DELETE FROM tasklane.servers WHERE id <> $1 AND seen < (SELECT max(seen) FROM tasklane.servers) - 3600000000",
    types: &[Type::INT8],
};

/// Tasks whose leases are prolonged by one statement.
const CHUNK: usize = 1000;

impl Tx<'_> {
    /// Says that this server is in touch, and lets leases count anew if none was.
    pub(crate) async fn pulse(&mut self) -> Result<()> {
        let name = format!("{}", std::process::id());
        let row = self.session.row(&PULSE, &[&self.shared.server, &name]).await?;
        let silence = row.try_get::<_, Option<i64>>(0)?.map(|micros| Duration::from_micros(micros.max(0) as u64));
        if silence.is_none_or(|silence| silence >= SILENCE) {
            let prolonged = self.count_anew().await?;
            // That took its time, and this server was in touch all the while.
            self.session.row(&PULSE, &[&self.shared.server, &name]).await?;
            if prolonged > 0 {
                tracing::info!(
                    leases = prolonged,
                    ?silence,
                    "no server was in touch with the database: leases count anew from now"
                );
            }
        }
        Ok(())
    }

    /// Those of these running tasks whose attempt ended with the server it ran in: one that left, or, where `silent` is
    /// given, was not in touch for so long.
    pub(super) async fn cut_off(
        &mut self,
        running: impl IntoIterator<Item = &Kept>,
        silent: impl Into<Option<Duration>>,
    ) -> Result<HashSet<TaskId>> {
        let ids: Vec<Uuid> = running.into_iter().map(|kept| kept.task.facts.id.0).collect();
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let silent = silent.into().map(|it| it.as_micros() as i64);
        let rows = self.session.rows(&CUT_OFF, &[&ids, &silent]).await?;
        rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect()
    }

    /// Every lease counts from now: [`tasklane_core::lease::Lease::count_anew`]. What ran in a server that left is lost now;
    /// one that was merely silent may be cut off from the database like all the others were.
    async fn count_anew(&mut self) -> Result<usize> {
        let ids = self.all_running().await?;
        for chunk in ids.chunks(CHUNK) {
            let mut tasks = self.lock_heads(chunk).await?;
            let ended = self.cut_off(tasks.values(), None).await?;
            for kept in tasks.values_mut() {
                let id = kept.task.facts.id;
                if let Some(lease) = &mut kept.task.facts.lease {
                    if ended.contains(&id) { lease.cut_off(self.now) } else { lease.count_anew(self.now) }
                }
            }
            tasks.retain(|_, kept| kept.task.facts.lease.is_some());
            self.write(&tasks.values().collect::<Vec<_>>(), Ended::default(), Vec::new()).await?;
            self.look_later(&tasks.into_values().collect::<Vec<_>>()).await?;
        }
        Ok(ids.len())
    }
}

/// Forgets servers that were killed long ago.
pub(crate) async fn forget(session: &Session, server: i64) -> Result<()> {
    session.run(&FORGET, &[&server]).await
}

/// This server goes: the others need not wait for its silence.
pub(crate) async fn leave(session: &Session, server: i64) -> Result<()> {
    session.run(&LEAVE, &[&server]).await
}
