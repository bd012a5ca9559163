//! What could start where tasks pass gates: the first few of each strand whose gates have room. They are read without locks,
//! more than are wanted, and what is not taken is remembered for the next lease.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use foldhash::fast::RandomState;
use tasklane_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::ahead::{Line, Next};
use super::bounds::{BEGINNING, END, Look, Span};
use super::error::Result;
use super::session::{Statement, Value};
use super::standing::Place;
use super::strands::GateNo;
use super::tx::Tx;
use crate::encoding::LaneNo;

/// The first few of each span, from a task on, without locks.
pub(crate) const CANDIDATES: Statement = Statement {
    sql: "SELECT s.n::int, c.id, c.due, c.urgency, c.place, c.rank FROM unnest($1::int[], $2::smallint[], $3::bigint[], $4::uuid[],
            $5::smallint[], $6::bigint[], $7::bigint[]) WITH ORDINALITY AS s(lane, urgency, place, id, last_urgency, last_place, most, n)
          CROSS JOIN LATERAL (SELECT id, due, urgency, place, rank FROM tasklane.tasks WHERE lane = s.lane AND place IS NOT NULL
              AND (urgency, place, id) >= (s.urgency, s.place, s.id) AND (urgency, place) <= (s.last_urgency, s.last_place)
            ORDER BY urgency, place, id LIMIT s.most) c",
    types: &[
        Type::INT4_ARRAY,
        Type::INT2_ARRAY,
        Type::INT8_ARRAY,
        Type::UUID_ARRAY,
        Type::INT2_ARRAY,
        Type::INT8_ARRAY,
        Type::INT8_ARRAY,
    ],
};

/// Most parts of lanes and strands that one look reads.
const SPANS: usize = 2000;
/// Candidates of each strand beyond twice its share of what is wanted.
const SPARE: usize = 3;
/// Most candidates of one, however often more were looked for.
const EACH: usize = 20_000;
/// Tasks of a strand that are read at once, to be remembered.
const AHEAD: usize = 16;

/// A queued task that may be started.
pub(super) struct Candidate {
    pub strand: LaneNo,
    pub id: Uuid,
    pub place: Place,
    /// A deadline of it has passed: it ends instead of taking slots.
    pub is_over: bool,
    /// The last of its strand that was read, where there may be more.
    pub is_last: bool,
    /// Its urgency and rank: what counts between lanes.
    pub age: Place,
}

/// How much is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub wanted: usize,
    /// How many looks of the same lease there were before.
    pub passes: u32,
}

impl Extent {
    /// Grows with every look that was in vain.
    fn times(self, n: usize) -> usize {
        n.saturating_mul(4_usize.saturating_pow(self.passes))
    }

    fn share(self, strands: usize) -> usize {
        self.times(2 * self.wanted / strands.max(1) + SPARE).min(EACH)
    }
}

/// A strand whose gates have room.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// How many may start, as far as is known.
    room: usize,
    /// What is read of it stays true until it is taken: nobody else takes of it but by its gates.
    is_remembered: bool,
}

/// A part of a strand that is read.
struct Part {
    span: Span,
    /// What stands at the beginning of the span before this one is known.
    from: Uuid,
    most: i64,
}

/// What is looked at.
pub(super) struct Plan {
    open: HashMap<LaneNo, Open, RandomState>,
    parts: Vec<Part>,
    /// What is known of strands before the parts that are read.
    known: HashMap<LaneNo, Line, RandomState>,
    pub look: Look,
    /// What is left for later, as there is too much.
    pub later: HashSet<LaneNo, RandomState>,
    /// How much of each strand is wanted.
    share: usize,
    extent: Extent,
    found: Found,
}

/// Candidates in the order of their places, and what was seen whole.
#[derive(Default)]
pub(super) struct Found {
    pub all: Vec<Candidate>,
    /// How many of each strand stand there, unless there may be more.
    pub of_whole: HashMap<LaneNo, usize, RandomState>,
}

impl Plan {
    /// No more of a strand can start than its gates have room for, and no more than its share are wanted; more where earlier
    /// looks were in vain.
    fn wanted(&self, strand: LaneNo) -> usize {
        let room = self.open.get(&strand).map_or(usize::MAX, |it| it.room);
        self.share.min(self.extent.times(room)).max(1)
    }

    fn is_remembered(&self, strand: LaneNo) -> bool {
        self.open.get(&strand).is_some_and(|it| it.is_remembered)
    }

    /// What is known of a strand, if that is enough.
    fn find(&mut self, strand: LaneNo, line: &Line, now: Timestamp) {
        if line.is_whole {
            self.found.of_whole.insert(strand, line.tasks.len());
        }
        let most = self.wanted(strand);
        let is_all = line.is_whole && line.tasks.len() <= most;
        let read = line.tasks.len().min(most);
        self.found.all.extend(line.tasks.iter().take(most).enumerate().map(|(at, next)| Candidate {
            strand,
            id: next.id,
            place: next.place,
            is_over: next.due.is_some_and(|at| at <= now.as_micros()),
            is_last: at + 1 == read && !is_all,
            age: (next.place.0, next.rank),
        }));
    }

    /// Has the spans of a strand read, behind what is `known`.
    fn read(&mut self, strand: LaneNo, spans: &[Span], known: Option<&Line>) {
        let most = self.wanted(strand);
        let most = if self.is_remembered(strand) { most.max(AHEAD) } else { most } as i64;
        let last = known.and_then(|line| line.tasks.back());
        for span in spans.iter().filter(|span| last.is_none_or(|last| span.to >= last.place)) {
            let part = match last {
                Some(last) if last.place >= span.from => {
                    Part { span: Span { from: last.place, ..*span }, from: last.id, most }
                }
                _ => Part { span: *span, from: Uuid::nil(), most },
            };
            self.parts.push(part);
        }
        self.known.extend(known.map(|line| (strand, line.clone())));
    }
}

impl Tx<'_> {
    /// Where to look: not where a gate is full.
    pub(super) fn plan(&self, lanes: &[i32], extent: Extent, empty: &HashSet<LaneNo, RandomState>) -> Plan {
        let now = self.shared.time.elapsed();
        let strands = lanes.iter().flat_map(|no| self.names.strands.strands_of(LaneNo(*no as u32)));
        let strands = strands.filter(|strand| !empty.contains(strand));
        let open: Vec<(LaneNo, Open)> = {
            let fullness = self.shared.fullness.lock().unwrap_or_else(PoisonError::into_inner);
            let is_full = |gate| fullness.is_full(gate, self.now, now) && !self.was_freed(gate);
            strands.filter_map(|strand| Some((strand, self.open(strand, is_full)?))).collect()
        };
        let mut bounds = self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers: Vec<LaneNo> = open.iter().map(|(strand, _)| *strand).collect();
        let (spans, look) = bounds.plan_each(&numbers, &self.news.arrivals, now);
        let share = extent.share(look.lanes.len());
        let (parts, known, later, found) = Default::default();
        let mut plan = Plan { open: open.into_iter().collect(), parts, known, look, later, share, extent, found };
        for spans in spans.chunk_by(|a, b| a.lane == b.lane) {
            let (strand, is_whole) = (spans[0].lane, (spans[0].from, spans[0].to) == (BEGINNING, END));
            let line = bounds.ahead(strand).filter(|_| !is_whole && plan.is_remembered(strand));
            match line {
                Some(line) if line.tells(plan.wanted(strand)) => plan.find(strand, line, self.now),
                line => plan.read(strand, spans, line),
            }
        }
        if plan.parts.len() > SPANS {
            // First where something may stand first.
            plan.parts.sort_unstable_by_key(|it| it.span.from);
            plan.later.extend(plan.parts.drain(SPANS..).map(|it| it.span.lane));
        }
        plan
    }

    /// A strand, unless one of its gates is full. Of those that are to be asked it is said whether they were full lately.
    fn open(&self, strand: LaneNo, is_full: impl Fn(GateNo) -> bool) -> Option<Open> {
        let names = &self.names.strands;
        let (mut room, mut is_gated) = (usize::MAX, false);
        for gate in names.gates_of(strand).filter(|gate| names.bounds(*gate).is_some()) {
            let of_gate = self.room(gate).unwrap_or_else(|| if is_full(gate) { 0 } else { self.most_of(gate) });
            (room, is_gated) = (room.min(of_gate), true);
        }
        (room > 0).then(|| Open { room, is_remembered: is_gated && !self.news.arrivals.contains_key(&strand) })
    }

    /// Reads what is not known.
    pub(super) async fn find(&mut self, plan: &mut Plan) -> Result<Found> {
        if !plan.parts.is_empty() {
            plan.parts.sort_unstable_by_key(|it| (it.span.lane, it.span.from));
            let mut lines = self.read_parts(plan).await?;
            for (strand, line) in &lines {
                plan.find(*strand, line, self.now);
            }
            lines.retain(|strand, _| plan.is_remembered(*strand));
            self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner).remember(&plan.look, lines);
        }
        let mut found = std::mem::take(&mut plan.found);
        found.all.sort_unstable_by_key(|it| (it.place, it.id));
        Ok(found)
    }

    /// The first tasks of strands whose parts lie in order. Behind a part that has more than was read nothing is told.
    async fn read_parts(&self, plan: &mut Plan) -> Result<HashMap<LaneNo, Line, RandomState>> {
        let parts = &plan.parts;
        let lanes: Vec<i32> = parts.iter().map(|it| it.span.lane.0 as i32).collect();
        let (urgencies, places): (Vec<i16>, Vec<i64>) = parts.iter().map(|it| it.span.from).unzip();
        let (last_urgencies, last_places): (Vec<i16>, Vec<i64>) = parts.iter().map(|it| it.span.to).unzip();
        let (ids, most): (Vec<Uuid>, Vec<i64>) = parts.iter().map(|it| (it.from, it.most)).unzip();
        let values: [Value<'_>; 7] = [&lanes, &urgencies, &places, &ids, &last_urgencies, &last_places, &most];
        let mut of_part: Vec<Vec<Next>> = parts.iter().map(|_| Vec::new()).collect();
        for row in &self.session.rows(&CANDIDATES, &values).await? {
            of_part[row.try_get::<_, i32>(0)?.unsigned_abs() as usize - 1].push(next(row)?);
        }
        let mut lines: HashMap<LaneNo, Line, RandomState> = HashMap::default();
        for (part, tasks) in parts.iter().zip(of_part) {
            let strand = part.span.lane;
            let line = lines.entry(strand).or_insert_with(|| {
                let known = plan.known.remove(&strand).unwrap_or_default();
                Line { is_whole: true, ..known }
            });
            if line.is_whole {
                line.is_whole = (tasks.len() as i64) < part.most && !plan.later.contains(&strand);
                line.tasks.extend(tasks.into_iter().filter(|it| it.id != part.from));
            }
        }
        Ok(lines)
    }
}

fn next(row: &Row) -> Result<Next> {
    let place = (row.try_get(3)?, row.try_get(4)?);
    Ok(Next { place, id: row.try_get(1)?, due: row.try_get(2)?, rank: row.try_get(5)? })
}
