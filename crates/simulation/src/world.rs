//! The world: servers, workers and callers on one ground, moved tick by tick. Who moves when, and how far, is drawn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tasklane_core::ports::store::Store;
use tasklane_store::memory::MemoryStore;

use crate::callers::Callers;
use crate::ground::{Ground, lock};
use crate::net::Parcel;
use crate::process::Process;
use crate::server::Server;
use crate::shared::REOPENING;
use crate::worker::Worker;

/// Somebody who is there, or comes back.
pub enum Place<T> {
    /// There; `true`: it has ended in order.
    Up(T, Arc<AtomicBool>),
    /// Not before this time.
    Down(Duration),
}

/// The world.
pub struct World {
    /// What everybody stands on.
    pub ground: Arc<Ground>,
    /// What all servers share.
    pub store: Arc<MemoryStore>,
    /// The servers.
    pub servers: Vec<Place<Server>>,
    /// The workers.
    pub workers: Vec<Place<Worker>>,
    /// The callers.
    pub callers: Callers,
    /// Until when the store is away.
    pub away_until: Option<Duration>,
    /// Until when which worker is cut off.
    pub cuts: Vec<(usize, Duration)>,
    /// When no worker had room last.
    pub full_at: Duration,
    started: u64,
}

impl World {
    /// A world in which everybody is about to start.
    pub fn new(ground: &Arc<Ground>) -> Self {
        let servers = if ground.dice.chance(250) { 1 } else { 2 };
        let workers = 1 + ground.dice.below(3);
        Self {
            store: MemoryStore::new(Arc::clone(&ground.clock) as Arc<dyn tasklane_core::ports::clock::Clock>),
            servers: (0..servers).map(|_| Place::Down(Duration::ZERO)).collect(),
            workers: (0..workers).map(|_| Place::Down(Duration::ZERO)).collect(),
            callers: Callers::new(ground, servers),
            away_until: None,
            cuts: Vec::new(),
            full_at: Duration::ZERO,
            started: 0,
            ground: Arc::clone(ground),
        }
    }

    /// Lets time pass: what is due arrives, who is due starts, everybody takes at most so many steps.
    pub fn tick(&mut self, time: Duration, most_steps: u64) {
        self.ground.net.pass(time);
        self.ground.clock.pass(time);
        let now = self.ground.net.now();
        lock(&self.ground.ledger).pass(now);
        self.come_back(now);
        self.callers.repeat();
        while let Some(parcel) = self.ground.net.next() {
            self.deliver(parcel);
        }
        self.move_all(time, most_steps);
        self.bury();
    }

    /// Servers, workers and the store that are due are there again.
    fn come_back(&mut self, now: Duration) {
        if self.away_until.is_some_and(|until| until <= now) {
            self.away_until = None;
            lock(&self.ground.weather).store_is_away = false;
            self.ground.note(|| "the store is back".to_owned());
            self.reopen();
        }
        for number in 0..self.servers.len() {
            if matches!(self.servers[number], Place::Down(until) if until <= now) {
                self.ground.note(|| format!("server {number} starts"));
                if self.servers.len() == 1 {
                    self.reopen();
                }
                let server = Server::start(number, self.servers.len(), &self.ground, &self.store);
                self.servers[number] = Place::Up(server, Arc::default());
            }
        }
        for number in 0..self.workers.len() {
            if matches!(self.workers[number], Place::Down(until) if until <= now) {
                self.started += 1;
                // A label is no name: one that comes back may have the old one.
                let nth = if self.ground.dice.chance(500) { 0 } else { self.started };
                let name = format!("worker-{number}-{nth}");
                self.ground.note(|| format!("{name} starts"));
                let worker = Worker::start(&name, self.servers.len(), &self.ground);
                self.workers[number] = Place::Up(worker, Arc::default());
            }
        }
        for (worker, until) in std::mem::take(&mut self.cuts) {
            if until > now {
                self.cuts.push((worker, until));
            } else if let Place::Up(worker, _) = &self.workers[worker] {
                worker.cut.store(false, Ordering::Relaxed);
            }
        }
    }

    /// What a store does when it can be reached again, and what that promises.
    fn reopen(&self) {
        self.store.reopened();
        lock(&self.ground.ledger).outage_over(self.store.now());
    }

    fn deliver(&self, parcel: Parcel) {
        match parcel {
            Parcel::Answer(back, answer) => back(answer),
            Parcel::Gone(gone) => gone.close(),
            Parcel::Hint(server, hint) => {
                if let Place::Up(server, _) = &self.servers[server] {
                    server.hear(hint);
                }
            }
            Parcel::Request(request) => match &self.servers[request.server] {
                Place::Up(server, _) => server.take(request),
                Place::Down(_) => self.ground.lose(&request.back),
            },
        }
    }

    fn move_all(&mut self, time: Duration, most_steps: u64) {
        let mut all: Vec<&mut Process> = Vec::new();
        all.extend(self.servers.iter_mut().filter_map(|it| it.up()).map(|it| &mut it.process));
        all.extend(self.workers.iter_mut().filter_map(|it| it.up()).map(|it| &mut it.process));
        while !all.is_empty() {
            let next = self.ground.dice.below(all.len() as u64) as usize;
            all.swap_remove(next).run(time, self.ground.dice.below(most_steps + 1));
        }
    }

    /// Who has ended in order is gone.
    fn bury(&mut self) {
        let back = self.ground.net.now() + REOPENING;
        let ended = |place: &Arc<AtomicBool>| place.load(Ordering::Relaxed);
        for place in &mut self.servers {
            if matches!(place, Place::Up(_, it) if ended(it)) {
                *place = Place::Down(back);
            }
        }
        for place in &mut self.workers {
            if matches!(place, Place::Up(_, it) if ended(it)) {
                *place = Place::Down(back);
            }
        }
    }
}

impl<T> Place<T> {
    /// Whoever is there.
    pub fn up(&mut self) -> Option<&mut T> {
        match self {
            Self::Up(it, _) => Some(it),
            Self::Down(_) => None,
        }
    }
}
