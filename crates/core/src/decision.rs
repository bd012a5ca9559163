//! What is to become of a kept task, and how it is carried out on the task. Every store applies decisions by
//! [`Task::apply`] or by a statement that does the same; the conformance suite holds them together.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::event::Transition;
use crate::lease::Lease;
use crate::outcome::Failure;
use crate::state::{Reason, State};
use crate::task::{Attempt, Spec, Task};
use crate::time::Timestamp;

/// Where a task goes, with what that state needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// May start now, at the end of its lane.
    Queued,
    /// May start now, at the place it had.
    QueuedAgain,
    /// May start after this long.
    Scheduled(Duration),
    /// May be tried again after this long.
    Retrying(Duration),
    /// Final.
    Succeeded,
    /// Final.
    Failed,
    /// Final.
    Cancelled,
    /// Final.
    Expired,
}

impl Next {
    /// The state without its data.
    pub const fn state(self) -> State {
        match self {
            Self::Queued | Self::QueuedAgain => State::Queued,
            Self::Scheduled(_) => State::Scheduled,
            Self::Retrying(_) => State::Retrying,
            Self::Succeeded => State::Succeeded,
            Self::Failed => State::Failed,
            Self::Cancelled => State::Cancelled,
            Self::Expired => State::Expired,
        }
    }
}

/// What is to become of a task, and why. The counters are what they will be afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Where it goes.
    pub to: Next,
    /// Why.
    pub reason: Reason,
    /// Charged attempts.
    pub spent: u32,
    /// Attempts in a row ended by a dying worker.
    pub crashes: u32,
    /// The crash-loop guard's flag.
    pub quarantined: bool,
    /// The result of the attempt, if it had one.
    pub result: Option<Bytes>,
    /// The failure of the attempt, or of the task.
    pub failure: Option<Failure>,
    /// A changed spec, where a hand changed it.
    pub spec: Option<Arc<Spec>>,
}

/// What applying a decision leaves to be written besides the task itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The event.
    pub transition: Transition,
    /// The attempt that just ended, where the task goes on (a final task's row is its own last attempt), or where its
    /// result did not become the task's.
    pub ended: Option<Attempt>,
}

impl Task {
    /// Carries out `decision` at `now`.
    pub fn apply(&mut self, decision: Decision, now: Timestamp) -> Applied {
        let from = self.facts.state;
        let to = decision.to.state();
        let ended = if from == State::Running {
            Some(self.ended_attempt(&decision, now)).filter(|attempt| !to.is_final() || attempt.result.is_some())
        } else if from.is_final() {
            self.last_attempt()
        } else {
            None
        };
        self.facts.state = to;
        self.turn = None;
        self.facts.spent = decision.spent;
        self.facts.crashes = decision.crashes;
        self.facts.lease = None;
        self.facts.run_at = None;
        self.facts.cancel_requested &= to.is_final();
        self.reason = decision.reason;
        self.quarantined = decision.quarantined;
        self.failure = decision.failure;
        self.result = None;
        self.finished_at = to.is_final().then_some(now);
        if let Some(spec) = decision.spec {
            self.facts.spec = spec;
        }
        match decision.to {
            Next::Queued => (self.rank, self.queued_at) = (now, Some(now)),
            Next::QueuedAgain => self.queued_at = Some(now),
            Next::Scheduled(after) | Next::Retrying(after) => self.facts.run_at = Some(now.plus(after)),
            Next::Succeeded => self.result = decision.result,
            Next::Failed | Next::Cancelled | Next::Expired => {}
        }
        Applied { transition: self.transition(Some(from), now), ended }
    }

    /// Begins an attempt under `lease`; `worker` is its name, unless it is kept elsewhere.
    pub fn start(&mut self, worker: Option<&str>, lease: Lease, now: Timestamp) {
        self.facts.state = State::Running;
        self.turn = None;
        self.facts.attempt += 1;
        self.facts.started_at = Some(now);
        self.facts.lease = Some(lease);
        self.reason = Reason::Leased;
        self.progress = None;
        self.worker = worker.map(Into::into);
    }

    /// The event of having come from `from` to where it stands.
    pub fn transition(&self, from: Option<State>, at: Timestamp) -> Transition {
        Transition {
            task: self.facts.id,
            lane: Arc::clone(&self.facts.lane),
            scope: Arc::clone(&self.facts.scope),
            from,
            to: self.facts.state,
            reason: self.reason,
            attempt: self.facts.attempt,
            at,
        }
    }

    /// The running attempt as the history keeps it, ended at `now` by `decision`.
    fn ended_attempt(&self, decision: &Decision, now: Timestamp) -> Attempt {
        let kept_result = decision.result.as_ref().filter(|_| decision.to != Next::Succeeded);
        Attempt {
            attempt: self.facts.attempt,
            worker: self.worker.clone(),
            started_at: self.facts.started_at,
            ended_at: Some(now),
            reason: Some(decision.reason),
            charged: decision.spent > self.facts.spent,
            failure: decision.failure.clone(),
            result: kept_result.map(|json| String::from_utf8_lossy(json).into()),
        }
    }

    /// The last attempt as this row tells it: running, or the one that ended the task. `None` where there was none. The
    /// history may hold it already, and then the history is right: see [`history`].
    pub fn last_attempt(&self) -> Option<Attempt> {
        let running = self.facts.state == State::Running;
        let ended_with_it = self.facts.state.is_final() && self.facts.started_at.is_some();
        (running || ended_with_it).then(|| Attempt {
            attempt: self.facts.attempt,
            worker: self.worker.clone(),
            started_at: self.facts.started_at,
            ended_at: self.finished_at,
            reason: (!running).then_some(self.reason),
            charged: !running && self.reason != Reason::Cancelled,
            failure: self.failure.clone().filter(|_| !running),
            result: None,
        })
    }
}

/// A task's attempts in order: those the history holds, and the last one where only the task's own row tells of it.
pub fn history(mut kept: Vec<Attempt>, task: &Task) -> Vec<Attempt> {
    if let Some(last) = task.last_attempt()
        && kept.iter().all(|it| it.attempt != last.attempt)
    {
        kept.push(last);
    }
    kept
}
