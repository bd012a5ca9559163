//! The third station: who wants work gets what stands first in the lanes it serves. The rows are locked one by one in their
//! order, and those that somebody else has locked are passed over; what becomes of each is core's to say.

use std::collections::HashMap;
use std::sync::PoisonError;

use bytes::Bytes;
use tasklane_core::checkpoint::Checkpoint;
use tasklane_core::lease::{Home, LeaseRequest, Leased};
use tasklane_core::limit;
use tasklane_core::ports::store::Batch;
use tasklane_core::promote;
use tasklane_core::queue::QueueState;
use tasklane_core::state::State;
use tasklane_core::task::{Lane, TaskId};
use tasklane_core::time::Timestamp;
use tasklane_core::webhook::outbox::Moved;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::accept::urgency;
use super::bounds::{BEGINNING, END, Look, Plan, Span};
use super::error::{Fault, Result};
use super::row::{Kept, columns};
use super::session::{Statement, Value};
use super::tx::{Ended, Tx};
use crate::encoding::LaneNo;

/// The first rows of one lane from a place on that nobody has locked, until they weigh so much; and where each lies.
pub(crate) const TAKE: Statement = Statement {
    sql: concat!(
        "WITH taken AS MATERIALIZED (
           SELECT ctid AS row, * FROM tasklane.tasks
           WHERE lane = $1 AND place IS NOT NULL AND (urgency, place) >= ($4, $5)
           ORDER BY urgency, place, id LIMIT $2 FOR UPDATE SKIP LOCKED),
         weighed AS (SELECT *, sum(octet_length(payload)) OVER (ORDER BY urgency, place, id
           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM taken)
         SELECT ",
        columns!(),
        ", t.row::text FROM weighed t WHERE coalesce(t.before, 0) < $3 ORDER BY t.urgency, t.place, t.id"
    ),
    types: &[Type::INT4, Type::INT8, Type::INT8, Type::INT2, Type::INT8],
};

/// The same of many spans: of each the first few candidates, found without locks. Where a span had more, what comes behind
/// its last candidate is left for the next look, as something of that span may come before it. Rows are locked one after the
/// other, in the order of the candidates, until there are enough.
pub(crate) const TAKE_OF_SPANS: Statement = Statement {
    sql: concat!(
        "WITH candidates AS MATERIALIZED (
           SELECT c.* FROM unnest($1::int[], $5::smallint[], $6::bigint[], $7::smallint[], $8::bigint[])
               AS s(lane, urgency, place, last_urgency, last_place)
             CROSS JOIN LATERAL (SELECT id, urgency, place, row_number() OVER () AS n FROM (
               SELECT id, urgency, place FROM tasklane.tasks WHERE lane = s.lane AND place IS NOT NULL
                 AND (urgency, place) >= (s.urgency, s.place) AND (urgency, place) <= (s.last_urgency, s.last_place)
               ORDER BY urgency, place, id LIMIT $4) first) c),
         cut AS MATERIALIZED (
           SELECT urgency, place, id FROM candidates WHERE n = $4 ORDER BY urgency, place, id LIMIT 1),
         sure AS MATERIALIZED (
           SELECT c.* FROM candidates c LEFT JOIN cut ON true
           WHERE cut.id IS NULL OR (c.urgency, c.place, c.id) <= (cut.urgency, cut.place, cut.id)
           ORDER BY c.urgency, c.place, c.id),
         taken AS MATERIALIZED (
           SELECT t.* FROM sure c CROSS JOIN LATERAL (SELECT t.ctid AS row, t.* FROM tasklane.tasks t
             WHERE t.id = c.id AND t.state = 3 FOR UPDATE SKIP LOCKED) t LIMIT $2),
         weighed AS (SELECT *, sum(octet_length(payload)) OVER (ORDER BY urgency, place, id
           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM taken)
         SELECT ",
        columns!(),
        ", t.row::text FROM weighed t WHERE coalesce(t.before, 0) < $3 ORDER BY t.urgency, t.place, t.id"
    ),
    types: &[
        Type::INT4_ARRAY,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT2_ARRAY,
        Type::INT8_ARRAY,
        Type::INT2_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// Where [`TAKE`] says that the row lies.
pub(super) const ROW: usize = 32;

/// Starts attempts; `$also` is set besides.
macro_rules! start {
    ($also:literal) => {
        concat!(
            "UPDATE tasklane.tasks t SET state = 4, reason = 3, attempt = t.attempt + 1, started = $1, heard = $1,
               token = u.token, lease_length = u.length, lease_until = $1 + u.length, grace_until = NULL, due = NULL,
               place = NULL, settled = NULL, progress = NULL, worker = u.worker",
            $also,
            " FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS u(row, token, length, worker)
             WHERE t.ctid = u.row::tid RETURNING pg_current_xact_id()::text::bigint"
        )
    };
}

const START: Statement = Statement {
    sql: start!(""),
    types: &[Type::INT8, Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY, Type::TEXT_ARRAY],
};

/// The same in this server itself.
const START_INSIDE: Statement = Statement {
    sql: start!(", inside = $6, inside_attempt = t.attempt + 1"),
    types: &[Type::INT8, Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::INT8],
};

/// Candidates of each of several spans beyond twice its share of what is wanted: commits under way hold some of them.
const SPARE: usize = 3;
/// Most tasks that commits under way, of this server and others, are thought to hold at a time.
const LOCKED_ELSEWHERE: usize = 20_000;

/// What is given to the callers of a run of requests.
#[derive(Default)]
pub(super) struct Given<'b> {
    pub ids: Vec<Uuid>,
    /// Where their rows lie: they are locked, so they lie there until they are written.
    rows: Vec<String>,
    tokens: Vec<i64>,
    lengths: Vec<i64>,
    workers: Vec<&'b str>,
    /// Where they all run.
    home: Home,
    /// Nothing happens to any of them before this.
    pub due: Option<Timestamp>,
}

impl Given<'_> {
    /// Nothing yet; all of it will run there.
    pub(super) fn at(home: Home) -> Self {
        Self { home, ..Self::default() }
    }
}

/// Whether the lanes that were looked at have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Perhaps,
}

/// A task that is locked, and where its row lies.
pub(super) struct Taken {
    pub kept: Kept,
    pub row: String,
}

/// A request of a caller and what it got.
pub(super) struct Wanting<'b> {
    caller: usize,
    pub request: &'b LeaseRequest,
    leased: Vec<Leased>,
    bytes: usize,
}

impl Wanting<'_> {
    pub(super) fn wants(&self) -> usize {
        if self.bytes >= limit::LEASE_BYTES { 0 } else { self.request.limit - self.leased.len() }
    }
}

impl Tx<'_> {
    pub(super) async fn lease_all(&mut self, batches: &[Batch]) -> Result<()> {
        let mut all: Vec<Wanting<'_>> = Vec::new();
        for (caller, batch) in batches.iter().enumerate() {
            let wanting = |request| Wanting { caller, request, leased: Vec::new(), bytes: 0 };
            all.extend(batch.lease.iter().map(wanting));
        }
        // Requests for the same lanes are served together.
        let alike = |a: &Wanting<'_>, b: &Wanting<'_>| {
            let (a, b) = (a.request, b.request);
            a.lanes == b.lanes && a.home == b.home
        };
        let lanes_of: Vec<Vec<i32>> = all.chunk_by(alike).map(|run| self.lanes_for(run[0].request)).collect();
        let gated: Vec<i32> = lanes_of.iter().filter(|lanes| self.pass_gates_in(lanes)).flatten().copied().collect();
        self.lock_gates(&gated).await?;
        for (run, lanes) in all.chunk_by_mut(alike).zip(lanes_of) {
            if self.pass_gates_in(&lanes) || self.goes_by_age(&lanes) {
                // Apart, as it is large.
                Box::pin(self.lease_gated(run, &lanes)).await?;
            } else if !lanes.is_empty() {
                self.lease(run, &lanes).await?;
            }
        }
        for wanting in all {
            self.answers[wanting.caller].lease.push(wanting.leased);
        }
        self.shared.slots.add(self.session, &mut self.gates.held, &mut self.gates.changed).await
    }

    /// The numbers of the lanes that this request is for, paused queues left out.
    fn lanes_for(&self, request: &LeaseRequest) -> Vec<i32> {
        let is_open = |lane: &Lane| self.queues.get(&lane.queue) != Some(&QueueState::Paused);
        let Some(named) = request.named() else {
            return self.names.lanes_where(|lane| is_open(lane) && request.serves(lane));
        };
        let number = |lane: Lane| self.names.lane_no(&lane).map(|no| no.0 as i32);
        let mut lanes: Vec<i32> = named.filter(is_open).filter_map(number).collect();
        lanes.sort_unstable();
        lanes.dedup();
        lanes
    }

    async fn lease(&mut self, run: &mut [Wanting<'_>], lanes: &[i32]) -> Result<()> {
        let home = run.first().map_or(Home::Apart, |it| it.request.home);
        let (mut given, mut looks, mut room) = (Given::at(home), 0, None);
        loop {
            let most: usize = run.iter().map(Wanting::wants).sum();
            if most == 0 {
                break;
            }
            let (rows, mut look, left) = self.take(lanes, most, room, looks).await?;
            (looks, room) = (looks + 1, Some(look.room()));
            let started = given.ids.len();
            let given_all = self.give(run, rows, &mut given, &mut look).await;
            self.looks.push(look);
            given_all?;
            self.start(&given, started).await?;
            // What stands first may turn out to be over its deadline or damaged; then there is room for others.
            if left == Left::Nothing {
                break;
            }
        }
        match given.due {
            Some(due) => self.set_alarm(due, given.ids).await,
            None => Ok(()),
        }
    }

    /// Locks the first tasks of these lanes, after so many looks of this commit that were not enough; the last one tells how
    /// many one lease has `room` for.
    async fn take(
        &mut self,
        lanes: &[i32],
        most: usize,
        room: Option<usize>,
        looks: u32,
    ) -> Result<(Vec<Taken>, Look, Left)> {
        let began = self.shared.time.elapsed();
        let (plan, mut look) = {
            let mut bounds = self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner);
            bounds.plan(lanes, &self.news.arrivals, began)
        };
        let (is_whole, spans) = match plan {
            Plan::Spans(spans) => (false, spans),
            Plan::Whole => {
                let lane = |no: &i32| Span { lane: LaneNo(*no as u32), from: BEGINNING, to: END };
                (true, lanes.iter().map(lane).collect())
            }
        };
        let most = most.min(room.unwrap_or_else(|| look.room()));
        let taken = self.take_all_of(&spans, most, looks).await?;
        if is_whole {
            look.was_whole(self.shared.time.elapsed().saturating_sub(began));
        }
        let bytes = weight(&taken);
        look.found(taken.len(), bytes);
        let is_cut = taken.len() < most && bytes >= limit::LEASE_BYTES;
        if is_cut {
            // More was locked than was taken, and whoever looked meanwhile passed it over.
            look.was_cut();
            self.news.all = true;
        }
        // Of the rest of one lane it is enough that fewer came than were wanted, and not because they weigh too much. Elsewhere
        // there may be more behind the candidates that were looked at.
        let short = taken.is_empty() || (is_rest_of_one(&spans) && taken.len() < most && !is_cut);
        if short {
            look.came_short();
        }
        Ok((taken, look, if short { Left::Nothing } else { Left::Perhaps }))
    }

    /// Locks the first tasks of these spans. Of several spans the first candidates may all be locked by commits under way;
    /// then what stands behind them is looked at too, or lanes would be thought empty that are not.
    async fn take_all_of(&mut self, spans: &[Span], most: usize, looks: u32) -> Result<Vec<Taken>> {
        let (share, enough) = (2 * most / spans.len().max(1) + SPARE, most + LOCKED_ELSEWHERE);
        let mut each = share.saturating_mul(4_usize.saturating_pow(looks)).min(enough);
        loop {
            let taken = self.take_of(spans, most, each).await?;
            if is_rest_of_one(spans) || !taken.is_empty() || each >= enough {
                return Ok(taken);
            }
            each = (4 * each).min(enough);
        }
    }

    /// Of each of several spans at most `each`.
    async fn take_of(&mut self, spans: &[Span], most: usize, each: usize) -> Result<Vec<Taken>> {
        let (most, bytes, each) = (most as i64, limit::LEASE_BYTES as i64, each as i64);
        let rows = match spans {
            [] => return Ok(Vec::new()),
            [Span { lane, from: (urgency, place), to: END }] => {
                self.session.rows(&TAKE, &[&(lane.0 as i32), &most, &bytes, urgency, place]).await?
            }
            spans => {
                let lanes: Vec<i32> = spans.iter().map(|it| it.lane.0 as i32).collect();
                let (from, to): (Vec<_>, Vec<_>) = spans.iter().map(|it| (it.from, it.to)).unzip();
                let (urgencies, places): (Vec<i16>, Vec<i64>) = from.into_iter().unzip();
                let (last_urgencies, last_places): (Vec<i16>, Vec<i64>) = to.into_iter().unzip();
                let values: [Value<'_>; 8] =
                    [&lanes, &most, &bytes, &each, &urgencies, &places, &last_urgencies, &last_places];
                self.session.rows(&TAKE_OF_SPANS, &values).await?
            }
        };
        let kept = self.kept(&rows).await?;
        kept.into_iter().zip(&rows).map(|(kept, row)| Ok(Taken { kept, row: row.try_get(ROW)? })).collect()
    }

    /// Starts an attempt of each in memory, unless a deadline of it has passed or it is damaged.
    pub(super) async fn give<'b>(
        &mut self,
        run: &mut [Wanting<'b>],
        rows: Vec<Taken>,
        given: &mut Given<'b>,
        look: &mut Look,
    ) -> Result<()> {
        let mut checkpoints = self.put_aside(rows.iter().map(|it| &it.kept)).await?;
        let (mut over, mut ended, mut freed) = (Vec::new(), Ended::default(), Vec::new());
        let mut next = 0;
        for Taken { mut kept, row } in rows {
            while next < run.len() && run[next].wants() == 0 {
                next += 1;
            }
            let place = (urgency(kept.task.priority), kept.task.place());
            let Some(wanting) = run.get_mut(next) else {
                look.left_some();
                self.news.queued(kept.strand, place);
                continue;
            };
            look.took(kept.strand, place);
            self.caller = wanting.caller;
            let decision = match kept.damage {
                Some(what) => {
                    let id = kept.task.facts.id;
                    tracing::error!(task = %id, what, "a stored task is damaged; it fails instead of running");
                    Some(promote::damaged(&kept.task.facts, what))
                }
                None => promote::decide(&kept.task, self.now),
            };
            if let Some(decision) = decision {
                freed.extend(self.apply(&mut kept, decision, &mut ended));
                over.push(kept);
                continue;
            }
            let aside = checkpoints.remove(&kept.task.facts.id).unwrap_or_default();
            given.rows.push(row);
            self.begin_attempt(kept, aside, wanting, given);
        }
        self.write(&over.iter().collect::<Vec<_>>(), ended, freed).await
    }

    fn begin_attempt<'b>(
        &mut self,
        mut kept: Kept,
        checkpoints: Vec<Checkpoint>,
        wanting: &mut Wanting<'b>,
        given: &mut Given<'b>,
    ) {
        self.lease_turn(&kept);
        let request = wanting.request;
        let lease = request.lease(wanting.leased.len(), self.now);
        let token = lease.token;
        let task = &mut kept.task;
        let waited = task.waited(self.now);
        task.start(Some(&request.worker), lease, self.now);
        self.moved(&kept, Some(State::Queued));
        let task = &mut kept.task;
        let transition = task.transition(Some(State::Queued), self.now);
        self.outbox.follow(self.caller, &Moved::of(task, Some(State::Queued), self.now));
        self.answer().transitions.push(transition);
        let payload = std::mem::replace(&mut task.payload, Bytes::new());
        given.ids.push(task.facts.id.0);
        given.tokens.push(token.0 as i64);
        given.lengths.push(request.length.as_micros() as i64);
        given.due = given.due.into_iter().chain(task.facts.due_at()).min();
        given.workers.push(&request.worker);
        let leased = Leased { facts: task.facts.clone(), payload, waited, checkpoints };
        wanting.bytes += leased.bytes();
        wanting.leased.push(leased);
    }

    /// Writes down the attempts that were begun, from the `from`-th on.
    pub(super) async fn start(&mut self, given: &Given<'_>, from: usize) -> Result<()> {
        if given.ids.len() == from {
            return Ok(());
        }
        let now = self.now.as_micros();
        let (rows, tokens, lengths) = (&given.rows[from..], &given.tokens[from..], &given.lengths[from..]);
        let workers = &given.workers[from..];
        let started = match given.home {
            Home::Apart => self.session.rows(&START, &[&now, &rows, &tokens, &lengths, &workers]).await?,
            Home::InServer => {
                let server = self.shared.server;
                self.session.rows(&START_INSIDE, &[&now, &rows, &tokens, &lengths, &workers, &server]).await?
            }
        };
        if started.len() != rows.len() {
            return Err(Fault::damaged("a task that was locked is not where it was"));
        }
        self.number = started.first().map(|row| row.try_get(0)).transpose()?.or(self.number);
        Ok(())
    }
}

/// Whether it is one span that goes on to the end: then all of it is looked at, and what others hold is passed over.
fn is_rest_of_one(spans: &[Span]) -> bool {
    matches!(spans, [] | [Span { to: END, .. }])
}

pub(super) fn weight(taken: &[Taken]) -> usize {
    taken.iter().map(|it| it.kept.task.payload.len()).sum()
}

/// Checkpoints of tasks, by task.
pub(crate) type Aside = HashMap<TaskId, Vec<Checkpoint>>;

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use tasklane_testkit::{ManualClock, postgres};

    use super::*;
    use crate::postgres::{Options, PostgresStore};

    /// 30 lanes of 1 000 tasks, of which the planner was told nothing.
    const FILL: &str = "INSERT INTO tasklane.tasks (id, created, rank, place, lane, scope, urgency, state, reason, payload_sum, payload)
        SELECT gen_random_uuid(), n, n, n, n % 30, 1, 0, 3, 1, 0, '1' FROM generate_series(1, 30000) n";

    pub(in crate::postgres) async fn filled(with: &str) -> Arc<PostgresStore> {
        let clock = ManualClock::at(Timestamp::from_micros(1));
        let schema = postgres::fresh_schema_name().into();
        let options = Options { schema, ..Options::new(postgres::shared().url(), Arc::clone(&clock) as Arc<_>) };
        let store = PostgresStore::open(options).await.unwrap();
        store.sessions.get().await.unwrap().batch(with).await.unwrap();
        store
    }

    pub(in crate::postgres) async fn plan(
        store: &PostgresStore,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> String {
        let session = store.sessions.get().await.unwrap();
        let sql: &'static str = Box::leak(format!("EXPLAIN ANALYZE {}", statement.sql).into_boxed_str());
        let rows = session.rows(&Statement { sql, types: statement.types }, values).await.unwrap();
        rows.iter().map(|row| format!("{}\n", row.get::<_, &str>(0))).collect()
    }

    #[tokio::test]
    async fn a_lease_goes_by_its_index_and_reads_hardly_more_than_it_takes() {
        let store = filled(FILL).await;
        let one = plan(&store, &TAKE, &[&3, &500_i64, &(1_i64 << 20), &0_i16, &5_i64]).await;
        assert!(
            one.contains("using tasks_takeable") && !one.contains("Seq Scan") && !one.contains("rows=1000 "),
            "{one}"
        );
        let (lanes, urgencies, places) = ((0..30).collect::<Vec<i32>>(), vec![0_i16; 30], vec![0_i64; 30]);
        let (last, end) = (vec![END.0; 30], vec![END.1; 30]);
        let values: [Value<'_>; 8] = [&lanes, &20_i64, &(1_i64 << 20), &160_i64, &urgencies, &places, &last, &end];
        let many = plan(&store, &TAKE_OF_SPANS, &values).await;
        assert!(many.contains("using tasks_takeable") && many.contains("using tasks_pkey"), "{many}");
        assert!(!many.contains("Seq Scan") && !many.contains("rows=1000 "), "{many}");
    }
}
