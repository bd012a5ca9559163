//! Who holds slots is who runs. Of the gates of keys it is counted how many do, by stripes. A commit that leases locks the
//! stripes of the gates it may pass, takes up what others left there, and adds a row of what it changed; so whoever knew the
//! last row before knows everything, and a server that is alone reads nothing anew. Nothing here is kept apart from what it
//! counts: every row is of the commit whose tasks it counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tasklane_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::error::Result;
use super::session::{Session, Statement, Value};
use super::strands::GateNo;

/// How many stripes there are.
const STRIPES: usize = 16;
/// Rows of a stripe from which on they are put together.
const ROWS: i64 = 32;
/// Gates of a row: it fits a page with room to spare.
const GATES: usize = 500;
/// What was left longer ago than this was taken up, but for what a slow commit left.
const LATELY: Duration = Duration::from_secs(5);
/// How often everything that was left is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Rows that were left in a stripe from which on somebody takes them up who does not lease.
const LEFT: i64 = 200;

/// One after the other in their order: nobody waits for a stripe while it has a later one.
pub(crate) const LOCK: Statement = Statement {
    sql: "SELECT no FROM tasklane.stripes WHERE no = ANY($1) ORDER BY no FOR UPDATE",
    types: &[Type::INT4_ARRAY],
};

/// How long a lock is waited for, in this transaction.
const WAIT: Statement = Statement { sql: "SELECT set_config('lock_timeout', $1, true)", types: &[Type::TEXT] };
/// A commit that has stripes takes milliseconds, unless its server stopped in the middle of it.
const SHORT: &str = "500ms";
/// As sessions are set to.
const LONG: &str = "30s";

/// The last row of each stripe, and how much was said of gates. To be asked behind [`LOCK`], not together with it: it sees
/// what had been committed when the lock was had.
pub(crate) const LAST: Statement = Statement {
    sql: "SELECT s.no, l.no, l.first, l.mark, (SELECT value FROM tasklane.facts WHERE name = 'gates')
          FROM unnest($1::int[]) AS s(no) LEFT JOIN LATERAL (
            SELECT no, first, mark FROM tasklane.slots WHERE stripe = s.no ORDER BY no DESC LIMIT 1) l ON true",
    types: &[Type::INT4_ARRAY],
};

/// The rows of stripes from a number on.
pub(crate) const READ: Statement = Statement {
    sql: "SELECT l.stripe, l.no, l.mark, l.gates, l.n FROM unnest($1::int[], $2::bigint[]) AS s(no, first)
          CROSS JOIN LATERAL (SELECT * FROM tasklane.slots WHERE stripe = s.no AND no >= s.first ORDER BY no) l",
    types: &[Type::INT4_ARRAY, Type::INT8_ARRAY],
};

pub(crate) const TAKE_UP: Statement = Statement {
    sql: "DELETE FROM tasklane.returned WHERE stripe = ANY($1) AND at >= $2 RETURNING gates, n",
    types: &[Type::INT4_ARRAY, Type::INT8],
};

const ADD: Statement = Statement {
    sql: "INSERT INTO tasklane.slots (stripe, no, first, mark, gates, n)
          SELECT u.stripe, u.no, u.first, $1, u.gates::int[], u.n::int[]
          FROM unnest($2::int[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) AS u(stripe, no, first, gates, n)",
    types: &[Type::INT8, Type::INT4_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};

/// Takes away what is counted in later rows. Both ends are named, so that what others took away before is not gone through.
const DROP: Statement = Statement {
    sql: "DELETE FROM tasklane.slots s USING unnest($1::int[], $2::bigint[], $3::bigint[]) AS u(stripe, was, first)
          WHERE s.stripe = u.stripe AND s.no >= u.was AND s.no < u.first",
    types: &[Type::INT4_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY],
};

pub(crate) const LEAVE: Statement = Statement {
    sql: "INSERT INTO tasklane.returned (stripe, at, gates, n)
          SELECT u.stripe, $1, u.gates::int[], u.n::int[] FROM unnest($2::int[], $3::text[], $4::text[]) AS u(stripe, gates, n)",
    types: &[Type::INT8, Type::INT4_ARRAY, Type::TEXT_ARRAY, Type::TEXT_ARRAY],
};

const MANY: Statement = Statement {
    sql: "SELECT stripe FROM tasklane.returned GROUP BY stripe HAVING count(*) > $1 ORDER BY stripe",
    types: &[Type::INT8],
};

/// How many more tasks run that pass each gate.
pub(crate) type Changes = HashMap<GateNo, i64, RandomState>;

/// The stripe of a gate.
pub(crate) fn stripe_of(gate: GateNo) -> i32 {
    gate.0.rem_euclid(STRIPES as i32)
}

/// A row that everything is known up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Last {
    no: i64,
    first: i64,
    mark: i64,
}

/// A stripe that has rows which are not known.
struct Behind {
    last: Last,
    /// The first that counts, or the last that is known.
    from: i64,
}

/// What a server knows of a stripe.
#[derive(Default)]
struct Stripe {
    /// The last row it knows; `None`: none.
    last: Option<Last>,
    counted: Changes,
    /// When what was left here was last looked for; `None`: all of it is to be looked for.
    looked: Option<Timestamp>,
    /// When it is to be again, as a slow commit may have left something.
    whole_again: Duration,
}

impl Stripe {
    fn add(&mut self, gate: GateNo, n: i64) {
        let counted = self.counted.entry(gate).or_default();
        *counted += n;
        if *counted == 0 {
            self.counted.remove(&gate);
        }
    }
}

/// What a server knows of slots. Of a stripe it is true while that is locked and its last row is known.
#[derive(Default)]
pub(crate) struct Slots(Mutex<[Stripe; STRIPES]>);

/// Stripes that a commit has locked.
#[derive(Default)]
pub(crate) struct Held {
    stripes: Vec<i32>,
    /// What others left there and this commit took up.
    taken_up: Changes,
}

impl Held {
    /// Whether nobody else counts at this gate.
    pub(crate) fn has(&self, gate: GateNo) -> bool {
        self.stripes.contains(&stripe_of(gate))
    }
}

impl Slots {
    fn stripes(&self) -> MutexGuard<'_, [Stripe; STRIPES]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many slots of a gate are held that was locked, but for what this commit itself changed.
    pub(crate) fn held(&self, held: &Held, gate: GateNo) -> i64 {
        let counted = self.stripes()[at(stripe_of(gate))].counted.get(&gate).copied();
        counted.unwrap_or(0) + held.taken_up.get(&gate).copied().unwrap_or(0)
    }

    /// Locks stripes and learns what is counted there. Answers with it, and with how much was said of gates by then.
    pub(crate) async fn lock(
        &self,
        session: &Session,
        stripes: Vec<i32>,
        (now, elapsed): (Timestamp, Duration),
    ) -> Result<(Held, i64)> {
        let since = self.since(&stripes, now, elapsed);
        for statement in [&WAIT, &LOCK, &LAST, &TAKE_UP] {
            session.prepare(statement).await?;
        }
        let locked: [Value<'_>; 1] = [&stripes];
        let left: [Value<'_>; 2] = [&stripes, &since];
        let (short, long): ([Value<'_>; 1], [Value<'_>; 1]) = ([&SHORT], [&LONG]);
        // One after the other, but not waiting for each answer.
        let (short, lock, last, taken_up, long) = tokio::join!(biased; session.run(&WAIT, &short),
            session.run(&LOCK, &locked), session.rows(&LAST, &locked), session.rows(&TAKE_UP, &left),
            session.run(&WAIT, &long));
        short?;
        lock?;
        let (last, taken_up) = (last?, taken_up?);
        long?;
        let said = last.first().map(|row| row.try_get(4)).transpose()?.unwrap_or(0);
        self.catch_up(session, &last).await?;
        let mut held = Held { stripes, taken_up: Changes::default() };
        for row in &taken_up {
            each(row, 0, |gate, n| *held.taken_up.entry(gate).or_default() += n)?;
        }
        Ok((held, said))
    }

    /// From when on to look for what was left, which is then looked for.
    fn since(&self, stripes: &[i32], now: Timestamp, elapsed: Duration) -> i64 {
        let (mut known, mut since) = (self.stripes(), Some(now));
        for no in stripes {
            let known = &known[at(*no)];
            since = since.min(known.looked.filter(|_| elapsed < known.whole_again));
        }
        for no in stripes {
            let known = &mut known[at(*no)];
            known.looked = Some(now);
            if since.is_none() {
                known.whole_again = elapsed + LOOK_EVERY;
            }
        }
        since.map_or(i64::MIN, |since| since.as_micros() - LATELY.as_micros() as i64)
    }

    /// A commit failed: what it took up is left there still.
    pub(crate) fn failed(&self) {
        self.stripes().iter_mut().for_each(|it| it.looked = None);
    }

    /// Reads what others added, where it is not known.
    async fn catch_up(&self, session: &Session, last: &[Row]) -> Result<()> {
        let mut behind = BTreeMap::new();
        for row in last {
            let (stripe, no): (i32, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            let last = match no {
                Some(no) => Some(Last { no, first: row.try_get(2)?, mark: row.try_get(3)? }),
                None => None,
            };
            let mut known = self.stripes();
            let known = &mut known[at(stripe)];
            match last {
                last if known.last == last => {}
                None => (known.last, known.counted) = (None, Changes::default()),
                Some(last) => {
                    let from = known.last.filter(|it| it.first == last.first).map_or(last.first, |it| it.no);
                    behind.insert(stripe, Behind { last, from });
                }
            }
        }
        // What was known of some of them is not of this history.
        let strange = self.read(session, &behind).await?;
        self.read(session, &strange).await.map(drop)
    }

    /// Reads stripes. Answers with those whose last known row is not there: they are to be read from the first that counts.
    async fn read(&self, session: &Session, behind: &BTreeMap<i32, Behind>) -> Result<BTreeMap<i32, Behind>> {
        if behind.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (stripes, from): (Vec<i32>, Vec<i64>) = behind.iter().map(|(stripe, it)| (*stripe, it.from)).unzip();
        let rows = session.rows(&READ, &[&stripes, &from]).await?;
        let mut of_stripe: HashMap<i32, Vec<&Row>> = HashMap::new();
        for row in &rows {
            of_stripe.entry(row.try_get(0)?).or_default().push(row);
        }
        let (mut strange, mut known) = (BTreeMap::new(), self.stripes());
        for (stripe, Behind { last, from }) in behind {
            let mut rows = of_stripe.remove(stripe).unwrap_or_default().into_iter();
            let known = &mut known[at(*stripe)];
            if *from == last.first {
                known.counted.clear();
            } else {
                let is_known = |row: &Row| Ok::<_, tokio_postgres::Error>((row.try_get(1)?, row.try_get(2)?));
                let met = rows.next().map(is_known).transpose()?;
                if met != known.last.map(|it| (it.no, it.mark)) {
                    strange.insert(*stripe, Behind { last: *last, from: last.first });
                    continue;
                }
            }
            for row in rows {
                each(row, 3, |gate, n| known.add(gate, n))?;
            }
            known.last = Some(*last);
        }
        Ok(strange)
    }

    /// Adds to the stripes that are held what this commit took up and changed, and takes that out of `changed`.
    pub(crate) async fn add(&self, session: &Session, held: &mut Held, changed: &mut Changes) -> Result<()> {
        let mut net = std::mem::take(&mut held.taken_up);
        changed.retain(|gate, n| {
            let is_here = held.has(*gate);
            if is_here {
                *net.entry(*gate).or_default() += *n;
            }
            !is_here
        });
        let rows = self.rows(&net);
        if rows.added.stripes.is_empty() {
            return Ok(());
        }
        let Columns { stripes, gates, n } = &rows.added;
        session.prepare(&ADD).await?;
        let add: [Value<'_>; 6] = [&rows.mark, stripes, &rows.numbers, &rows.firsts, gates, n];
        if rows.folded.is_empty() {
            return session.run(&ADD, &add).await;
        }
        session.prepare(&DROP).await?;
        let drop: [Value<'_>; 3] = [&rows.folded, &rows.were, &rows.are];
        let (added, dropped) = tokio::join!(biased; session.run(&ADD, &add), session.run(&DROP, &drop));
        added?;
        dropped
    }

    /// The rows to add. What is known is changed at once: if this commit fails, no row will have its mark.
    fn rows(&self, net: &Changes) -> Rows {
        let mut rows = Rows { mark: mark(), ..Rows::default() };
        let mut known = self.stripes();
        for (stripe, net) in by_stripe(net) {
            let known = &mut known[at(stripe)];
            net.iter().for_each(|(gate, n)| known.add(*gate, *n));
            let (mut no, was) = known.last.map_or((0, None), |it| (it.no, Some(it.first)));
            let mut first = was.unwrap_or(1);
            let is_folded = no - first >= ROWS;
            let net = if is_folded {
                rows.folded.push(stripe);
                rows.were.push(first);
                first = no + 1;
                rows.are.push(first);
                let mut all: Vec<(GateNo, i64)> = known.counted.iter().map(|(gate, n)| (*gate, *n)).collect();
                all.sort_unstable();
                all
            } else {
                net
            };
            // Of a stripe in which nothing is held one row says so.
            let parts = net.chunks(GATES).chain(net.is_empty().then_some(&[][..]));
            for part in parts {
                no += 1;
                rows.numbers.push(no);
                rows.firsts.push(first);
                rows.added.push(stripe, part);
            }
            known.last = Some(Last { no, first, mark: rows.mark });
        }
        rows
    }
}

/// Changes as columns.
#[derive(Default)]
struct Columns {
    stripes: Vec<i32>,
    gates: Vec<String>,
    n: Vec<String>,
}

impl Columns {
    fn push(&mut self, stripe: i32, part: &[(GateNo, i64)]) {
        let list = |numbers: &mut dyn Iterator<Item = i64>| {
            let texts: Vec<String> = numbers.map(|it| it.to_string()).collect();
            format!("{{{}}}", texts.join(","))
        };
        self.stripes.push(stripe);
        self.gates.push(list(&mut part.iter().map(|(gate, _)| gate.0.into())));
        self.n.push(list(&mut part.iter().map(|(_, n)| *n)));
    }
}

/// Rows of [`ADD`] and [`DROP`].
#[derive(Default)]
struct Rows {
    mark: i64,
    added: Columns,
    numbers: Vec<i64>,
    firsts: Vec<i64>,
    folded: Vec<i32>,
    were: Vec<i64>,
    are: Vec<i64>,
}

/// What is left for the next who has the stripes.
#[derive(Default)]
pub(crate) struct Left(Columns);

impl Left {
    pub(crate) fn of(changed: &Changes) -> Self {
        let mut columns = Columns::default();
        for (stripe, changed) in by_stripe(changed) {
            changed.chunks(GATES).for_each(|part| columns.push(stripe, part));
        }
        Self(columns)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.stripes.is_empty()
    }
}

/// Leaves changes, if there are any.
pub(crate) async fn leave(session: &Session, left: &Left, now: Timestamp) -> Result<()> {
    let Columns { stripes, gates, n } = &left.0;
    if stripes.is_empty() { Ok(()) } else { session.run(&LEAVE, &[&now.as_micros(), stripes, gates, n]).await }
}

/// Takes up what was left in stripes at which hardly anybody leases.
pub(crate) async fn fold(session: &Session, slots: &Slots, now: Timestamp, elapsed: Duration) -> Result<()> {
    let rows = session.rows(&MANY, &[&LEFT]).await?;
    let stripes: Vec<i32> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    if stripes.is_empty() {
        return Ok(());
    }
    session.begin().await?;
    let folded = async {
        let (mut held, _) = slots.lock(session, stripes, (now, elapsed)).await?;
        slots.add(session, &mut held, &mut Changes::default()).await
    };
    match folded.await {
        Ok(()) => session.commit().await,
        failed => session.roll_back().await.and(failed),
    }
}

fn at(stripe: i32) -> usize {
    stripe.unsigned_abs() as usize % STRIPES
}

fn by_stripe(changes: &Changes) -> BTreeMap<i32, Vec<(GateNo, i64)>> {
    let mut stripes: BTreeMap<i32, Vec<(GateNo, i64)>> = BTreeMap::new();
    for (gate, n) in changes.iter().filter(|(_, n)| **n != 0) {
        stripes.entry(stripe_of(*gate)).or_default().push((*gate, *n));
    }
    stripes
}

/// Each gate of a row that has them in this column and their changes in the next.
fn each(row: &Row, column: usize, mut add: impl FnMut(GateNo, i64)) -> Result<()> {
    let (gates, n): (Vec<i32>, Vec<i32>) = (row.try_get(column)?, row.try_get(column + 1)?);
    gates.into_iter().zip(n).for_each(|(gate, n)| add(GateNo(gate), n.into()));
    Ok(())
}

fn mark() -> i64 {
    uuid::Uuid::now_v7().as_u64_pair().1 as i64
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
