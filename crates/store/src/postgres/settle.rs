//! The last station: a settlement is written where its lease still holds. Plain successes, nearly all of the road's end,
//! are one statement; everything else is locked, changed and written back.

use std::collections::HashSet;

use tasklane_core::accept::Submission;
use tasklane_core::decision::Next;
use tasklane_core::ports::store::Batch;
use tasklane_core::queue::Counted;
use tasklane_core::settle::{Mark, Settled, Settlement};
use tasklane_core::state::{Reason, State};
use tasklane_core::task::TaskId;
use tasklane_core::webhook::outbox::Moved;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::error::{Fault, Result};
use super::row::Kept;
use super::session::Statement;
use super::turns::Joining;
use super::tx::{Ended, Tx};
use crate::encoding::checksum::sum;
use crate::encoding::log::Way;

const SUCCEED: Statement = Statement {
    sql: "UPDATE tasklane.tasks t SET state = 7, reason = 4, settled = 1796, finished = $1, crashes = 0,
            spent = u.spent, flags = t.flags & ~2, failure = NULL, result = u.result, result_sum = u.result_sum,
            lease_length = NULL, lease_until = NULL, heard = NULL, grace_until = NULL
          FROM unnest($2::uuid[], $3::int[], $4::bigint[], $5::int[], $6::bytea[], $7::bigint[])
            AS u(id, attempt, token, spent, result, result_sum)
          WHERE t.id = u.id AND t.state = 4 AND t.attempt = u.attempt AND t.token = u.token AND (t.flags & 1) = 0
          RETURNING t.id",
    types: &[
        Type::INT8,
        Type::UUID_ARRAY,
        Type::INT4_ARRAY,
        Type::INT8_ARRAY,
        Type::INT4_ARRAY,
        Type::BYTEA_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// A settlement and whose it is.
type Asked<'b> = (usize, usize, &'b Settlement);

impl Tx<'_> {
    pub(super) async fn settle_all(&mut self, batches: &[Batch]) -> Result<()> {
        let mut all: Vec<Asked<'_>> = Vec::new();
        for (caller, batch) in batches.iter().enumerate() {
            self.answers[caller].settle = vec![Settled::Lost; batch.settle.len()];
            all.extend(batch.settle.iter().enumerate().map(|(index, it)| (caller, index, it)));
        }
        let mut seen = HashSet::new();
        // What may meet keys of its neighbours goes alone, in its turn.
        for run in all.chunk_by(|a, b| !is_alone(a.2) && !is_alone(b.2)) {
            let rest = self.succeed(run, &mut seen).await?;
            if !rest.is_empty() {
                self.settle_locked(&rest).await?;
            }
        }
        Ok(())
    }

    /// Writes the plain successes among `run`. Answers with what is left: the others, and those that did not hold.
    async fn succeed<'b>(&mut self, run: &[Asked<'b>], seen: &mut HashSet<TaskId>) -> Result<Vec<Asked<'b>>> {
        let (mut plain, mut rest): (Vec<Asked<'b>>, Vec<Asked<'b>>) = run.iter().partition(|(.., it)| {
            // A second report of one task is for after the first, whatever either is.
            let is_first = seen.insert(it.key.id);
            is_first && is_plain(it)
        });
        if plain.is_empty() {
            return Ok(rest);
        }
        let in_order = |settlement: &Settlement| settlement.key.id;
        let mut sorted: Vec<&Settlement> = plain.iter().map(|(.., it)| *it).collect();
        sorted.sort_unstable_by_key(|it| in_order(it));
        let ids: Vec<Uuid> = sorted.iter().map(|it| it.key.id.0).collect();
        let attempts: Vec<i32> = sorted.iter().map(|it| it.key.attempt as i32).collect();
        let tokens: Vec<i64> = sorted.iter().map(|it| it.key.token.0 as i64).collect();
        let spent: Vec<i32> = sorted.iter().map(|it| it.decision.spent as i32).collect();
        let results: Vec<Option<&[u8]>> = sorted.iter().map(|it| it.decision.result.as_deref()).collect();
        let sums: Vec<Option<i64>> =
            sorted.iter().map(|it| it.decision.result.as_deref().map(|bytes| sum(it.key.id, bytes) as i64)).collect();
        let now = self.now.as_micros();
        let rows = self.session.rows(&SUCCEED, &[&now, &ids, &attempts, &tokens, &spent, &results, &sums]).await?;
        let held = rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect::<Result<HashSet<_>>>()?;
        plain.retain(|asked| {
            let holds = held.contains(&asked.2.key.id);
            if !holds {
                rest.push(*asked);
            }
            holds
        });
        for (caller, index, settlement) in plain {
            self.answers[caller].settle[index] = Settled::Held;
            self.succeeded(caller, settlement)?;
        }
        rest.sort_unstable_by_key(|(caller, index, _)| (*caller, *index));
        Ok(rest)
    }

    fn succeeded(&mut self, caller: usize, settlement: &Settlement) -> Result<()> {
        let facts = &settlement.facts;
        let unnumbered = || Fault::damaged("a task of a lane or scope without a number");
        let lane = self.names.lane_no(&facts.lane).ok_or_else(unnumbered)?;
        let strand = self.names.strand_no(lane, &facts.scope, &facts.gates).ok_or_else(unnumbered)?;
        self.pass_gates(strand, Some(State::Running), State::Succeeded);
        let way = Way {
            from: Some(Counted::In(State::Running)),
            to: Some(Counted::In(State::Succeeded)),
            reason: Some(Reason::Succeeded),
            lane,
            scope: self.names.scope_no(&facts.scope).ok_or_else(unnumbered)?,
            attempt: facts.attempt,
        };
        self.record(way, facts.id);
        self.news.ended(facts.id);
        let transition = tasklane_core::event::Transition {
            task: facts.id,
            lane: std::sync::Arc::clone(&facts.lane),
            scope: std::sync::Arc::clone(&facts.scope),
            from: Some(State::Running),
            to: State::Succeeded,
            reason: Reason::Succeeded,
            attempt: facts.attempt,
            at: self.now,
        };
        self.answers[caller].transitions.push(transition);
        let (from, to, reason) = (Some(State::Running), State::Succeeded, Reason::Succeeded);
        let (result, failure, at) = (settlement.decision.result.as_deref(), None, self.now);
        self.outbox.follow(caller, &Moved { facts, from, to, reason, result, failure, at });
        Ok(())
    }

    /// Settles one after the other, on the tasks as they are.
    async fn settle_locked(&mut self, asked: &[Asked<'_>]) -> Result<()> {
        let mut ids: Vec<Uuid> = asked.iter().map(|(.., it)| it.key.id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut tasks = self.lock(&ids).await?;
        let (mut changed, mut ended, mut freed) = (HashSet::new(), Ended::default(), Vec::new());
        let mut then = Vec::new();
        self.look_at_lines(tasks.values().map(Joining::of)).await?;
        for (caller, index, settlement) in asked {
            self.caller = *caller;
            let Some(kept) = tasks.get_mut(&settlement.key.id) else { continue };
            let settled = if kept.task.facts.runs_under(&settlement.key) {
                if self.must_see_ends(&Joining::of(kept), settlement.decision.to) {
                    self.see_ends(&Joining::of(kept)).await?;
                }
                freed.extend(self.settle_one(kept, settlement, &mut ended));
                changed.insert(settlement.key.id);
                then.extend(settlement.then.iter().map(|task| (*caller, task)));
                Settled::Held
            } else if is_repeated(kept, settlement) {
                Settled::Repeated
            } else {
                Settled::Lost
            };
            self.answer().settle[*index] = settled;
        }
        let written: Vec<&Kept> = tasks.values().filter(|it| changed.contains(&it.task.facts.id)).collect();
        self.write(&written, ended, freed).await?;
        for (caller, task) in then {
            self.caller = caller;
            // Its own keys may lead to a task that is there already, or refuse it: then there is nothing to accept.
            let _ = self.accept(&Submission { tasks: vec![task.clone()] }).await?;
        }
        Ok(())
    }

    fn settle_one(&mut self, kept: &mut Kept, settlement: &Settlement, ended: &mut Ended) -> Option<super::tx::Freed> {
        kept.settled = Some(Mark::of(&settlement.decision));
        let decision = settlement.on(&kept.task.facts);
        self.apply(kept, decision, ended)
    }
}

/// Whether it is one of the statement for all.
fn is_plain(settlement: &Settlement) -> bool {
    settlement.decision.to == Next::Succeeded && !settlement.facts.cancel_requested && !is_alone(settlement)
}

/// Whether it frees or wants keys that its neighbours may want or free.
fn is_alone(settlement: &Settlement) -> bool {
    !settlement.then.is_empty() || settlement.facts.spec.unique.is_some()
}

/// Whether this attempt was settled by the same report before.
fn is_repeated(kept: &Kept, Settlement { key, decision, .. }: &Settlement) -> bool {
    let facts = &kept.task.facts;
    let same = Mark::of(decision).repeats(kept.settled, facts.state);
    same && facts.attempt == key.attempt && kept.token == key.token && facts.state != State::Running
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_for_success_writes_these_numbers() {
        assert_eq!((State::Running.code(), State::Succeeded.code(), Reason::Succeeded.code()), (4, 7, 4));
        let succeeded = Mark { to: State::Succeeded, reason: Reason::Succeeded };
        assert_eq!(crate::postgres::row::settled_code(Some(succeeded)), Some(1796));
        assert!(SUCCEED.sql.contains("state = 7, reason = 4, settled = 1796"));
    }
}
