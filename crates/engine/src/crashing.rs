//! Types whose tasks kill their workers, told from the event log alone: every server that reads it tells the same of the
//! same places. It is read for this only where there is reason to: a commit or a page of a stream holds such an end, or
//! somebody asks for the types.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tasklane_core::error::StoreError;
use tasklane_core::event::{Position, Transition};
use tasklane_core::ports::store::EventPage;
use tasklane_core::quarantine::{self, Crashes, HOUR, WITHIN, is_crash_loop};
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;
use tokio::sync::{Mutex, Notify};
use tokio::time::sleep;

use crate::inside::Inside;

pub(crate) use tasklane_core::quarantine::Crashing as Told;

/// Events read at a time.
const PAGE: usize = 1_000;
/// Most that is remembered of what was told; what is older is read again where somebody asks.
const REMEMBERED: usize = 1_000;
/// The first sleep before another look for what is not readable yet, as commits before it are under way; it doubles.
const SOON: Duration = Duration::from_millis(10);
const LOOK_AT_LEAST: Duration = Duration::from_secs(1);

/// What this server knows of crashing types.
#[derive(Default)]
pub(crate) struct Crashing {
    known: Mutex<Option<Known>>,
    /// Where the last commit of this server stands that quarantined a task, and what tells to look.
    rumour: AtomicU64,
    look: Notify,
}

/// The log, read without a gap.
struct Known {
    reading: Reading,
    /// The last word on each type.
    types: BTreeMap<Box<str>, Told>,
}

/// A way through the log from some moment on.
struct Reading {
    since: Timestamp,
    at: Position,
    crashes: Crashes,
    told: BTreeMap<(Position, TaskId), Told>,
    /// What was told before this is not remembered, or not known for sure.
    sure_from: Timestamp,
}

impl Reading {
    fn from(since: Timestamp) -> Self {
        let sure_from = since.plus(WITHIN);
        Self { since, at: Position(0), crashes: Crashes::default(), told: BTreeMap::new(), sure_from }
    }

    /// Reads to the end, or past `upto`; what it tells.
    async fn go_on(&mut self, inside: &Inside, upto: Position) -> Result<Vec<Told>, StoreError> {
        let mut all = Vec::new();
        loop {
            let page = inside.store.crash_loops(self.at, self.since, PAGE).await?;
            let mut events = page.events.iter();
            for (position, many) in &page.commits {
                for event in events.by_ref().take(*many) {
                    all.extend(self.hear(*position, event));
                }
            }
            self.at = self.at.max(page.next);
            if page.events.len() < PAGE || self.at >= upto {
                return Ok(all);
            }
        }
    }

    fn hear(&mut self, position: Position, event: &Transition) -> Option<Told> {
        let told = self.crashes.hear(event).filter(|it| it.at >= self.since.plus(WITHIN))?;
        self.told.insert((position, event.task), told.clone());
        if self.told.len() > REMEMBERED
            && let Some((_, gone)) = self.told.pop_first()
        {
            self.sure_from = self.sure_from.max(gone.at.plus(HOUR));
        }
        Some(told)
    }
}

impl Crashing {
    /// A commit of this server, at `position`, quarantined tasks.
    pub fn rumour(&self, position: Position) {
        self.rumour.fetch_max(position.0, Ordering::AcqRel);
        self.look.notify_one();
    }

    /// The types that are crashing now, with the last word on each.
    pub async fn now(&self, inside: &Inside) -> Result<Vec<(Box<str>, Told)>, StoreError> {
        let mut known = self.known.lock().await;
        let known = catch_up(&mut known, inside, Position(u64::MAX)).await?;
        let now = inside.store.now();
        known.types.retain(|_, it| it.holds(now));
        Ok(known.types.iter().map(|(name, it)| (name.clone(), it.clone())).collect())
    }

    /// What the events of a page tell of types: which event, by its place in the page.
    pub async fn told_by(&self, inside: &Inside, page: &EventPage) -> Result<HashMap<usize, Told>, StoreError> {
        let Some(first) = page.events.iter().find(|it| is_crash_loop(it)) else { return Ok(HashMap::new()) };
        let mut known = self.known.lock().await;
        let known = catch_up(&mut known, inside, page.next).await?;
        // Times within a page may be a little out of order where several servers commit.
        let since = quarantine::since(first.at.minus(WITHIN));
        if since.plus(WITHIN) >= known.reading.sure_from {
            return Ok(of(&known.reading, page));
        }
        let mut again = Reading::from(since);
        again.go_on(inside, page.next).await?;
        Ok(of(&again, page))
    }
}

fn of(reading: &Reading, page: &EventPage) -> HashMap<usize, Told> {
    let positions = page.commits.iter().flat_map(|(position, many)| std::iter::repeat_n(*position, *many));
    let found = page.events.iter().zip(positions).enumerate().filter(|(_, (event, _))| is_crash_loop(event));
    found.filter_map(|(index, (event, at))| Some((index, reading.told.get(&(at, event.task))?.clone()))).collect()
}

/// Reads what the log has had since the last time, and says what is new.
async fn catch_up<'k>(
    known: &'k mut Option<Known>,
    inside: &Inside,
    upto: Position,
) -> Result<&'k mut Known, StoreError> {
    let begin = || {
        // An hour more, so that what was told within the last hour is known.
        let since = quarantine::since(inside.store.now().minus(HOUR));
        Known { reading: Reading::from(since), types: BTreeMap::new() }
    };
    let known = known.get_or_insert_with(begin);
    if known.reading.at >= upto {
        return Ok(known);
    }
    let now = inside.store.now();
    for told in known.reading.go_on(inside, upto).await? {
        if told.holds(now) {
            let Told { task_type, queue, tasks, .. } = &told;
            tracing::warn!(%task_type, %queue, tasks, "tasks of a type kill their workers and are quarantined");
        }
        known.types.insert(told.task_type.clone(), told);
    }
    known.types.retain(|_, it| it.holds(now));
    Ok(known)
}

/// Says at once what this server's own commits tell.
pub(crate) async fn run(inside: Arc<Inside>) {
    let crashing = &inside.crashes;
    let mut soon = SOON;
    loop {
        crashing.look.notified().await;
        loop {
            let upto = Position(crashing.rumour.load(Ordering::Acquire));
            let read = catch_up(&mut *crashing.known.lock().await, &inside, upto).await.map(|it| it.reading.at >= upto);
            match read {
                Ok(true) => break soon = SOON,
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "the event log was not read"),
            }
            sleep(inside.ids.jittered(soon)).await;
            soon = (soon * 2).min(LOOK_AT_LEAST);
        }
    }
}
