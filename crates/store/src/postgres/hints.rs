//! Hints between servers: each tells the others, at most every [`EVERY`], in which lanes it queued something and what
//! ended. A hint may be lost; then the others find out when they next look by themselves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasklane_core::event::Position;
use tasklane_core::ports::store::Hint;
use tasklane_core::task::TaskId;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::bounds::{Arrivals, Place, arrived};
use super::names::Names;
use super::open::Connect;
use super::session::Sessions;
use super::tx::Shared;
use crate::encoding::{LaneNo, Numbered};

/// The shortest time between two hints of one server.
const EVERY: Duration = Duration::from_millis(10);
/// How often a connection that has nothing to say is tried.
const TRY: Duration = Duration::from_secs(5);
/// Before a lost connection is made anew; doubled up to the longest while it fails.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);
/// Most ranges of queued tasks a hint names; more are said as "all".
const QUEUED: usize = 100;
/// Most ended tasks a hint names; who waits for others finds out by itself.
const ENDED: usize = 64;
/// Hints that wait to be taken.
const WAITING: usize = 64;

/// What a commit has to tell.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub arrivals: Arrivals,
    pub ended: Vec<TaskId>,
    pub cancels: bool,
    pub all: bool,
    pub position: Position,
}

impl News {
    /// A task may be leased now.
    pub(crate) fn queued(&mut self, lane: LaneNo, place: Place) {
        arrived(&mut self.arrivals, lane, place);
    }

    pub(crate) fn ended(&mut self, id: TaskId) {
        if self.ended.len() < ENDED {
            self.ended.push(id);
        }
    }

    fn is_empty(&self) -> bool {
        self.arrivals.is_empty() && self.ended.is_empty() && !self.cancels && !self.all && self.position == Position(0)
    }

    fn add(&mut self, other: Self) {
        for (lane, ranges) in other.arrivals {
            for (urgency, (first, last)) in ranges {
                self.queued(lane, (urgency, first));
                self.queued(lane, (urgency, last));
            }
        }
        other.ended.into_iter().for_each(|id| self.ended(id));
        self.cancels |= other.cancels;
        self.all |= other.all;
        self.position = self.position.max(other.position);
    }
}

/// A hint on its way, as JSON: at most 8000 bytes fit a notification.
#[derive(Serialize, Deserialize)]
struct Message {
    server: i64,
    /// Lane, urgency, first and last rank.
    queued: Vec<(u32, i16, i64, i64)>,
    ended: Vec<TaskId>,
    cancels: bool,
    all: bool,
    position: u64,
}

/// What is to be told.
#[derive(Default)]
pub(crate) struct Outbox {
    news: Mutex<News>,
    bell: Notify,
}

impl Outbox {
    pub(crate) fn add(&self, news: News) {
        if !news.is_empty() {
            self.news.lock().unwrap_or_else(PoisonError::into_inner).add(news);
            self.bell.notify_one();
        }
    }

    fn take(&self) -> News {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Hints of others, to be taken one after the other.
pub(crate) type Inbox = mpsc::Receiver<Hint>;

/// Listens to other servers and tells them what this one did.
pub(crate) struct Exchange {
    pub connect: Connect,
    pub sessions: Sessions,
    pub shared: Arc<Shared>,
    pub outbox: Arc<Outbox>,
}

impl Exchange {
    /// Starts, until it is aborted.
    pub(crate) fn start(self) -> (Inbox, tokio::task::JoinHandle<()>) {
        let (hints, inbox) = mpsc::channel(WAITING);
        (inbox, tokio::spawn(self.run(hints)))
    }

    async fn run(self, hints: mpsc::Sender<Hint>) {
        let mut pause = SHORTEST;
        loop {
            if let Err(why) = self.exchange(&hints, &mut pause).await {
                tracing::info!(
                    why,
                    "hints of other servers are not heard for a while; what they queue is found by looking"
                );
            }
            if hints.is_closed() {
                return;
            }
            sleep(pause.mul_f64(jitter())).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// One connection, as long as it lasts.
    async fn exchange(&self, hints: &mpsc::Sender<Hint>, pause: &mut Duration) -> Result<(), String> {
        let channel = self.connect.channel();
        let (said, mut heard) = mpsc::channel(Connect::heard());
        let (client, running) = self.connect.listen(said).await?;
        let _running = super::open::AbortOnDrop(running);
        client.batch_execute(&format!("LISTEN \"{channel}\"")).await.map_err(told)?;
        *pause = SHORTEST;
        // What was said before this connection listened is not known.
        self.forget_bounds();
        let mut missed = true;
        loop {
            tokio::select! {
                biased;
                room = hints.reserve(), if missed => {
                    room.map_err(|_| "nobody listens any more".to_owned())?.send(Hint { all: true, ..Hint::default() });
                    missed = false;
                }
                message = heard.recv() => match message {
                    Some(AsyncMessage::Notification(it)) if it.channel() == channel => {
                        missed |= self.take(it.payload(), hints).await == Taken::Missed;
                    }
                    Some(_) => {}
                    None => return Err("the connection ended".to_owned()),
                },
                () = self.outbox.bell.notified() => {
                    if let Err(why) = tell(&client, &channel, self.shared.server, self.outbox.take()).await {
                        // Whoever listens then hears that something was lost.
                        self.outbox.add(News { all: true, ..News::default() });
                        return Err(why);
                    }
                }
                () = sleep(TRY) => {
                    let tried = timeout(TRY, client.batch_execute("SELECT 1")).await;
                    tried.map_err(|_| "the connection is silent".to_owned())?.map_err(told)?;
                }
            }
        }
    }

    /// A hint came: names its lanes and hands it on.
    async fn take(&self, payload: &str, hints: &mpsc::Sender<Hint>) -> Taken {
        let Ok(message) = serde_json::from_str::<Message>(payload) else {
            tracing::debug!("a hint of no known form; another version may have sent it");
            self.forget_bounds();
            return Taken::Missed;
        };
        if message.server == self.shared.server {
            return Taken::HandedOn;
        }
        self.shared.hear_of(&message);
        let mut names = self.shared.book.look();
        if message.queued.iter().any(|(no, ..)| names.lane_of(LaneNo(*no)).is_err()) {
            match self.newer_names().await {
                Ok(newer) => names = newer,
                Err(_) => return Taken::Missed,
            }
        }
        let mut lanes: Vec<_> =
            message.queued.iter().filter_map(|(no, ..)| names.lane_of(LaneNo(*no)).ok().cloned()).collect();
        lanes.dedup();
        let Message { ended, cancels, all, position, .. } = message;
        let hint = Hint { lanes, ended, cancels, all, position: Position(position) };
        hints.try_send(hint).map_or(Taken::Missed, |()| Taken::HandedOn)
    }

    async fn newer_names(&self) -> super::error::Result<Arc<Names>> {
        self.shared.book.read_on(&self.sessions.get().await?).await
    }

    fn forget_bounds(&self) {
        self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner).forget();
    }
}

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    HandedOn,
    /// It was not understood, or found no room: anything may have happened, which is said as soon as there is room.
    Missed,
}

async fn tell(client: &Client, channel: &str, server: i64, news: News) -> Result<(), String> {
    let each = news.arrivals.iter().flat_map(|(lane, ranges)| ranges.iter().map(move |range| (lane.0, range)));
    let mut queued: Vec<_> = each.map(|(lane, (urgency, (first, last)))| (lane, *urgency, *first, *last)).collect();
    let too_many = queued.len() > QUEUED;
    queued.truncate(if too_many { 0 } else { QUEUED });
    let message = Message {
        server,
        queued,
        ended: news.ended,
        cancels: news.cancels,
        all: news.all || too_many,
        position: news.position.0,
    };
    let Ok(json) = serde_json::to_string(&message) else { return Ok(()) };
    let notified = timeout(TRY, client.execute("SELECT pg_notify($1, $2)", &[&channel, &json])).await;
    notified.map_err(|_| "the connection is silent".to_owned())?.map_err(told)?;
    // What comes meanwhile is told together.
    sleep(EVERY).await;
    Ok(())
}

fn told(error: tokio_postgres::Error) -> String {
    super::error::told(&error)
}

impl Shared {
    /// What another server's hint says of lanes.
    fn hear_of(&self, message: &Message) {
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        if message.all {
            bounds.forget();
        }
        let mut arrivals = Arrivals::default();
        for (lane, urgency, first, last) in &message.queued {
            arrived(&mut arrivals, LaneNo(*lane), (*urgency, *first));
            arrived(&mut arrivals, LaneNo(*lane), (*urgency, *last));
        }
        bounds.arrived(&arrivals);
    }
}

/// Between a half and one.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    0.5 + (random >> 11) as f64 / (1_u64 << 54) as f64
}
