//! The only door into the engine: a cheap clone of one shared inside.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tasklane_core::accept::{Accepted, NewTask, Submission};
use tasklane_core::audit::{Actor, Deed, Thing};
use tasklane_core::error::StoreError;
use tasklane_core::event::{Cursor, EventFilter, Position};
use tasklane_core::hand::Hand;
use tasklane_core::lease::LeaseKey;
use tasklane_core::ports::store::{EventPage, LogPage, LogQuery, SharedStore, StoreStats, TaskFilter, TaskPage};
use tasklane_core::queue::{Counts, Queue, QueueState};
use tasklane_core::record::{Record, RecordQuery};
use tasklane_core::task::{Attempt, Facts, Lane, Task, TaskId};
use tasklane_core::time::Timestamp;
use tokio::time::timeout;

use crate::audit::Note;
use crate::calls::{
    Asker, HandCallError, LeaseCall, LeaseReply, Overview, ReportCall, ReportReply, RerunError, StreamError,
    SubmitError, Submitted, TypeOverview, Why, WorkerOverview,
};
use crate::inside::{Inside, lock};
use crate::options::Options;
use crate::stream::{self, EventStream, Following, TaskStream};
use crate::{accept, crashing, due, hand, hints, housekeeping, lease, metrics, mirror, overview, settle, tick, why};

/// How long the store may take to say that it is there.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// The engine's handle.
#[derive(Clone)]
pub struct Engine {
    inside: Arc<Inside>,
    actor: Option<Arc<Actor>>,
}

impl Engine {
    /// Starts the engine's loops over `store`. Must be called in a tokio runtime.
    pub fn start(store: SharedStore, options: Options) -> Self {
        let inside = Inside::new(store, options);
        tokio::spawn(due::run(Arc::clone(&inside)));
        let mut chores = housekeeping::start(&inside);
        chores.push(tokio::spawn(crashing::run(Arc::clone(&inside))));
        chores.push(tokio::spawn(tick::run(Arc::clone(&inside))));
        chores.push(tokio::spawn(mirror::run(Arc::clone(&inside))));
        if inside.is_shared {
            chores.push(tokio::spawn(hints::run(Arc::clone(&inside))));
            chores.push(tokio::spawn(stream::read_log(Arc::clone(&inside))));
        }
        *lock(&inside.chores) = chores;
        Self { inside, actor: None }
    }

    /// The same engine in somebody's hands: what he changes of what people set up is noted as his.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Self {
        Self { inside: Arc::clone(&self.inside), actor: Some(Arc::new(actor)) }
    }

    /// A page of what can be read of records: those that cannot be are left out, and the page is as long without them.
    pub(crate) async fn readable<T>(
        &self,
        mut query: RecordQuery,
        read: impl Fn(&Record) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut found, most) = (Vec::new(), query.most);
        loop {
            let page = self.inside.store.records().page(query.clone()).await?;
            let is_last = page.len() < query.most;
            query.after = page.last().map(|it| it.id).or(query.after);
            found.extend(page.iter().filter_map(&read));
            query.most = most.saturating_sub(found.len());
            if is_last || query.most == 0 {
                return Ok(found);
            }
        }
    }

    /// In whose hands it is.
    pub(crate) fn actor(&self) -> Option<&Arc<Actor>> {
        self.actor.as_ref()
    }

    /// A new id for a task, greater than every one this server drew before.
    pub fn draw_id(&self) -> TaskId {
        self.inside.ids.draw(self.now())
    }

    /// The store's clock.
    pub fn now(&self) -> Timestamp {
        self.inside.store.now()
    }

    /// Accepts a submission: on disk when this answers.
    ///
    /// # Errors
    /// Nothing of it was accepted.
    pub async fn submit(&self, submission: Submission) -> Result<Vec<Accepted>, SubmitError> {
        accept::submit(&self.inside, submission).await
    }

    /// Accepts one task and answers with it as it was accepted: on disk when this answers.
    ///
    /// # Errors
    /// It was not accepted.
    pub async fn submit_one(&self, task: NewTask) -> Result<Submitted, SubmitError> {
        accept::submit_one(&self.inside, task).await
    }

    /// Accepts submissions that stand alone, in one commit; an answer each.
    ///
    /// # Errors
    /// Nothing of any was accepted.
    pub async fn submit_each(
        &self,
        submissions: Vec<Submission>,
    ) -> Result<Vec<Result<Vec<Accepted>, SubmitError>>, StoreError> {
        accept::submit_each(&self.inside, submissions).await
    }

    /// Gives work to a worker, or waits for it. Dropped before it answered, what it would have got is released unspent.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn lease(&self, call: LeaseCall) -> Result<LeaseReply, StoreError> {
        lease::lease(&self.inside, call).await
    }

    /// Takes a worker's report, and gives it work if it wants some.
    ///
    /// # Errors
    /// The store did not answer; the report may be repeated.
    pub async fn report(&self, call: ReportCall) -> Result<ReportReply, StoreError> {
        settle::report(&self.inside, call).await
    }

    /// Releases, unspent, tasks whose worker's connection was found closed before the answer was written.
    ///
    /// # Errors
    /// The store did not answer; their leases will run out.
    pub async fn release(&self, tasks: Vec<LeaseKey>) -> Result<(), StoreError> {
        settle::release(&self.inside, tasks).await
    }

    /// Cancels, retries, reschedules, deletes or hides a task; answers with the task afterwards (before, if it was deleted).
    ///
    /// # Errors
    /// A rule refused it, or the store did not answer.
    pub async fn hand(&self, id: TaskId, action: Hand) -> Result<Task, HandCallError> {
        hand::hand(&self.inside, id, action).await
    }

    /// A new task with the input of an old one.
    ///
    /// # Errors
    /// No such task, or the new one was refused.
    pub async fn rerun(&self, id: TaskId) -> Result<Task, RerunError> {
        hand::rerun(&self.inside, id).await
    }

    /// The task, when it is final or `wait` is over; `None`: no such task. A `wait` of zero answers at once.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn wait(&self, id: TaskId, wait: Duration) -> Result<Option<Task>, StoreError> {
        hand::wait(&self.inside, id, wait).await
    }

    /// The tasks with these ids, in their order.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn tasks(&self, ids: Vec<TaskId>) -> Result<Vec<Option<Task>>, StoreError> {
        self.inside.store.tasks(ids).await
    }

    /// What is known of a task without its input; `None`: no such task.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn facts(&self, id: TaskId) -> Result<Option<Facts>, StoreError> {
        Ok(self.inside.store.facts(vec![id]).await?.pop().flatten())
    }

    /// A page of tasks with ids below `below`, newest first.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn list(&self, filter: TaskFilter, below: Option<TaskId>, limit: usize) -> Result<TaskPage, StoreError> {
        self.inside.store.list(filter, below, limit).await
    }

    /// The attempts of a task; `None`: no such task.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn attempts(&self, id: TaskId) -> Result<Option<Vec<Attempt>>, StoreError> {
        self.inside.store.attempts(id).await
    }

    /// Workers heard of lately, in the order of their names.
    pub fn workers(&self) -> Vec<WorkerOverview> {
        overview::workers(&self.inside)
    }

    /// Types that have tasks or that workers name, in the order of their names.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn types(&self) -> Result<Vec<TypeOverview>, StoreError> {
        overview::types(&self.inside).await
    }

    /// Everything in numbers.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn overview(&self) -> Result<Overview, StoreError> {
        overview::overview(&self.inside).await
    }

    pub(crate) fn inside(&self) -> Arc<Inside> {
        Arc::clone(&self.inside)
    }

    /// Why a task is not running; `None`: no such task.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn why(&self, id: TaskId, asker: Asker) -> Result<Option<Why>, StoreError> {
        why::why(&self.inside, id, asker).await
    }

    /// All queues but those of the system, or the one of this name.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn queues(&self, name: Option<Box<str>>) -> Result<Vec<Queue>, StoreError> {
        self.inside.store.queues(name).await
    }

    /// Pauses, resumes or drains a queue and answers with it afterwards; `None`: it never had a task.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn control(&self, queue: &str, to: QueueState) -> Result<Option<Queue>, StoreError> {
        let before = self.queues(Some(queue.into())).await?.first().map(|it| Thing::Queue(it.state));
        let after = Some(Thing::Queue(to));
        let note = self.noted(Note { deed: Deed::QueueControlled, what: queue, tenant: "", before, after });
        hand::control(&self.inside, queue, to, note).await
    }

    /// A queue, made if it never had a task.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn make_queue(&self, queue: &str) -> Result<Option<Queue>, StoreError> {
        hand::make_queue(&self.inside, queue).await
    }

    /// How many tasks the interface `origin` accepted (`""` is `/v1`), for this tenant or for all.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn counts(&self, origin: &str, tenant: Option<&str>) -> Result<Counts, StoreError> {
        self.inside.store.counts(origin.into(), tenant.map(Into::into)).await
    }

    /// Whether a worker heard of lately, one in the server included, serves this lane, or it had a task before: its
    /// workers may be on their way back.
    pub fn is_known(&self, lane: &Lane) -> bool {
        self.inside.workers.serve(lane) || self.inside.store.knows(lane)
    }

    /// How many workers, the one in the server included, were heard of lately.
    pub fn live_workers(&self) -> usize {
        self.inside.workers.live()
    }

    /// Events after `after`, at most about `limit`.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn events(&self, after: Position, limit: usize) -> Result<EventPage, StoreError> {
        self.inside.store.events(after, limit).await
    }

    /// A page of a task's log; `None`: no such task.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn logs(&self, id: TaskId, query: LogQuery) -> Result<Option<LogPage>, StoreError> {
        self.inside.store.logs(id, query).await
    }

    /// What happens to a task from now on, or from where `resume` says, to its end.
    ///
    /// # Errors
    /// No such task, too many streams, or the store did not answer.
    pub async fn follow(
        &self,
        id: TaskId,
        following: Following,
        resume: Option<Cursor>,
    ) -> Result<TaskStream, StreamError> {
        TaskStream::begin(&self.inside, id, following, resume).await
    }

    /// What happens to any task from now on, or from where `resume` says.
    ///
    /// # Errors
    /// Too many streams, or the store did not answer.
    pub async fn subscribe(&self, filter: EventFilter, resume: Option<Cursor>) -> Result<EventStream, StreamError> {
        EventStream::begin(&self.inside, filter, resume).await
    }

    /// Ends every open stream; each can be taken up again at another server, or this one after its restart.
    pub fn end_streams(&self) {
        self.inside.watches.end();
    }

    /// Sizes of the store.
    ///
    /// # Errors
    /// The store did not answer.
    pub async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.inside.store.stats().await
    }

    /// Whether the engine takes work; reads the store to know.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn ready(&self) -> Result<StoreStats, String> {
        if self.inside.is_draining() {
            return Err("the server is stopping".to_owned());
        }
        let stats = timeout(READY_WITHIN, self.stats()).await;
        let stats = stats.map_err(|_| "the store does not answer".to_owned())?.map_err(|error| error.to_string())?;
        // Reads may go on where commits do not: at a database's standby, say.
        if self.inside.outage.is_now() {
            return Err("the store takes no commits".to_owned());
        }
        Ok(stats)
    }

    /// Ends, with why, once the store can do nothing more until it is opened anew.
    pub async fn broken(&self) -> String {
        self.inside.store.broken().await
    }

    /// Every metric of the engine in the OpenMetrics text format.
    pub async fn metrics(&self) -> String {
        metrics::render(&self.inside).await
    }

    /// Stops handing out work and answers parked lease requests with nothing; submits, reports and reads go on.
    pub fn drain(&self) {
        self.inside.draining.store(true, Ordering::Release);
        self.inside.dismiss(self.inside.parked.take_all());
    }

    /// Ends the engine's loops and closes the store. Callers that wait are answered with what there is.
    pub async fn stop(&self) {
        self.drain();
        self.end_streams();
        self.inside.stopped.store(true, Ordering::Release);
        self.inside.stopping.notify_waiters();
        lock(&self.inside.chores).drain(..).for_each(|chore| chore.abort());
        self.inside.store.close().await;
    }
}
