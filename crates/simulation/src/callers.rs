//! The callers: they submit, and submit again what was not answered, under the same id or key; they cancel, retry,
//! reschedule, delete, pause and wait, through whichever server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::accept::{Start, Submission};
use tasklane_core::error::Refusal;
use tasklane_core::hand::Hand;
use tasklane_core::queue::QueueState;
use tasklane_core::state::State;
use tasklane_engine::SubmitError;

use crate::ground::{Ground, lock};
use crate::net::{Answer, Back, Call, Gone, Request};
use crate::workload;

/// How long a caller waits before it asks again.
const PATIENCE: Duration = Duration::from_secs(2);

/// All callers.
pub struct Callers {
    ground: Arc<Ground>,
    servers: usize,
    number: u64,
    /// What was sent and not answered, and when it is sent again.
    pending: BTreeMap<u64, (Submission, Duration)>,
    /// What was answered, and whether for good.
    answered: Arc<Mutex<Vec<(u64, bool)>>>,
}

impl Callers {
    /// Callers of so many servers.
    pub fn new(ground: &Arc<Ground>, servers: usize) -> Self {
        let (ground, answered) = (Arc::clone(ground), Arc::default());
        Self { ground, servers, number: 0, pending: BTreeMap::new(), answered }
    }

    /// Whether every submit was answered.
    pub fn are_answered(&self) -> bool {
        self.pending.is_empty()
    }

    /// Sends again what was not answered.
    pub fn repeat(&mut self) {
        let now = self.ground.net.now();
        for (number, is_done) in std::mem::take(&mut *lock(&self.answered)) {
            if is_done {
                self.pending.remove(&number);
            } else if let Some(pending) = self.pending.get_mut(&number) {
                pending.1 = now;
            }
        }
        let due: Vec<_> = self.pending.iter().filter(|(_, it)| it.1 <= now).map(|(number, _)| *number).collect();
        for number in due {
            if let Some((submission, again)) = self.pending.get_mut(&number) {
                *again = now + PATIENCE;
                let (submission, back) = (submission.clone(), self.back(number));
                self.send(Call::Submit(submission), back);
            }
        }
    }

    /// A new submission.
    pub fn submit(&mut self) {
        let dice = &self.ground.dice;
        let size = if dice.chance(700) { 1 } else { 2 + dice.below(3) };
        let tasks = (0..size).map(|nth| workload::task(dice, self.ground.net.now(), self.number + nth)).collect();
        let submission = Submission { tasks };
        lock(&self.ground.ledger).sending(&submission);
        self.pending.insert(self.number, (submission, Duration::ZERO));
        self.number += size;
    }

    /// Somebody acts on a task.
    pub fn meddle(&self) {
        let dice = &self.ground.dice;
        let states = if dice.chance(700) { &[State::Running, State::Queued] } else { State::ALL };
        let Some(id) = lock(&self.ground.ledger).any(states, dice.bits()) else { return };
        let hand = match dice.below(10) {
            0..4 => Hand::Cancel,
            4 => Hand::Purge,
            5..7 => Hand::Retry,
            7 => Hand::Reschedule(Start::Now),
            8 => Hand::Reschedule(Start::After(dice.millis(0, 4_000))),
            _ => Hand::Delete,
        };
        self.send(Call::Hand(id, hand), Arc::new(|_| {}));
    }

    /// Somebody cancels a task, one that runs if there is one.
    pub fn cancel(&self) {
        if let Some(id) = lock(&self.ground.ledger).any(&[State::Running], self.ground.dice.bits()) {
            self.send(Call::Hand(id, Hand::Cancel), Arc::new(|_| {}));
        }
    }

    /// Somebody pauses or opens a queue.
    pub fn control(&self) {
        let to = *self.ground.dice.pick(&[QueueState::Active, QueueState::Paused, QueueState::Draining]);
        self.send(Call::Control((*self.ground.dice.pick(workload::QUEUES)).into(), to), Arc::new(|_| {}));
    }

    /// Every queue is opened, by every server.
    pub fn open_all(&self) {
        for queue in workload::QUEUES {
            for server in 0..self.servers {
                let call = Call::Control((*queue).into(), QueueState::Active);
                self.ground.send(Request { server, call, back: Arc::new(|_| {}), gone: Arc::default() });
            }
        }
    }

    /// Somebody waits for the end of a task.
    pub fn wait(&self) {
        let Some(id) = lock(&self.ground.ledger).any(State::ALL, self.ground.dice.bits()) else { return };
        let (ground, begun) = (Arc::clone(&self.ground), self.ground.net.now());
        let time = self.ground.dice.millis(0, 20_000);
        let back = move |answer| {
            if let Answer::Wait(Some(task)) = answer {
                lock(&ground.ledger).read(&task, begun, time);
            }
        };
        self.send(Call::Wait(id, time), Arc::new(back));
    }

    fn back(&self, number: u64) -> Back {
        let (answered, ground) = (Arc::clone(&self.answered), Arc::clone(&self.ground));
        Arc::new(move |answer| {
            let is_done = match answer {
                Answer::Submit(Ok(_)) => true,
                Answer::Submit(Err(SubmitError::Refused(refused))) => {
                    if let Refusal::IdTaken { .. } | Refusal::IdempotencyMismatch { .. } = refused.refusal {
                        lock(&ground.ledger)
                            .break_law(|| format!("a repeated submit was refused: {}", refused.refusal));
                    }
                    true
                }
                _ => false,
            };
            lock(&answered).push((number, is_done));
        })
    }

    fn send(&self, call: Call, back: Back) {
        let server = self.ground.dice.below(self.servers as u64) as usize;
        self.ground.send(Request { server, call, back, gone: Arc::<Gone>::default() });
    }
}
