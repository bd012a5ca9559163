//! Hints between servers: each tells the others, at most every [`EVERY`], in which lanes it queued something and what
//! ended. A hint may be lost; then the others find out when they next look by themselves.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tasklane_core::event::Position;
use tasklane_core::ports::store::Hint;
use tasklane_core::task::TaskId;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::bounds::{Arrivals, Place, Ranges, arrived};
use super::names::Names;
use super::open::Connect;
use super::session::Sessions;
use super::strands::GateNo;
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
/// Most gates a hint names; of more it is said in which lanes tasks pass them.
const FREED: usize = 100;
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
    /// Gates that have room.
    pub freed: HashSet<GateNo>,
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
        let is_silent = !self.cancels && !self.all && self.position == Position(0);
        is_silent && self.arrivals.is_empty() && self.ended.is_empty() && self.freed.is_empty()
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
        self.freed.extend(other.freed);
    }
}

/// Lane or strand, urgency, first and last rank.
type Range = (u32, i16, i64, i64);

/// A hint on its way, as JSON: at most 8000 bytes fit a notification.
#[derive(Serialize, Deserialize)]
struct Message {
    server: i64,
    queued: Vec<Range>,
    ended: Vec<TaskId>,
    cancels: bool,
    all: bool,
    position: u64,
    /// The same as `queued` of a lane and any of its strands.
    #[serde(default)]
    within: Vec<Range>,
    /// Gates that have room.
    #[serde(default)]
    freed: Vec<i32>,
    /// Lanes whose tasks pass gates that have room, where those are too many to name.
    #[serde(default)]
    opened: Vec<u32>,
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
                    let message = Message::of(self.shared.server, self.outbox.take(), &self.shared.book.look());
                    if let Err(why) = tell(&client, &channel, message).await {
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
        let mut names = self.shared.book.look();
        if message.is_unknown_to(&names) {
            match self.newer_names().await {
                Ok(newer) => names = newer,
                Err(_) => {
                    self.shared.hear_of(&message, &names);
                    return Taken::Missed;
                }
            }
        }
        self.shared.hear_of(&message, &names);
        let lanes = message.lanes(&names);
        let Message { ended, cancels, all, position, .. } = message;
        let hint = Hint { lanes, ended, cancels, all, position: Position(position) };
        hints.try_send(hint).map_or(Taken::Missed, |()| Taken::HandedOn)
    }

    async fn newer_names(&self) -> super::error::Result<Arc<Names>> {
        self.shared.book.read_on(&self.sessions.get().await?).await
    }

    fn forget_bounds(&self) {
        self.shared.bounds.lock().unwrap_or_else(PoisonError::into_inner).forget();
        self.shared.fullness.lock().unwrap_or_else(PoisonError::into_inner).forget();
    }
}

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    HandedOn,
    /// It was not understood, or found no room: anything may have happened, which is said as soon as there is room.
    Missed,
}

impl Message {
    /// What a server has to tell; what is too much for a message is said as "all".
    fn of(server: i64, news: News, names: &Names) -> Self {
        let (queued, within) = ranges(&news.arrivals, names);
        let (freed, opened) = freed(&news.freed, names);
        let too_many = queued.len() + within.len() + opened.len() > QUEUED;
        let all = news.all || too_many;
        let (queued, within) = if too_many { (Vec::new(), Vec::new()) } else { (queued, within) };
        let (freed, opened) = if too_many { (Vec::new(), Vec::new()) } else { (freed, opened) };
        let Position(position) = news.position;
        Self { server, queued, ended: news.ended, cancels: news.cancels, all, position, within, freed, opened }
    }

    fn is_unknown_to(&self, names: &Names) -> bool {
        let mut lanes = self.in_lanes();
        lanes.any(|no| names.lane_of(no).is_err())
            || self.freed.iter().any(|no| names.strands.name(GateNo(*no)).is_none())
    }

    /// The lanes and strands it names.
    fn in_lanes(&self) -> impl Iterator<Item = LaneNo> + '_ {
        self.queued.iter().chain(&self.within).map(|(no, ..)| no).chain(&self.opened).map(|no| LaneNo(*no))
    }

    /// In which there may be something to take.
    fn lanes(&self, names: &Names) -> Vec<Arc<tasklane_core::task::Lane>> {
        let freed = self.freed.iter().flat_map(|no| names.passing(GateNo(*no))).map(|(lane, _)| lane);
        let mut lanes: Vec<_> = self.in_lanes().chain(freed).filter_map(|no| names.lane_of(no).ok().cloned()).collect();
        lanes.sort_unstable();
        lanes.dedup();
        lanes
    }
}

/// Gates that have room; where they are too many to name, the lanes whose tasks pass them.
fn freed(gates: &HashSet<GateNo>, names: &Names) -> (Vec<i32>, Vec<u32>) {
    if gates.len() <= FREED {
        return (gates.iter().map(|gate| gate.0).collect(), Vec::new());
    }
    let lanes: HashSet<u32> =
        gates.iter().flat_map(|gate| names.passing(*gate)).map(|(LaneNo(lane), _)| lane).collect();
    (Vec::new(), lanes.into_iter().collect())
}

/// What came into lanes and strands; where that is too much to tell, what came into lanes with their strands.
fn ranges(arrivals: &Arrivals, names: &Names) -> (Vec<Range>, Vec<Range>) {
    let of = |(lane, ranges): (&LaneNo, &Ranges)| {
        let no = lane.0;
        ranges.iter().map(move |(urgency, (first, last))| (no, *urgency, *first, *last)).collect::<Vec<_>>()
    };
    let queued: Vec<Range> = arrivals.iter().flat_map(of).collect();
    if queued.len() <= QUEUED || !names.strands.is_any() {
        return (queued, Vec::new());
    }
    let mut within = Arrivals::default();
    for (no, urgency, first, last) in queued {
        let lane = names.strands.lane_of(LaneNo(no)).unwrap_or(LaneNo(no));
        arrived(&mut within, lane, (urgency, first));
        arrived(&mut within, lane, (urgency, last));
    }
    (Vec::new(), within.iter().flat_map(of).collect())
}

async fn tell(client: &Client, channel: &str, message: Message) -> Result<(), String> {
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
    /// What another server's hint says of lanes and gates.
    fn hear_of(&self, message: &Message, names: &Names) {
        let mut arrivals = Arrivals::default();
        let mut came = |lane, (_, urgency, first, last): &Range| {
            arrived(&mut arrivals, lane, (*urgency, *first));
            arrived(&mut arrivals, lane, (*urgency, *last));
        };
        message.queued.iter().for_each(|range| came(LaneNo(range.0), range));
        for range in &message.within {
            names.strands.strands_of(LaneNo(range.0)).for_each(|strand| came(strand, range));
        }
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        if message.all {
            bounds.forget();
        }
        bounds.arrived(&arrivals);
        drop(bounds);
        let mut fullness = self.fullness.lock().unwrap_or_else(PoisonError::into_inner);
        if message.all || !message.opened.is_empty() {
            fullness.forget();
        }
        message.freed.iter().for_each(|no| fullness.open(GateNo(*no)));
    }
}

/// Between a half and one.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    0.5 + (random >> 11) as f64 / (1_u64 << 54) as f64
}
