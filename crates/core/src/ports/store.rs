//! The store port. All writes go through one door: a [`Batch`] holds, verb by verb in the order of the road, what many
//! callers want, and is one commit. Reads stand beside it.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::accept::{Accepted, Refused, Submission};
use crate::checkpoint::{Checkpoint, Checkpointed};
use crate::error::{HandError, StoreError};
use crate::event::{Position, Transition};
use crate::gate::{Gate, GateDetail, GateName, SetGate};
use crate::hand::Hand;
use crate::lease::{LeaseKey, LeaseRequest, Leased};
use crate::log::{Level, Line, LineId, LogLine};
use crate::ports::BoxFuture;
use crate::ports::records::Records;
use crate::queue::{Counts, LaneCounts, Queue, QueueState};
use crate::record::{RecordSet, SetRecord};
use crate::retention::Retention;
use crate::settle::{Settled, Settlement};
use crate::state::State;
use crate::task::{Attempt, Facts, Lane, Progress, Task, TaskId};
use crate::time::Timestamp;
use crate::webhook::outbox::Subscriptions;

/// What one commit does. A store carries the verbs out in the order of the members, and each verb's items in their order.
/// Items stand alone: one that is refused touches no other.
#[derive(Debug, Default)]
pub struct Batch {
    /// Leases to begin anew.
    pub renew: Vec<LeaseKey>,
    /// Signs of life, with progress to be kept.
    pub progress: Vec<(LeaseKey, Option<Progress>)>,
    /// Cancellations that reached their worker: its time to stop begins.
    pub grace: Vec<LeaseKey>,
    /// What running attempts say; a sign of life, too.
    pub logs: Vec<(LeaseKey, Vec<Line>)>,
    /// What running attempts put aside; a sign of life, too.
    pub checkpoints: Vec<(LeaseKey, Checkpoint)>,
    /// What becomes of running tasks.
    pub settle: Vec<Settlement>,
    /// Actions by hand.
    pub hand: Vec<(TaskId, Hand)>,
    /// Queues to pause, resume or drain. A queue without tasks yet is made.
    pub control: Vec<(Box<str>, QueueState)>,
    /// Gates to define or to remove. What runs keeps its slots; what holds from then on is asked of the next leases.
    pub gate: Vec<SetGate>,
    /// Records to make, change or remove.
    pub record: Vec<SetRecord>,
    /// What to accept.
    pub accept: Vec<Submission>,
    /// Move at most so many tasks whose moment has come; 0 is none.
    pub promote: usize,
    /// Who wants work.
    pub lease: Vec<LeaseRequest>,
    /// Settle at most so many running tasks whose lease or time is over; 0 is none.
    pub rescue: usize,
    /// 64 random bits for the back-off of rescued tasks and the ids of deliveries.
    pub seed: u64,
    /// Remove final tasks that need not be kept.
    pub sweep: Option<Sweep>,
    /// Who is told of what happens in this commit, besides those whom tasks name themselves: deliveries are accepted at its end.
    pub subscriptions: Option<Arc<Subscriptions>>,
}

/// One bounded step of removing what need not be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// How long what is kept.
    pub retention: Retention,
    /// Most rows examined.
    pub limit: usize,
    /// Bytes in use and in all of the disk the store is on, if known; past the retention's share the oldest go.
    pub disk: Option<(u64, u64)>,
}

/// What a commit answers: a list a verb, as long as the verb's own.
#[derive(Debug, Default)]
pub struct Answers {
    /// Whether the lease still held.
    pub renew: Vec<bool>,
    /// Whether the lease still held.
    pub progress: Vec<bool>,
    /// Whether the lease still held.
    pub grace: Vec<bool>,
    /// What was kept.
    pub logs: Vec<Logged>,
    /// What happened.
    pub checkpoints: Vec<Checkpointed>,
    /// What happened.
    pub settle: Vec<Settled>,
    /// The task afterwards (before, if it was deleted; hidden, if it was hidden).
    pub hand: Vec<Result<Task, HandError>>,
    /// Whether the word counted: a stronger one stands, or there was nothing to remove.
    pub gate: Vec<bool>,
    /// What became of each change.
    pub record: Vec<RecordSet>,
    /// A place in this list for each task, in order.
    pub accept: Vec<Result<Vec<Accepted>, Refused>>,
    /// How many tasks were moved; as many as asked for: there may be more.
    pub promote: usize,
    /// What each got.
    pub lease: Vec<Vec<Leased>>,
    /// How many were settled; as many as asked for: there may be more.
    pub rescue: usize,
    /// How many tasks were removed.
    pub sweep: usize,
    /// Every transition of the commit, those of one task in their order.
    pub transitions: Vec<Transition>,
    /// Lanes in which tasks that were queued before can start now, and at least how many more than the transitions of the
    /// lane tell (those to `queued` less those to `running`): a gate of theirs got room in this commit, and nobody took it
    /// in the same one. Room that comes by time alone is told by a batch that promotes. It may tell too much, never too
    /// little.
    pub opened: Vec<(Arc<Lane>, usize)>,
    /// The next moment at which some task is due for promote or rescue or a gate that tasks wait for opens by time, as a
    /// distance from the commit. A shared store knows it of a batch that promotes or rescues, else of what the commit
    /// itself did.
    pub next_due: Option<Duration>,
    /// Where the commit stands in the event log.
    pub position: Position,
}

/// What the store says of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logged {
    /// So many were kept; the others were repetitions, or over the limit.
    Held {
        /// Lines kept.
        kept: usize,
        /// The last of them says that nothing more is kept.
        cut: bool,
    },
    /// The lease is no longer valid: nothing was written.
    Lost,
    /// There is no room on the disk but for what ends tasks.
    DiskFull,
}

/// Which log lines of a task a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogQuery {
    /// Lines after this one.
    pub after: Option<LineId>,
    /// Of this attempt only.
    pub attempt: Option<u32>,
    /// This grave at least.
    pub level: Level,
    /// At most so many.
    pub limit: usize,
}

impl Default for LogQuery {
    fn default() -> Self {
        Self { after: None, attempt: None, level: Level::Debug, limit: crate::limit::LOG_PAGE_LINES }
    }
}

/// A page of a task's log, in the order it was said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogPage {
    /// The lines; fewer than asked for, even none, where [`crate::limit::LOG_PAGE_BYTES`] or
    /// [`crate::limit::READ_ROWS`] were reached.
    pub lines: Vec<LogLine>,
    /// Where to go on: lines after this one. `None` is the end for now.
    pub next: Option<LineId>,
}

/// Whether a list shows hidden tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// No.
    #[default]
    Without,
    /// Beside the others.
    With,
    /// Them alone.
    Only,
}

impl Hidden {
    /// Whether it shows a task that is hidden since `hidden_at`, or is not.
    pub fn shows(self, hidden_at: Option<Timestamp>) -> bool {
        match self {
            Self::Without => hidden_at.is_none(),
            Self::With => true,
            Self::Only => hidden_at.is_some(),
        }
    }
}

/// Which tasks a list shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskFilter {
    /// In this state.
    pub state: Option<State>,
    /// In one of these states; empty is any. A word of a dialect may stand for several.
    pub states: Vec<State>,
    /// Of this type.
    pub task_type: Option<Box<str>>,
    /// In this queue. `None` leaves out system queues.
    pub queue: Option<Box<str>>,
    /// Of this tenant.
    pub tenant: Option<Box<str>>,
    /// Accepted by this interface; `""` is `/v1`, `None` is all.
    pub origin: Option<Box<str>>,
    /// Hidden or not.
    pub hidden: Hidden,
    /// With all of these labels.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// Whose id begins with this, or whose type, unique key or a label's value holds it.
    pub search: Option<Box<str>>,
    /// Accepted at or after this.
    pub created_after: Option<Timestamp>,
    /// Accepted before this.
    pub created_before: Option<Timestamp>,
}

/// A page of tasks, newest (greatest id) first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskPage {
    /// At most as many as asked for; fewer, even none, where [`crate::limit::READ_ROWS`] were examined or
    /// [`crate::limit::LIST_BYTES`] were reached.
    pub tasks: Vec<Task>,
    /// Where to go on: tasks with a smaller id. `None` is the end.
    pub next: Option<TaskId>,
}

/// Events of the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventPage {
    /// In order.
    pub events: Vec<Transition>,
    /// The commits they were made in, and how many each has here; a commit is never split.
    pub commits: Vec<(Position, usize)>,
    /// Where to go on.
    pub next: Position,
    /// The log no longer reaches back to where was asked for.
    pub reset: bool,
}

impl EventPage {
    /// The page of somebody whose place is not in the log any more, or never was: he begins anew, behind `last`.
    pub fn anew(last: Position) -> Self {
        Self { next: last, reset: true, ..Self::default() }
    }
}

/// What stands before a task that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The task.
    pub task: Task,
    /// The state of its queue.
    pub queue: QueueState,
    /// How many tasks of its lane come before it and are not blocked by gates, counted up to a limit; `None` unless it is
    /// queued or blocked by a gate.
    pub ahead: Option<u64>,
    /// The count stopped at the limit.
    pub ahead_is_more: bool,
    /// The gates it passes that are full, in their order, where it is queued but for them.
    pub gates: Vec<Gate>,
}

impl Standing {
    /// Of a task with so many `ahead`, where they were counted a little past `most`, that no gate blocks.
    pub fn new(task: Task, queue: QueueState, ahead: Option<u64>, most: u64) -> Self {
        let ahead_is_more = ahead.is_some_and(|it| it > most);
        Self { task, queue, ahead: ahead.map(|it| it.min(most)), ahead_is_more, gates: Vec::new() }
    }
}

/// Sizes of the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreStats {
    /// Tasks in each state.
    pub counts: Counts,
    /// Lanes known.
    pub lanes: usize,
    /// Bytes of the main file or relation.
    pub bytes: u64,
    /// Bytes of the write-ahead log; 0 where it is not this store's alone.
    pub wal_bytes: u64,
    /// Commits since start.
    pub commits: u64,
    /// Slots of gates that were not held by what runs, and were set right since start: none but for a fault. Of a shared
    /// store those that this server set right.
    pub slots_regained: u64,
    /// How far the machine's wall clock was behind the last stamp in the store when it was opened.
    pub clock_behind: Duration,
}

/// What other servers did to the same store. A hint may come late, twice or not at all: who acts on it also looks by
/// himself every so often.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hint {
    /// Lanes in which there may be something to take.
    pub lanes: Vec<Arc<Lane>>,
    /// Tasks that became final.
    pub ended: Vec<TaskId>,
    /// Somebody asked to cancel a running task.
    pub cancels: bool,
    /// The last commit of the event log.
    pub position: Position,
    /// Hints were lost, or were too many to tell: anything may have happened.
    pub all: bool,
}

/// A running attempt that somebody asked to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelAsked {
    /// Its task.
    pub id: TaskId,
    /// Its number.
    pub attempt: u32,
    /// Who runs it.
    pub worker: Box<str>,
}

/// Keeps tasks.
///
/// A commit speaks of tasks as they are kept: one behind a full gate is queued, in its answers and in the event log. Reads
/// show it as blocked ([`crate::gate::shown`], [`crate::state::Reason::GateFull`]): in itself, in lists and what they are
/// filtered by, in counts, and in what stands before it.
pub trait Store: Send + Sync + 'static {
    /// Makes one commit of `batch`, on disk before it answers.
    ///
    /// # Errors
    /// Nothing of the batch happened; of a shared store all of it may have, where its answer was lost. A full disk is no error of the commit where the rest could be written without its
    /// submissions: then these are refused ([`crate::error::Refusal::DiskFull`]).
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Result<Answers, StoreError>>;

    /// The tasks with these ids, in their order. A hidden task is none, here and wherever one task is asked for.
    fn tasks(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Task>>, StoreError>>;

    /// A page of tasks with ids below `below`, newest first.
    fn list(
        &self,
        filter: TaskFilter,
        below: Option<TaskId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<TaskPage, StoreError>>;

    /// The attempts of a task in order, the last included; `None`: no such task.
    fn attempts(&self, id: TaskId) -> BoxFuture<'_, Result<Option<Vec<Attempt>>, StoreError>>;

    /// A page of a task's log; `None`: no such task.
    fn logs(&self, id: TaskId, query: LogQuery) -> BoxFuture<'_, Result<Option<LogPage>, StoreError>>;

    /// What stands before a task; counts at most `most` of those ahead.
    fn standing(&self, id: TaskId, most: u64) -> BoxFuture<'_, Result<Option<Standing>, StoreError>>;

    /// Every queue that ever had a task, system queues only where `name` asks for one, in order of names.
    fn queues(&self, name: Option<Box<str>>) -> BoxFuture<'_, Result<Vec<Queue>, StoreError>>;

    /// Every lane that has tasks, but for those of system queues, in the order of types, then queues.
    fn lanes(&self) -> BoxFuture<'_, Result<Vec<LaneCounts>, StoreError>>;

    /// How many tasks this interface accepted (as in [`TaskFilter::origin`]) and for this tenant, `None` for all: without
    /// counting rows.
    fn counts(&self, origin: Box<str>, tenant: Option<Box<str>>) -> BoxFuture<'_, Result<Counts, StoreError>>;

    /// A page of at most `most` gates that somebody defined or a task named, in the order of names, those after `after`.
    fn gates(&self, after: Option<GateName>, most: usize) -> BoxFuture<'_, Result<Vec<Gate>, StoreError>>;

    /// A gate with those that hold its slots; `None`: nobody defined it and no task named it.
    fn gate(&self, name: GateName) -> BoxFuture<'_, Result<Option<GateDetail>, StoreError>>;

    /// Reads records.
    fn records(&self) -> &dyn Records;

    /// Whether this lane ever had a task; known without reading.
    fn knows(&self, lane: &Lane) -> bool;

    /// Whether other servers may write to what this store keeps. Where none can, what follows need not be asked, as every
    /// commit's answers tell it: the hints never come and the reads find nothing.
    fn is_shared(&self) -> bool {
        false
    }

    /// The next hint of what other servers did; never, where the store is not shared. One caller at a time.
    fn hint(&self) -> BoxFuture<'_, Hint> {
        Box::pin(pending())
    }

    /// Those of `ids` that are final, or are no more.
    fn ended(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<TaskId>, StoreError>> {
        drop(ids);
        Box::pin(ready(Ok(Vec::new())))
    }

    /// Those of `keys` whose lease is no longer valid.
    fn lost(&self, keys: Vec<LeaseKey>) -> BoxFuture<'_, Result<Vec<LeaseKey>, StoreError>> {
        drop(keys);
        Box::pin(ready(Ok(Vec::new())))
    }

    /// What decisions about these tasks depend on, in their order: without payloads and results, and of a shared store also
    /// where these are damaged.
    fn facts(&self, ids: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Facts>>, StoreError>>;

    /// Running attempts that somebody asked to cancel, at most [`crate::limit::READ_ROWS`].
    fn cancels(&self) -> BoxFuture<'_, Result<Vec<CancelAsked>, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    /// Events after `after`, at most about `limit`.
    fn events(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<EventPage, StoreError>>;

    /// Of the events after `after` and from `since` on those by which a row of crashes quarantined a task
    /// ([`crate::quarantine::is_crash_loop`]), whole commits until there are `most`: without reading the others one by one.
    /// With fewer than `most` the page ends where the log does; there is no reset, as what the log has lost is old.
    fn crash_loops(
        &self,
        after: Position,
        since: Timestamp,
        most: usize,
    ) -> BoxFuture<'_, Result<EventPage, StoreError>>;

    /// Sizes and counts, without counting rows.
    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>>;

    /// The store's own clock.
    fn now(&self) -> Timestamp;

    /// Ends, with why, once the store can do nothing more until it is opened anew: nobody knows any more what of it is on
    /// disk. From then on commits answer [`StoreError::Away`].
    fn broken(&self) -> BoxFuture<'_, String> {
        Box::pin(pending())
    }

    /// Finishes what was begun and closes; later calls answer [`StoreError::Away`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A shared store.
pub type SharedStore = Arc<dyn Store>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::queued;

    #[test]
    fn those_ahead_are_told_up_to_a_limit() {
        let standing = |ahead| Standing::new(queued(), QueueState::Active, ahead, 10);
        let told = [None, Some(0), Some(10), Some(11)].map(standing).map(|it| (it.ahead, it.ahead_is_more));
        assert_eq!(told, [(None, false), (Some(0), false), (Some(10), false), (Some(10), true)]);
    }

    #[test]
    fn a_list_shows_the_hidden_as_it_is_told() {
        let shown = |hidden: Hidden| (hidden.shows(None), hidden.shows(Some(Timestamp::EPOCH)));
        let all = [Hidden::Without, Hidden::With, Hidden::Only].map(shown);
        assert_eq!(all, [(true, false), (true, true), (false, true)]);
    }
}
