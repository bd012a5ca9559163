//! Outages do not expire leases. Every server says at least once a second that it is in touch with the database; a while in
//! which none did is an outage, however it came about, and whoever comes back first lets every lease count anew before
//! anything is rescued.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::error::Result;
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

    /// Every lease counts from now: [`tasklane_core::lease::Lease::count_anew`].
    async fn count_anew(&mut self) -> Result<usize> {
        let ids = self.all_running().await?;
        for chunk in ids.chunks(CHUNK) {
            let mut tasks = self.lock_heads(chunk).await?;
            for kept in tasks.values_mut() {
                if let Some(lease) = &mut kept.task.facts.lease {
                    lease.count_anew(self.now);
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
