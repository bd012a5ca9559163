//! Lease requests that wait for work: seats, found by the lanes they serve.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tasklane_core::lease::{Home, LaneFilter, LeaseRequest, TypeFilter, serves};
use tasklane_core::queue::is_of_system;
use tasklane_core::task::Lane;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::commit::Handed;
use crate::inside::lock;

/// Lanes that something came into lately, remembered for looks under way.
const LATELY: usize = 100;

/// A lease request that waits. Whoever takes it out owes it work, a new seat, or an empty answer.
pub(crate) struct Seat {
    pub worker: Arc<str>,
    pub lanes: Arc<[LaneFilter]>,
    pub limit: usize,
    pub length: Duration,
    pub home: Home,
    /// When the caller gives up.
    pub until: Instant,
    /// Its place in the line, kept when it sits down again; 0 before it first does.
    pub number: u64,
    /// The caller holds the other end; dropped, the caller answers with what it has.
    pub reply: oneshot::Sender<Handed>,
}

impl Seat {
    /// Whether nobody waits for its answer any more.
    fn is_over(&self) -> bool {
        self.reply.is_closed() || Instant::now() >= self.until
    }

    fn serves(&self, lane: &Lane) -> bool {
        serves(&self.lanes, lane)
    }

    /// What the store is asked for it; `seed` are 64 random bits.
    pub fn request(&self, seed: u64) -> LeaseRequest {
        LeaseRequest {
            worker: Arc::clone(&self.worker),
            lanes: Arc::clone(&self.lanes),
            limit: self.limit,
            length: self.length,
            seed,
            home: self.home,
        }
    }
}

pub(crate) struct Parked {
    most: usize,
    room: Mutex<Room>,
}

#[derive(Default)]
struct Room {
    /// Grows whenever something was queued: a look that began before is no longer good enough to sit down on, for seats that
    /// serve its lane.
    arrivals: u64,
    /// The last that came into any lane there is.
    anywhere: u64,
    /// The last lanes something came into.
    lately: VecDeque<(u64, Arc<Lane>)>,
    next: u64,
    seats: BTreeMap<u64, Seat>,
    by_filter: HashMap<Filter, BTreeSet<u64>>,
}

/// Queue and type, `None` for every one.
type Filter = (Option<Box<str>>, Option<Box<str>>);

/// How sitting down ended.
pub(crate) enum Sat {
    /// Seated under this number.
    Down(u64),
    /// Something was queued since the look: look again.
    Stale(Seat),
    /// Too many sit already.
    Full,
    /// Nobody waits for it any more.
    Over,
}

impl Parked {
    pub fn new(most: usize) -> Self {
        Self { most, room: Mutex::default() }
    }

    /// To be read before a look, and given to [`Parked::sit`] after it.
    pub fn arrivals(&self) -> u64 {
        lock(&self.room).arrivals
    }

    /// Sits down if nothing was queued for the seat since `arrivals` was read.
    pub fn sit(&self, seat: Seat, arrivals: u64) -> Sat {
        let mut room = lock(&self.room);
        if seat.is_over() {
            Sat::Over
        } else if seat.limit > 0 && room.has_come_since(arrivals, &seat.lanes) {
            Sat::Stale(seat)
        } else if room.seats.len() >= self.most {
            Sat::Full
        } else {
            Sat::Down(room.add(seat))
        }
    }

    /// Stands up; `false` if somebody took the seat and owes it an answer.
    pub fn leave(&self, number: u64) -> bool {
        lock(&self.room).take(number).is_some()
    }

    /// Takes for each lane of `owed` the seats that waited longest, until they want as many tasks as are named with it. What a
    /// seat wants is counted once, though it serves several: a lane's tasks do not lend their seats to another's.
    pub fn take_for<'a>(&self, owed: impl Iterator<Item = (&'a Arc<Lane>, usize)>) -> Vec<Seat> {
        let mut room = lock(&self.room);
        let mut taken: Vec<Seat> = Vec::new();
        // Of those taken, which want more than was counted, and how much.
        let mut spare: Vec<(usize, usize)> = Vec::new();
        for (lane, mut tasks) in owed {
            for (_, wants) in spare.iter_mut().filter(|(seat, _)| taken[*seat].serves(lane)) {
                let counted = tasks.min(*wants);
                (tasks, *wants) = (tasks - counted, *wants - counted);
            }
            spare.retain(|(_, wants)| *wants > 0);
            while tasks > 0
                && let Some(number) = room.first_serving(lane)
            {
                let Some(seat) = room.take(number).filter(|it| !it.reply.is_closed()) else { continue };
                if seat.limit > tasks {
                    spare.push((taken.len(), seat.limit - tasks));
                }
                tasks = tasks.saturating_sub(seat.limit);
                taken.push(seat);
            }
        }
        taken.sort_unstable_by_key(|it| it.number);
        taken
    }

    /// Takes for each of `lanes` one seat that serves it.
    pub fn take_one_for_each(&self, lanes: &[Arc<Lane>]) -> Vec<Seat> {
        let mut taken: Vec<Seat> = Vec::new();
        for lane in lanes {
            if !taken.iter().any(|it| it.serves(lane)) {
                taken.extend(self.take_for(std::iter::once((lane, 1))));
            }
        }
        taken
    }

    /// Takes the next seats of a round over all: one for each set of lanes the round has not met yet, at most `most`.
    /// `false`: the round is over.
    pub fn take_one_of_each(&self, round: &mut Round, most: usize) -> (Vec<Seat>, bool) {
        let mut room = lock(&self.room);
        let after = (Bound::Excluded(round.after), Bound::Unbounded);
        let mut numbers = Vec::new();
        let mut looked_at = 0;
        for (number, seat) in room.seats.range(after).take(LOOKED_AT) {
            (round.after, looked_at) = (*number, looked_at + 1);
            if seat.limit > 0 && !round.met.contains(&seat.lanes) {
                round.met.insert(Arc::clone(&seat.lanes));
                numbers.push(*number);
            }
            if numbers.len() >= most {
                break;
            }
        }
        let is_over = room.seats.range((Bound::Excluded(round.after), Bound::Unbounded)).next().is_none();
        let seats = numbers.into_iter().filter_map(|number| room.take(number)).filter(|it| !it.reply.is_closed());
        let seats = seats.collect();
        (seats, looked_at > 0 && !is_over)
    }

    /// Takes seats that serve any lane of this queue.
    pub fn take_for_queue(&self, queue: &str) -> Vec<Seat> {
        let serves = |it: &LaneFilter| it.queue.as_deref().is_none_or(|name| name == queue);
        self.take_where(|seat| seat.limit > 0 && seat.lanes.iter().any(serves))
    }

    /// Something was queued anywhere: every look that began before is stale.
    pub fn announce(&self) {
        let mut room = lock(&self.room);
        room.arrivals += 1;
        room.anywhere = room.arrivals;
    }

    /// Something was queued in these lanes.
    pub fn announce_in<'a>(&self, lanes: impl Iterator<Item = &'a Arc<Lane>>) {
        let mut room = lock(&self.room);
        room.arrivals += 1;
        let now = room.arrivals;
        for lane in lanes {
            room.lately.push_back((now, Arc::clone(lane)));
            if room.lately.len() > LATELY
                && let Some((forgotten, _)) = room.lately.pop_front()
            {
                // Whoever began to look before that cannot tell any more.
                room.anywhere = room.anywhere.max(forgotten);
            }
        }
    }

    /// Takes the seats of this worker.
    pub fn take_of(&self, worker: &str) -> Vec<Seat> {
        self.take_where(|seat| *seat.worker == *worker)
    }

    /// Whether this worker waits here.
    pub fn has(&self, worker: &str) -> bool {
        lock(&self.room).seats.values().any(|it| *it.worker == *worker)
    }

    /// Those of `workers` that wait here.
    pub fn present<'a>(&self, workers: &HashSet<&'a str>) -> HashSet<&'a str> {
        let room = lock(&self.room);
        room.seats.values().filter_map(|it| workers.get(&*it.worker).copied()).collect()
    }

    fn take_where(&self, wanted: impl Fn(&Seat) -> bool) -> Vec<Seat> {
        let mut room = lock(&self.room);
        let numbers: Vec<u64> = room.seats.iter().filter(|(_, seat)| wanted(seat)).map(|(number, _)| *number).collect();
        numbers.into_iter().filter_map(|number| room.take(number)).collect()
    }

    /// Takes all seats.
    pub fn take_all(&self) -> Vec<Seat> {
        let mut room = lock(&self.room);
        room.by_filter.clear();
        std::mem::take(&mut room.seats).into_values().collect()
    }

    pub fn len(&self) -> usize {
        lock(&self.room).seats.len()
    }
}

/// Most seats looked at while the lock is held.
const LOOKED_AT: usize = 1_000;

/// A walk over all seats, in the order of their numbers.
#[derive(Default)]
pub(crate) struct Round {
    after: u64,
    met: HashSet<Arc<[LaneFilter]>>,
}

impl Round {
    /// How many sets of lanes it met.
    pub fn met(&self) -> usize {
        self.met.len()
    }

    /// Goes on from here with no lanes met.
    pub fn afresh(&mut self) {
        self.met.clear();
    }
}

impl Room {
    /// Whether something came into a lane of `lanes` after `arrivals`.
    fn has_come_since(&self, arrivals: u64, lanes: &[LaneFilter]) -> bool {
        self.anywhere > arrivals
            || self.lately.iter().rev().take_while(|(at, _)| *at > arrivals).any(|(_, it)| serves(lanes, it))
    }

    fn add(&mut self, mut seat: Seat) -> u64 {
        if seat.number == 0 {
            self.next += 1;
            seat.number = self.next;
        }
        let number = seat.number;
        // One that wants nothing is there to be told of cancellations.
        for filter in filters(&seat.lanes).filter(|_| seat.limit > 0) {
            self.by_filter.entry(filter).or_default().insert(number);
        }
        self.seats.insert(number, seat);
        number
    }

    fn take(&mut self, number: u64) -> Option<Seat> {
        let seat = self.seats.remove(&number)?;
        for filter in filters(&seat.lanes) {
            if let Some(numbers) = self.by_filter.get_mut(&filter) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.by_filter.remove(&filter);
                }
            }
        }
        Some(seat)
    }

    /// The seat that waited longest of those that serve `lane`.
    fn first_serving(&self, lane: &Lane) -> Option<u64> {
        if self.seats.is_empty() {
            return None;
        }
        let any_queue = (!is_of_system(&lane.queue)).then_some(None);
        let queues = [Some(Some(lane.queue.clone())), any_queue].into_iter().flatten();
        let types = [Some(lane.task_type.clone()), None];
        let filters = queues.flat_map(|queue| types.iter().map(move |it| (queue.clone(), it.clone())));
        filters.filter_map(|it| self.by_filter.get(&it)?.first().copied()).min()
    }
}

fn filters(lanes: &[LaneFilter]) -> impl Iterator<Item = Filter> + '_ {
    lanes.iter().flat_map(|lane| {
        let types: Vec<Option<Box<str>>> = match &lane.types {
            TypeFilter::Any => vec![None],
            TypeFilter::Only(types) => types.iter().cloned().map(Some).collect(),
        };
        types.into_iter().map(|task_type| (lane.queue.clone(), task_type))
    })
}
