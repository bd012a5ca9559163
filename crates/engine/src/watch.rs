//! Who follows what happens: places for streams, ears at single tasks, and pages of the event log that many streams read.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tasklane_core::error::StoreError;
use tasklane_core::event::{Position, Transition};
use tasklane_core::ports::store::EventPage;
use tasklane_core::task::{Progress, Task, TaskId};
use tokio::sync::{Notify, watch};

use crate::inside::{Inside, lock};

/// Most transitions an ear remembers; past it the stream reads the event log.
const REMEMBERED: usize = 100;
/// Events of a page of the log; it is full if it has so many, or more, as commits are not cut.
pub(crate) const PAGE: usize = 1_000;
/// Pages kept for streams that are not far behind the first.
const PAGES: usize = 4;

pub(crate) struct Watches {
    most: usize,
    open: AtomicUsize,
    ears: Mutex<HashMap<TaskId, Vec<Arc<Ear>>>>,
    /// How many tasks have ears, to be looked at without the lock.
    tasks: AtomicUsize,
    position: watch::Sender<Position>,
    /// Where the log of a shared store is said to end, and what tells its reader to look.
    rumour: AtomicU64,
    look: Notify,
    /// Where that reader stands, while there are streams.
    pub reading: Mutex<Option<Reading>>,
    ended: watch::Sender<bool>,
    /// One read serves every stream that asks for the same page.
    pages: tokio::sync::Mutex<VecDeque<(Position, Arc<EventPage>)>>,
}

/// What was heard of a task since the last look.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    pub transitions: Vec<(Position, Transition)>,
    pub progress: Option<Progress>,
    pub logged: bool,
    /// More transitions than are remembered.
    pub missed: bool,
    /// What a look at the store found.
    pub looked: Option<Arc<Option<Task>>>,
}

impl Heard {
    /// Whether there is nothing but a look.
    pub fn is_silent(&self) -> bool {
        self.transitions.is_empty() && self.progress.is_none() && !self.logged && !self.missed
    }
}

/// The part of a shared store's log that was read without a gap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub since: Position,
    pub at: Position,
}

/// Hears what happens to one task.
#[derive(Default)]
pub(crate) struct Ear {
    /// The task runs by way of another server, where what it says is heard.
    is_elsewhere: AtomicBool,
    bell: Notify,
    heard: Mutex<Heard>,
}

impl Ear {
    fn hear(&self, tell: impl FnOnce(&mut Heard)) {
        tell(&mut lock(&self.heard));
        self.bell.notify_one();
    }

    /// Whether the task runs by way of another server: then it is looked at every second.
    pub fn look_elsewhere(&self, is_elsewhere: bool) {
        self.is_elsewhere.store(is_elsewhere, Ordering::Relaxed);
    }

    /// What was heard since.
    pub fn take(&self) -> Heard {
        std::mem::take(&mut *lock(&self.heard))
    }

    /// Ends when there is something to take, or was since the last call.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl Watches {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            open: AtomicUsize::new(0),
            ears: Mutex::default(),
            tasks: AtomicUsize::new(0),
            position: watch::Sender::new(Position(0)),
            rumour: AtomicU64::new(0),
            look: Notify::new(),
            reading: Mutex::default(),
            ended: watch::Sender::new(false),
            pages: tokio::sync::Mutex::default(),
        }
    }

    /// How many streams are open.
    pub fn len(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Most streams.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Whether anybody follows a single task.
    pub fn any_task(&self) -> bool {
        self.tasks.load(Ordering::Relaxed) > 0
    }

    /// A shared store's log may reach to here; readable it may be a little later, as commits before it are under way.
    pub fn rumour(&self, position: Position) {
        if self.rumour.fetch_max(position.0, Ordering::AcqRel) < position.0 {
            self.look();
        }
    }

    /// Where the log is said to end.
    pub fn rumoured(&self) -> Position {
        Position(self.rumour.load(Ordering::Acquire))
    }

    /// There may be something to read in the log of a shared store.
    pub fn look(&self) {
        self.look.notify_one();
    }

    /// Ends when there may be.
    pub async fn to_look(&self) {
        self.look.notified().await;
    }

    /// Ears are to hear everything of a shared store after `from`.
    pub fn hear_from(&self, from: Position) {
        let mut reading = lock(&self.reading);
        match &mut *reading {
            Some(reading) if reading.since <= from => return,
            // What others hear twice they know.
            Some(reading) => *reading = Reading { since: from, at: from.min(reading.at) },
            None => *reading = Some(Reading { since: from, at: from }),
        }
        drop(reading);
        self.look();
    }

    /// Something is left out.
    pub fn missed(&self) {
        for ear in lock(&self.ears).values().flatten() {
            ear.hear(|heard| heard.missed = true);
        }
    }

    /// A commit made transitions.
    pub fn moved(&self, position: Position, transitions: &[Transition]) {
        self.position.send_if_modified(|known| {
            let later = position > *known;
            *known = position.max(*known);
            later
        });
        if !self.any_task() {
            return;
        }
        let ears = lock(&self.ears);
        for transition in transitions {
            for ear in ears.get(&transition.task).into_iter().flatten() {
                ear.hear(|heard| {
                    heard.missed |= heard.transitions.len() >= REMEMBERED;
                    if !heard.missed {
                        heard.transitions.push((position, transition.clone()));
                    }
                });
            }
        }
    }

    /// A running task said how far it is.
    pub fn progressed(&self, id: TaskId, progress: Progress) {
        for ear in lock(&self.ears).get(&id).into_iter().flatten() {
            ear.hear(|heard| heard.progress = Some(progress.clone()));
        }
    }

    /// A running task said something.
    pub fn logged(&self, id: TaskId) {
        if self.any_task() {
            for ear in lock(&self.ears).get(&id).into_iter().flatten() {
                ear.hear(|heard| heard.logged = true);
            }
        }
    }

    /// The tasks that are followed here and run by way of other servers.
    pub fn elsewhere(&self) -> Vec<TaskId> {
        if !self.any_task() {
            return Vec::new();
        }
        let is_elsewhere = |ears: &Vec<Arc<Ear>>| ears.iter().any(|it| it.is_elsewhere.load(Ordering::Relaxed));
        let ears = lock(&self.ears);
        let mut ids: Vec<_> = ears.iter().filter(|(_, ears)| is_elsewhere(ears)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// A look at the store found this of a task that runs elsewhere.
    pub fn looked(&self, id: TaskId, found: Option<Task>) {
        let found = Arc::new(found);
        for ear in lock(&self.ears).get(&id).into_iter().flatten() {
            if ear.is_elsewhere.load(Ordering::Relaxed) {
                ear.hear(|heard| heard.looked = Some(Arc::clone(&found)));
            }
        }
    }

    /// Ends every stream, also those that are begun later.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Becomes true when streams are to end.
    pub fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// Where the last commit stands that this server heard of.
    pub fn position(&self) -> watch::Receiver<Position> {
        self.position.subscribe()
    }

    /// Events after `after`.
    pub async fn page(&self, inside: &Inside, after: Position) -> Result<Arc<EventPage>, StoreError> {
        let mut pages = self.pages.lock().await;
        if let Some((_, page)) = pages.iter().find(|(from, _)| *from == after) {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(inside.store.events(after, PAGE).await?);
        if page.next > after && !page.reset {
            pages.push_back((after, Arc::clone(&page)));
            if pages.len() > PAGES {
                pages.pop_front();
            }
        }
        Ok(page)
    }
}

/// A stream's place among those that may be open; dropped, it is free.
pub(crate) struct Place(Arc<Inside>);

impl Place {
    /// `None`: all are taken.
    pub fn take(inside: &Arc<Inside>) -> Option<Self> {
        let Watches { most, open, .. } = &inside.watches;
        let free = |taken: usize| (taken < *most).then_some(taken + 1);
        if open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).is_err() {
            inside.metrics.limit_hit("streams");
            return None;
        }
        if inside.is_shared {
            inside.watches.look();
        }
        Some(Self(Arc::clone(inside)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let watches = &self.0.watches;
        if watches.open.fetch_sub(1, Ordering::Relaxed) == 1
            && let Ok(mut pages) = watches.pages.try_lock()
        {
            pages.clear();
        }
    }
}

/// An ear at a task; dropped, it is taken away.
pub(crate) struct Listening {
    inside: Arc<Inside>,
    id: TaskId,
    pub ear: Arc<Ear>,
}

impl Listening {
    /// From now on, what happens to the task is heard.
    pub fn to(inside: &Arc<Inside>, id: TaskId) -> Self {
        let ear = Arc::new(Ear::default());
        let mut ears = lock(&inside.watches.ears);
        ears.entry(id).or_default().push(Arc::clone(&ear));
        inside.watches.tasks.store(ears.len(), Ordering::Relaxed);
        drop(ears);
        Self { inside: Arc::clone(inside), id, ear }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut ears = lock(&self.inside.watches.ears);
        if let Some(of_task) = ears.get_mut(&self.id) {
            of_task.retain(|it| !Arc::ptr_eq(it, &self.ear));
            if of_task.is_empty() {
                ears.remove(&self.id);
            }
        }
        self.inside.watches.tasks.store(ears.len(), Ordering::Relaxed);
    }
}
