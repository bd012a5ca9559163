//! What is on its way: calls to servers, answers, hints. Delays are drawn one by one, so that they overtake each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::accept::{Accepted, Submission};
use tasklane_core::hand::Hand;
use tasklane_core::ports::store::Hint;
use tasklane_core::queue::QueueState;
use tasklane_core::task::{Task, TaskId};
use tasklane_engine::{LeaseCall, ReportCall, SubmitError};
use tasklane_runner::{Reply, SourceError};
use tokio::sync::Notify;

use crate::ground::{Ground, lock};

/// What somebody asks of a server.
#[derive(Clone)]
pub enum Call {
    /// A worker wants work.
    Lease(LeaseCall),
    /// A worker reports.
    Report(ReportCall),
    /// A caller submits.
    Submit(Submission),
    /// A caller acts on a task.
    Hand(TaskId, Hand),
    /// A caller pauses, resumes or drains a queue.
    Control(Box<str>, QueueState),
    /// A caller waits for a task's end.
    Wait(TaskId, Duration),
}

/// What a server answers.
pub enum Answer {
    /// To a worker.
    Exchange(Result<Reply, SourceError>),
    /// To a submit.
    Submit(Result<Vec<Accepted>, SubmitError>),
    /// To a wait.
    Wait(Option<Box<Task>>),
    /// To whatever the asker does not care about.
    Done,
    /// There is no answer: the connection broke, or the store was away.
    Away,
}

/// Where answers go; the asker takes the first.
pub type Back = Arc<dyn Fn(Answer) + Send + Sync>;

/// Tells the server that the asker is no more.
#[derive(Default)]
pub struct Gone {
    is: AtomicBool,
    bell: Notify,
}

impl Gone {
    /// The connection is closed.
    pub fn close(&self) {
        self.is.store(true, Ordering::Relaxed);
        self.bell.notify_waiters();
    }

    /// Ends when the connection is closed.
    pub async fn closed(&self) {
        let mut bell = std::pin::pin!(self.bell.notified());
        bell.as_mut().enable();
        if !self.is.load(Ordering::Relaxed) {
            bell.await;
        }
    }
}

/// A call on its way.
#[derive(Clone)]
pub struct Request {
    /// To which server.
    pub server: usize,
    /// What.
    pub call: Call,
    /// Where answers go.
    pub back: Back,
    /// Whether somebody still wants them.
    pub gone: Arc<Gone>,
}

/// Something that arrives.
pub enum Parcel {
    /// At a server.
    Request(Request),
    /// At whoever asked.
    Answer(Back, Answer),
    /// At a server.
    Hint(usize, Hint),
    /// At a server: the asker's end of a connection.
    Gone(Arc<Gone>),
}

/// What arrives when a process ends without a word, drawn while it lives: in which order a dying process drops what it
/// has is no part of the seed.
pub struct Parting {
    after: Duration,
    number: u64,
}

#[derive(Default)]
struct Flying {
    now: Duration,
    number: u64,
    parcels: BTreeMap<(Duration, u64), Parcel>,
}

/// All that is on its way.
#[derive(Default)]
pub struct Net(Mutex<Flying>);

impl Net {
    /// The time of the simulated world since its beginning.
    pub fn now(&self) -> Duration {
        lock(&self.0).now
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        lock(&self.0).now += time;
    }

    /// The next parcel that arrives by now.
    pub fn next(&self) -> Option<Parcel> {
        let mut flying = lock(&self.0);
        let first = *flying.parcels.first_key_value()?.0;
        if first.0 <= flying.now { flying.parcels.remove(&first) } else { None }
    }

    fn put(&self, after: Duration, parcel: Parcel) {
        let number = self.number();
        self.put_as(&Parting { after, number }, parcel);
    }

    fn put_as(&self, parting: &Parting, parcel: Parcel) {
        let mut flying = lock(&self.0);
        let at = (flying.now.saturating_add(parting.after), parting.number);
        flying.parcels.insert(at, parcel);
    }

    fn number(&self) -> u64 {
        let mut flying = lock(&self.0);
        flying.number += 1;
        flying.number
    }
}

impl Ground {
    /// Sends a call.
    pub fn send(&self, request: Request) {
        let (lost, doubled) = {
            let weather = lock(&self.weather);
            (self.dice.chance(weather.lost), self.dice.chance(weather.doubled))
        };
        if lost {
            return self.lose(&request.back);
        }
        if doubled {
            self.net.put(self.delay(), Parcel::Request(request.clone()));
        }
        self.net.put(self.delay(), Parcel::Request(request));
    }

    /// Sends an answer.
    pub fn answer(&self, back: &Back, answer: Answer) {
        let lost = self.dice.chance(lock(&self.weather).lost);
        if lost {
            self.lose(back);
        } else {
            self.net.put(self.delay(), Parcel::Answer(Arc::clone(back), answer));
        }
    }

    /// The asker learns that the connection broke, or nothing at all.
    pub fn lose(&self, back: &Back) {
        self.part(&self.parting(), Parcel::Answer(Arc::clone(back), Answer::Away));
    }

    /// Draws when a parcel of parting arrives, if ever.
    pub fn parting(&self) -> Parting {
        let after = if self.dice.chance(500) { self.delay() } else { Duration::MAX };
        Parting { after, number: self.net.number() }
    }

    /// Sends a parcel of parting.
    pub fn part(&self, parting: &Parting, parcel: Parcel) {
        self.net.put_as(parting, parcel);
    }

    /// Tells a server what another one did.
    pub fn send_hint(&self, server: usize, hint: Hint) {
        let weather = lock(&self.weather).clone();
        if !self.dice.chance(weather.hint_lost) {
            if self.dice.chance(weather.hint_doubled) {
                self.net.put(self.delay(), Parcel::Hint(server, hint.clone()));
            }
            self.net.put(self.delay(), Parcel::Hint(server, hint));
        }
    }

    fn delay(&self) -> Duration {
        let late = self.dice.chance(lock(&self.weather).late);
        if late { self.dice.millis(500, 6000) } else { self.dice.millis(0, 10) }
    }
}
