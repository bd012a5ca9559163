//! The store alone through core's port, batches of 1000 a commit: accept, then lease and settle. On PostgreSQL, where commits
//! go side by side, with one of them on its way and with as many as a server has.

use tasklane_core::ports::store::{Answers, Batch};
use tasklane_core::settle::Settled;
use tasklane_store::postgres::FLIGHTS;

use crate::Failure;
use crate::machine::monotonic_ns;
use crate::place::Place;
use crate::report::{Line, Sample, rate_since, sample};
use crate::settings::{Settings, Store};
use crate::store::{Asks, BATCH, Bare, succeeded};

const TASKS: usize = 200_000;

/// Prints the line `store_accept`.
pub fn accept(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    for &in_flight in flights(settings) {
        let line = Line { name: "store_accept", by: "per_second" };
        line.measure(settings, || measure_accept(settings, tasks, in_flight))?;
    }
    Ok(())
}

/// Prints the line `store_drain`.
pub fn drain(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    for &in_flight in flights(settings) {
        let line = Line { name: "store_drain", by: "per_second" };
        line.measure(settings, || measure_drain(settings, tasks, in_flight))?;
    }
    Ok(())
}

/// How many commits are on their way at a time.
fn flights(settings: &Settings) -> &'static [usize] {
    match settings.store {
        Store::Sqlite => &[1],
        Store::Postgres => &[1, FLIGHTS],
    }
}

fn measure_accept(settings: &Settings, tasks: usize, in_flight: usize) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    let mut bare = Bare::open(&place, 1)?;
    let mut submissions: Vec<_> = (0..tasks / BATCH).map(|_| bare.asks.submission(BATCH)).collect();
    let watch = place.watch();
    let began = monotonic_ns();
    bare.keep_flying(in_flight, |_, _| {
        submissions.pop().map(|submission| Batch { accept: vec![submission], ..Batch::default() })
    })?;
    let sample = rate_since(tasks, began).with(sample! { "batch": BATCH, "in_flight": in_flight });
    let sample = sample.with(watch.figures(tasks));
    bare.close();
    Ok(sample)
}

fn measure_drain(settings: &Settings, tasks: usize, in_flight: usize) -> Result<Sample, Failure> {
    let place = Place::fresh(settings)?;
    let mut bare = Bare::open(&place, 1)?;
    bare.fill(tasks)?;
    let watch = place.watch();
    let began = monotonic_ns();
    let mut draining = Draining { begun: 0, in_flight, settled: 0 };
    bare.keep_flying(in_flight, |asks, answers| draining.next(asks, answers))?;
    if draining.settled != tasks {
        return Err(format!("settled {} of {tasks}", draining.settled).into());
    }
    let sample = rate_since(tasks, began).with(sample! { "batch": BATCH, "in_flight": in_flight });
    let sample = sample.with(watch.figures(tasks));
    bare.close();
    Ok(sample)
}

/// Each commit settles what the one it follows has leased.
struct Draining {
    begun: usize,
    in_flight: usize,
    settled: usize,
}

impl Draining {
    fn next(&mut self, asks: &mut Asks, mut answers: Answers) -> Option<Batch> {
        self.settled += answers.settle.iter().filter(|it| matches!(it, Settled::Held)).count();
        let settle = succeeded(answers.lease.pop().unwrap_or_default());
        self.begun += 1;
        let is_over = settle.is_empty() && self.begun > self.in_flight;
        (!is_over).then(|| Batch { settle, lease: vec![asks.wish(BATCH)], ..Batch::default() })
    }
}
