//! Beside the road: signs of life of running tasks. They leave the alarms as they are, so that no index changes: one may then
//! be too early, and `rescue` sets a later one when it comes to it.

use std::collections::{HashMap, HashSet};

use tasklane_core::lease::LeaseKey;
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::task::Progress;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::error::Result;
use super::row::text;
use super::session::{Session, Statement, Value};
use super::tx::Tx;

const RENEW: Statement = Statement {
    sql: "UPDATE tasklane.tasks t SET lease_until = $4 + t.lease_length
          FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS u(id, attempt, token)
          WHERE t.id = u.id AND t.state = 4 AND t.attempt = u.attempt AND t.token = u.token RETURNING t.id, t.attempt, t.token",
    types: &[Type::UUID_ARRAY, Type::INT4_ARRAY, Type::INT8_ARRAY, Type::INT8],
};

const HEARD: Statement = Statement {
    sql: "UPDATE tasklane.tasks t SET heard = $4, progress = coalesce(u.progress, t.progress)
          FROM unnest($1::uuid[], $2::int[], $3::bigint[], $5::text[]) AS u(id, attempt, token, progress)
          WHERE t.id = u.id AND t.state = 4 AND t.attempt = u.attempt AND t.token = u.token RETURNING t.id, t.attempt, t.token",
    types: &[Type::UUID_ARRAY, Type::INT4_ARRAY, Type::INT8_ARRAY, Type::INT8, Type::TEXT_ARRAY],
};

const GRACE: Statement = Statement {
    sql: "UPDATE tasklane.tasks t SET
            grace_until = CASE WHEN (t.flags & 1) = 1 THEN coalesce(t.grace_until, $4) ELSE t.grace_until END
          FROM unnest($1::uuid[], $2::int[], $3::bigint[]) AS u(id, attempt, token)
          WHERE t.id = u.id AND t.state = 4 AND t.attempt = u.attempt AND t.token = u.token RETURNING t.id, t.attempt, t.token",
    types: &[Type::UUID_ARRAY, Type::INT4_ARRAY, Type::INT8_ARRAY, Type::INT8],
};

/// Leases as columns, each once.
pub(crate) struct Keys {
    pub ids: Vec<Uuid>,
    pub attempts: Vec<i32>,
    pub tokens: Vec<i64>,
}

impl Keys {
    /// In the order of ids, so that commits that touch the same tasks wait for each other in one order.
    pub(crate) fn of(keys: &[LeaseKey]) -> Self {
        let mut keys: Vec<_> = keys.iter().map(|key| (key.id.0, key.attempt as i32, key.token.0 as i64)).collect();
        keys.sort_unstable();
        keys.dedup();
        let (mut ids, mut attempts, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        for (id, attempt, token) in keys {
            ids.push(id);
            attempts.push(attempt);
            tokens.push(token);
        }
        Self { ids, attempts, tokens }
    }
}

/// The leases that a statement found to hold.
pub(crate) struct Holding(HashSet<(Uuid, i32, i64)>);

impl Holding {
    async fn of(session: &Session, statement: &Statement, values: &[Value<'_>]) -> Result<Self> {
        let rows = session.rows(statement, values).await?;
        let key = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        Ok(Self(rows.iter().map(key).collect::<Result<_>>()?))
    }

    pub(crate) fn holds(&self, key: &LeaseKey) -> bool {
        self.0.contains(&(key.id.0, key.attempt as i32, key.token.0 as i64))
    }
}

impl Tx<'_> {
    pub(super) async fn renew_all(&mut self, batches: &[Batch]) -> Result<()> {
        let now = self.now.as_micros();
        let renewed: Vec<LeaseKey> = batches.iter().flat_map(|it| &it.renew).copied().collect();
        if !renewed.is_empty() {
            let keys = Keys::of(&renewed);
            let values: [Value<'_>; 4] = [&keys.ids, &keys.attempts, &keys.tokens, &now];
            let holding = Holding::of(self.session, &RENEW, &values).await?;
            for (answers, batch) in self.answers.iter_mut().zip(batches) {
                answers.renew = batch.renew.iter().map(|key| holding.holds(key)).collect();
            }
        }
        let heard: Vec<_> = batches.iter().flat_map(|it| &it.progress).collect();
        if !heard.is_empty() {
            let holding = self.heard(heard.into_iter().map(|(key, progress)| (*key, progress.as_ref()))).await?;
            for (answers, batch) in self.answers.iter_mut().zip(batches) {
                answers.progress = batch.progress.iter().map(|(key, _)| holding.holds(key)).collect();
            }
        }
        let told: Vec<LeaseKey> = batches.iter().flat_map(|it| &it.grace).copied().collect();
        if !told.is_empty() {
            let keys = Keys::of(&told);
            let until = self.now.plus(limit::CANCEL_GRACE);
            let values: [Value<'_>; 4] = [&keys.ids, &keys.attempts, &keys.tokens, &until.as_micros()];
            let holding = Holding::of(self.session, &GRACE, &values).await?;
            self.set_alarm(until, keys.ids).await?;
            for (answers, batch) in self.answers.iter_mut().zip(batches) {
                answers.grace = batch.grace.iter().map(|key| holding.holds(key)).collect();
            }
        }
        Ok(())
    }

    /// Handlers gave signs of life; of several progresses of one the last is kept.
    pub(super) async fn heard<'p>(
        &mut self,
        signs: impl Iterator<Item = (LeaseKey, Option<&'p Progress>)>,
    ) -> Result<Holding> {
        let mut last: HashMap<LeaseKey, Option<&Progress>> = HashMap::new();
        for (key, progress) in signs {
            let known = last.entry(key).or_default();
            *known = progress.or(*known);
        }
        let keys = Keys::of(&last.keys().copied().collect::<Vec<_>>());
        let by_row: HashMap<(Uuid, i32, i64), Option<&Progress>> =
            last.into_iter().map(|(key, it)| ((key.id.0, key.attempt as i32, key.token.0 as i64), it)).collect();
        let rows = keys.ids.iter().zip(&keys.attempts).zip(&keys.tokens);
        let progress = rows.map(|((id, attempt), token)| by_row.get(&(*id, *attempt, *token)).copied().flatten());
        let progress = progress.map(|it| it.map(text).transpose()).collect::<Result<Vec<_>>>()?;
        let now = self.now.as_micros();
        let values: [Value<'_>; 5] = [&keys.ids, &keys.attempts, &keys.tokens, &now, &progress];
        Holding::of(self.session, &HEARD, &values).await
    }
}
