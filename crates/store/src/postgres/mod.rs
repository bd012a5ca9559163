//! The store that many servers share: tables of PostgreSQL. Every verb is a few set-based statements; a commit is one
//! transaction of all that has gathered meanwhile.
//!
//! What runs here runs beside other servers: a row is changed only where it is still what it was read as, or after it was
//! locked. Nobody leads.

use std::sync::Arc;
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::event::Position;
use tasklane_core::gate::{Gate, GateDetail, GateName};
use tasklane_core::lease::LeaseKey;
use tasklane_core::ports::BoxFuture;
use tasklane_core::ports::records::Records;
use tasklane_core::ports::store::{
    Answers, Batch, CancelAsked, EventPage, Hint, LogPage, LogQuery, Standing, Store, StoreStats, TaskFilter, TaskPage,
};
use tasklane_core::queue::{Counts, LaneCounts, Queue};
use tasklane_core::task::{Attempt, Facts, Lane, Task, TaskId};
use tasklane_core::time::Timestamp;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;

use self::error::Result;
use self::flights::Flights;
use self::hints::{Exchange, Inbox, Outbox};
use self::inspect::Reader;
use self::names::NameBook;
use self::open::Connect;
use self::session::{Session, Sessions, Statement};
use self::time::Time;
use self::tx::{Shared, Tx, Writes};
use crate::gather::Job;

mod accept;
mod ahead;
mod alarms;
mod bounds;
mod candidates;
mod check;
mod control;
mod counters;
mod define;
mod due;
mod error;
mod fill;
mod fill_gates;
mod fill_records;
mod flights;
mod fullness;
mod gate;
mod gated;
mod hand;
mod hints;
mod inspect;
mod keys;
mod lease;
mod merge;
mod migrate;
mod names;
mod notes;
mod open;
mod outage;
mod promote;
mod record;
mod regain;
mod remove;
mod renew;
mod rescue;
mod rooms;
mod row;
mod session;
mod settle;
mod slots;
mod standing;
mod stats;
mod strands;
mod sweep;
mod time;
mod tls;
mod turns;
mod tx;
mod write;

pub use check::check;
pub(crate) use error::Fault;
pub use error::OpenError;
pub use fill::Replace;
pub(crate) use fill::{Claim, Fill};
pub use open::{FLIGHTS, Options, READERS, SCHEMA};
pub use session::Pooler;
pub use stats::{DatabaseStats, stats};
pub use time::Whose;

/// How often somebody looks whether the counters are to be folded.
const FOLD: Duration = Duration::from_secs(1);
/// How often somebody looks whether slots are held by what runs and nothing else.
const REGAIN: Duration = Duration::from_secs(60);
/// How long a server that stops waits for a commit on its way.
const LAND: Duration = Duration::from_secs(5);
/// How long a server that stops tries to say so.
const LEAVE: Duration = Duration::from_secs(2);

/// The time, and the next number of the event log.
const BEGIN: Statement = Statement {
    sql: "SELECT tasklane.now_micros(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
            coalesce((SELECT max(position) FROM tasklane.events), 0),
            (SELECT value FROM tasklane.facts WHERE name = 'position_base')",
    types: &[],
};

const SET_BASE: Statement = Statement {
    sql: "UPDATE tasklane.facts SET value = greatest(value, $1) WHERE name = 'position_base' RETURNING value",
    types: &[Type::INT8],
};

/// A promotion was not finished.
const IS_INCOMPLETE: Statement =
    Statement { sql: "SELECT EXISTS (SELECT 1 FROM tasklane.facts WHERE name = 'incomplete')", types: &[] };

/// The store on a PostgreSQL database.
pub struct PostgresStore {
    shared: Arc<Shared>,
    sessions: Sessions,
    flights: Arc<Flights>,
    reader: Reader,
    inbox: Option<Mutex<Inbox>>,
    loops: std::sync::Mutex<Vec<JoinHandle<()>>>,
    flying: Mutex<Vec<JoinHandle<()>>>,
}

impl PostgresStore {
    /// Opens the store, and makes or migrates its schema. Leases count anew from now if no server was in touch with the
    /// database before. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`]: the database does not answer, refuses, is too old, or holds what this program cannot read.
    pub async fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let faulty = |fault| OpenError::from_fault(&fault);
        let connect = Connect::new(&options)?;
        let sessions = connect.sessions(&options)?;
        let session = sessions.get_patient().await.map_err(faulty)?;
        migrate::migrate(&session, options.migrate).await?;
        refuse_incomplete(&session).await?;
        let (now, base) = begin(&session).await.map_err(faulty)?;
        let book = NameBook::open(&session).await.map_err(faulty)?;
        let time = Time::new(options.time, now);
        let server = uuid::Uuid::now_v7().as_u128() as i64;
        let (sweep, bounds, fullness, turns, slots) = Default::default();
        let fairness = options.fairness.clone();
        let (last, regained) = (0.into(), 0.into());
        let shared = Arc::new(Shared {
            book,
            time,
            base,
            server,
            fairness,
            sweep,
            bounds,
            fullness,
            slots,
            turns,
            regained,
            last,
        });
        arrive(&session, &shared).await?;
        drop(session);
        let outbox = Arc::new(Outbox::default());
        let flights = Flights::new(sessions.clone(), Arc::clone(&shared), Arc::clone(&outbox));
        let flying = (0..options.flights).map(|_| tokio::spawn(Arc::clone(&flights).fly())).collect();
        let mut loops = vec![tokio::spawn(fold(sessions.clone(), Arc::clone(&shared)))];
        let inbox = (options.pooler == Pooler::None).then(|| {
            let (sessions, shared) = (sessions.clone(), Arc::clone(&shared));
            let (inbox, listening) = Exchange { connect, sessions, shared, outbox }.start();
            loops.push(listening);
            Mutex::new(inbox)
        });
        let reader = Reader::new(sessions.clone(), Arc::clone(&shared));
        let (loops, flying) = (std::sync::Mutex::new(loops), Mutex::new(flying));
        Ok(Arc::new(Self { shared, sessions, flights, reader, inbox, loops, flying }))
    }
}

/// The time, and what is added to numbers of transactions so that positions never go back: a database that was restored
/// elsewhere begins to count them anew.
async fn begin(session: &Session) -> Result<(Timestamp, i64)> {
    let row = session.row(&BEGIN, &[]).await?;
    let (now, next, last): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let mut base: i64 = row.try_get(3)?;
    if last >= base + next {
        base = session.row(&SET_BASE, &[&(last + 1 - next)]).await?.try_get(0)?;
    }
    Ok((Timestamp::from_micros(now), base))
}

/// Says that this server is there.
async fn arrive(session: &Session, shared: &Shared) -> Result<(), OpenError> {
    let faulty = |fault| OpenError::from_fault(&fault);
    let mut tx = Tx::begin(session, shared, 1, Writes::Perhaps).await.map_err(faulty)?;
    tx.pulse().await.map_err(faulty)?;
    // A promotion that began meanwhile looks for servers when this one has said that it is there.
    if let Err(refused) = refuse_incomplete(session).await {
        session.roll_back().await.map_err(faulty)?;
        return Err(refused);
    }
    tx.finish().await.map_err(faulty)?;
    outage::forget(session, shared.server).await.map_err(faulty)
}

async fn refuse_incomplete(session: &Session) -> Result<(), OpenError> {
    let incomplete = async { Ok(session.row(&IS_INCOMPLETE, &[]).await?.try_get(0)?) };
    match incomplete.await.map_err(|fault| OpenError::from_fault(&fault))? {
        true => Err(OpenError::Incomplete),
        false => Ok(()),
    }
}

async fn fold(sessions: Sessions, shared: Arc<Shared>) {
    let (mut most, mut since) = (counters::ROWS, Duration::ZERO);
    loop {
        tokio::time::sleep(FOLD).await;
        since += FOLD;
        if shared.book.look().strands.is_any() {
            let (now, elapsed) = (shared.time.now(), shared.time.elapsed());
            let folded = async { slots::fold(&sessions.get().await?, &shared.slots, now, elapsed).await };
            if let Err(fault) = folded.await {
                tracing::debug!(%fault, "slots were not put together; they add up all the same");
            }
            if since >= REGAIN {
                since = Duration::ZERO;
                regain(&sessions, &shared).await;
            }
        }
        let folded = async { counters::fold(&sessions.get().await?, most).await };
        match folded.await {
            Ok(next) => most = next,
            Err(fault) => tracing::debug!(%fault, "the counters were not folded; they add up all the same"),
        }
    }
}

/// The backstop: gates whose slots are not held by who runs are set right.
async fn regain(sessions: &Sessions, shared: &Shared) {
    let regained = async { regain::regain(&sessions.get().await?).await };
    let Ok(wrong) = regained.await else { return };
    let mut fullness = shared.fullness.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (gate, by) in wrong {
        tracing::warn!(gate = gate.0, by, "the slots of a gate were not those of what runs; they are now");
        shared.regained.fetch_add(by.unsigned_abs(), std::sync::atomic::Ordering::Relaxed);
        fullness.open(gate);
    }
}

fn closed() -> StoreError {
    StoreError::Away("it was closed".into())
}

impl Store for PostgresStore {
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Answers, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let boarded = self.flights.board(Job { batch, reply });
        Box::pin(async move {
            boarded?;
            answer.await.map_err(|_| StoreError::Away("nobody can say what became of a commit".into()))?
        })
    }

    fn tasks(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Task>>, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.tasks(session, &ids).await))
    }

    fn list(
        &self,
        filter: TaskFilter,
        below: Option<TaskId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<TaskPage, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.list(session, &filter, below, limit).await))
    }

    fn attempts(&self, id: TaskId) -> BoxFuture<'_, Result<Option<Vec<Attempt>>, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.attempts(session, id).await))
    }

    fn logs(&self, id: TaskId, query: LogQuery) -> BoxFuture<'_, Result<Option<LogPage>, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.logs(session, id, query).await))
    }

    fn standing(&self, id: TaskId, most: u64) -> BoxFuture<'_, Result<Option<Standing>, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.standing(session, id, most).await))
    }

    fn queues(&self, name: Option<Box<str>>) -> BoxFuture<'_, Result<Vec<Queue>, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.queues(session, name.as_deref()).await))
    }

    fn lanes(&self) -> BoxFuture<'_, Result<Vec<LaneCounts>, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.lanes(session).await))
    }

    fn counts(&self, origin: Box<str>, tenant: Option<Box<str>>) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.counts(session, &origin, tenant.as_deref()).await))
    }

    fn gates(&self, after: Option<GateName>, most: usize) -> BoxFuture<'_, Result<Vec<Gate>, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.gates(session, after.as_ref(), most).await))
    }

    fn gate(&self, name: GateName) -> BoxFuture<'_, Result<Option<GateDetail>, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.gate(session, &name).await))
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn knows(&self, lane: &Lane) -> bool {
        self.shared.book.look().lane_no(lane).is_some()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn hint(&self) -> BoxFuture<'_, Hint> {
        Box::pin(async move {
            if let Some(inbox) = &self.inbox
                && let Some(hint) = inbox.lock().await.recv().await
            {
                return hint;
            }
            std::future::pending().await
        })
    }

    fn ended(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<TaskId>, StoreError>> {
        Box::pin(self.reader.read(async move |session| inspect::ended(session, &ids).await))
    }

    fn lost(&self, keys: Vec<LeaseKey>) -> BoxFuture<'_, Result<Vec<LeaseKey>, StoreError>> {
        Box::pin(self.reader.read(async move |session| inspect::lost(session, keys).await))
    }

    fn facts(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Facts>>, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.facts(session, &ids).await))
    }

    fn cancels(&self) -> BoxFuture<'_, Result<Vec<CancelAsked>, StoreError>> {
        Box::pin(self.reader.read(async move |session| inspect::cancels(session).await))
    }

    fn events(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.events(session, after, limit).await))
    }

    fn crash_loops(
        &self,
        after: Position,
        since: Timestamp,
        most: usize,
    ) -> BoxFuture<'_, Result<EventPage, StoreError>> {
        Box::pin(self.reader.read(async move |session| self.reader.crash_loops(session, (after, since), most).await))
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        Box::pin(async move {
            let stats = self.reader.read(async move |session| self.reader.stats(session).await).await?;
            let slots_regained = self.shared.regained.load(std::sync::atomic::Ordering::Relaxed);
            Ok(StoreStats { commits: self.flights.commits(), slots_regained, ..stats })
        })
    }

    fn now(&self) -> Timestamp {
        self.shared.time.now()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.reader.close();
        self.flights.close();
        Box::pin(async move {
            for mut flight in self.flying.lock().await.drain(..) {
                // One that panicked has nothing left to finish, and one that hears nothing will not.
                if tokio::time::timeout(LAND, &mut flight).await.is_err() {
                    flight.abort();
                }
            }
            let loops: Vec<_> =
                self.loops.lock().unwrap_or_else(std::sync::PoisonError::into_inner).drain(..).collect();
            loops.into_iter().for_each(|it| it.abort());
            let leaving = async { outage::leave(&self.sessions.get().await?, self.shared.server).await };
            if !matches!(tokio::time::timeout(LEAVE, leaving).await, Ok(Ok(()))) {
                tracing::debug!("this server did not say that it goes; the others will notice");
            }
            self.sessions.pool.close();
        })
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        let loops = self.loops.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        loops.drain(..).for_each(|it| it.abort());
        self.flights.close();
    }
}
