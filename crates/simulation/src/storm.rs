//! The storm: who crashes, freezes, ends, is cut off; when the clock jumps and the store is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::ground::lock;
use crate::weather::Weather;
use crate::world::{Place, World};

impl World {
    /// What goes wrong in the next `time`.
    pub fn strike(&mut self, time: Duration) {
        let weather = lock(&self.ground.weather).clone();
        self.strike_servers(&weather, time);
        self.strike_workers(&weather, time);
        if self.strikes(weather.clock_jumps, time) {
            let jump = self.ground.dice.millis(100, 60_000);
            self.ground.note(|| format!("the store's clock jumps by {jump:?}"));
            self.ground.clock.pass(jump);
        }
        if self.away_until.is_none() && self.strikes(weather.outages, time) {
            let away = self.ground.dice.millis(300, 6_000);
            self.ground.note(|| format!("the store is away for {away:?}"));
            self.away_until = Some(self.ground.net.now() + away);
            lock(&self.ground.weather).store_is_away = true;
        }
    }

    fn strikes(&self, per_mille_and_second: u64, time: Duration) -> bool {
        self.ground.dice.below(1_000_000) < per_mille_and_second * time.as_millis() as u64
    }

    fn strike_servers(&mut self, weather: &Weather, time: Duration) {
        let now = self.ground.net.now();
        for number in 0..self.servers.len() {
            if self.strikes(weather.server_crashes, time) {
                self.ground.note(|| format!("server {number} crashes"));
                self.servers[number] = Place::Down(now + self.ground.dice.millis(0, 3_000));
            }
            let (freezes, restarts) =
                (self.strikes(weather.server_freezes, time), self.strikes(weather.server_restarts, time));
            let freeze = self.ground.dice.millis(500, 12_000);
            let Place::Up(server, ended) = &mut self.servers[number] else { continue };
            if freezes {
                self.ground.note(|| format!("server {number} freezes for {freeze:?}"));
                server.process.freeze(freeze);
            }
            if restarts {
                self.ground.note(|| format!("server {number} is to end"));
                let ended = Arc::clone(ended);
                server.stop(move || ended.store(true, Ordering::Relaxed));
            }
        }
    }

    fn strike_workers(&mut self, weather: &Weather, time: Duration) {
        let now = self.ground.net.now();
        for number in 0..self.workers.len() {
            if self.strikes(weather.worker_crashes, time) {
                self.ground.note(|| format!("worker {number} crashes"));
                self.workers[number] = Place::Down(now + self.ground.dice.millis(0, 3_000));
            }
            let (freezes, restarts, cuts) = (
                self.strikes(weather.worker_freezes, time),
                self.strikes(weather.worker_restarts, time),
                self.strikes(weather.worker_cuts, time),
            );
            let length = self.ground.dice.millis(500, 20_000);
            let Place::Up(worker, ended) = &mut self.workers[number] else { continue };
            if freezes {
                self.ground.note(|| format!("worker {number} freezes for {length:?}"));
                worker.process.freeze(length);
            }
            if cuts {
                self.ground.note(|| format!("worker {number} is cut off for {length:?}"));
                worker.cut.store(true, Ordering::Relaxed);
                self.cuts.push((number, now + length));
            }
            if restarts {
                self.ground.note(|| format!("worker {number} is to end"));
                let ended = Arc::clone(ended);
                worker.drain(Duration::from_secs(1), move || ended.store(true, Ordering::Relaxed));
            }
        }
    }

    /// The storm is over: everything works again, from now on.
    pub fn calm(&mut self) {
        self.ground.note(|| "the storm is over".to_owned());
        let is_away = self.away_until.is_some();
        *lock(&self.ground.weather) = Weather { store_is_away: is_away, ..Weather::calm() };
        let now = self.ground.net.now();
        self.away_until = self.away_until.map(|_| now);
        self.cuts.iter_mut().for_each(|(_, until)| *until = now);
        self.servers.iter_mut().filter_map(Place::up).for_each(|it| it.process.thaw());
        self.workers.iter_mut().filter_map(Place::up).for_each(|it| it.process.thaw());
    }
}
