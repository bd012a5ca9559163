//! Hints between servers: each tells the others, at most every [`EVERY`], in which lanes it queued something and what
//! ended. A hint may be lost; then the others find out when they next look by themselves.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasklane_core::event::Position;
use tasklane_core::ports::store::Hint;
use tasklane_core::task::TaskId;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::open::Connect;
use super::tx::Shared;
use crate::encoding::{LaneNo, Numbered};

/// The shortest time between two hints of one server.
const EVERY: Duration = Duration::from_millis(10);
/// How often a connection that has nothing to say is tried.
const TRY: Duration = Duration::from_secs(5);
/// Before a lost connection is made anew; doubled up to the longest while it fails.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);
/// Most lanes a hint names; more are said as "all".
const LANES: usize = 400;
/// Most ended tasks a hint names; who waits for others finds out by itself.
const ENDED: usize = 64;
/// Hints that wait to be taken.
const WAITING: usize = 64;

/// What a commit has to tell.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub lanes: BTreeSet<LaneNo>,
    pub ended: Vec<TaskId>,
    pub cancels: bool,
    pub all: bool,
    pub position: Position,
}

impl News {
    pub(crate) fn queued(&mut self, lane: LaneNo) {
        if self.lanes.len() < LANES {
            self.lanes.insert(lane);
        } else {
            self.all = true;
        }
    }

    pub(crate) fn ended(&mut self, id: TaskId) {
        if self.ended.len() < ENDED {
            self.ended.push(id);
        }
    }

    fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.ended.is_empty() && !self.cancels && !self.all && self.position == Position(0)
    }

    fn add(&mut self, other: Self) {
        other.lanes.into_iter().for_each(|lane| self.queued(lane));
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
    lanes: Vec<u32>,
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

/// Starts to listen and to tell, until it is aborted.
pub(crate) fn start(
    connect: Connect,
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
) -> (Inbox, tokio::task::JoinHandle<()>) {
    let (hints, inbox) = mpsc::channel(WAITING);
    (inbox, tokio::spawn(run(connect, shared, outbox, hints)))
}

async fn run(connect: Connect, shared: Arc<Shared>, outbox: Arc<Outbox>, hints: mpsc::Sender<Hint>) {
    let mut pause = SHORTEST;
    loop {
        if let Err(why) = exchange(&connect, &shared, &outbox, &hints, &mut pause).await {
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
async fn exchange(
    connect: &Connect,
    shared: &Shared,
    outbox: &Outbox,
    hints: &mpsc::Sender<Hint>,
    pause: &mut Duration,
) -> Result<(), String> {
    let channel = connect.channel();
    let (said, mut heard) = mpsc::channel(Connect::heard());
    let (client, running) = connect.listen(said).await?;
    let _running = super::open::AbortOnDrop(running);
    let told = |error: tokio_postgres::Error| super::error::told(&error);
    client.batch_execute(&format!("LISTEN \"{channel}\"")).await.map_err(told)?;
    *pause = SHORTEST;
    // What was said before this connection listened is not known.
    let _ = hints.try_send(Hint { all: true, ..Hint::default() });
    loop {
        tokio::select! {
            message = heard.recv() => match message {
                Some(AsyncMessage::Notification(it)) if it.channel() == channel => take(it.payload(), shared, hints).await,
                Some(_) => {}
                None => return Err("the connection ended".to_owned()),
            },
            () = outbox.bell.notified() => tell(&client, &channel, shared, outbox.take()).await?,
            () = sleep(TRY) => {
                let tried = timeout(TRY, client.batch_execute("SELECT 1")).await;
                tried.map_err(|_| "the connection is silent".to_owned())?.map_err(told)?;
            }
        }
    }
}

async fn tell(client: &Client, channel: &str, shared: &Shared, news: News) -> Result<(), String> {
    let message = Message {
        server: shared.server,
        lanes: news.lanes.into_iter().map(|it| it.0).collect(),
        ended: news.ended,
        cancels: news.cancels,
        all: news.all,
        position: news.position.0,
    };
    let Ok(json) = serde_json::to_string(&message) else { return Ok(()) };
    let told = timeout(TRY, client.execute("SELECT pg_notify($1, $2)", &[&channel, &json])).await;
    told.map_err(|_| "the connection is silent".to_owned())?.map_err(|error| super::error::told(&error))?;
    // What comes meanwhile is told together.
    sleep(EVERY).await;
    Ok(())
}

/// A hint came: names its lanes and hands it on.
async fn take(payload: &str, shared: &Shared, hints: &mpsc::Sender<Hint>) {
    let Ok(message) = serde_json::from_str::<Message>(payload) else {
        tracing::debug!("a hint of no known form; another version may have sent it");
        return;
    };
    if message.server == shared.server {
        return;
    }
    let mut names = shared.book.look();
    if message.lanes.iter().any(|no| names.lane_of(LaneNo(*no)).is_err())
        && let Ok(newer) = shared.book.read_on().await
    {
        names = newer;
    }
    let lanes = message.lanes.iter().filter_map(|no| names.lane_of(LaneNo(*no)).ok().cloned()).collect();
    let Message { ended, cancels, all, position, .. } = message;
    // One that finds no room is lost, like any other hint may be.
    let _ = hints.try_send(Hint { lanes, ended, cancels, all, position: Position(position) });
}

/// Between a half and one.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    0.5 + (random >> 11) as f64 / (1_u64 << 54) as f64
}
