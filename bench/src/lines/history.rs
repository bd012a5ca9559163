//! `end_to_end` on a store that keeps 5 000 000 finished rows while sweep runs. The rows are made through the store's own
//! verbs (accepted, leased, settled), most of them a day old; a fifth more are past their retention, so that sweep has
//! something to remove while the tasks run. Repetitions share one directory.

use tasklane_core::ports::store::Batch;
use tasklane_core::state::State;

use crate::Failure;
use crate::lines::end_to_end::{Job, TASKS};
use crate::payload::Spread;
use crate::place::Place;
use crate::report::{Line, sample, say};
use crate::server::Server;
use crate::settings::Settings;
use crate::store::{BATCH, Bare, succeeded};

const FINISHED: usize = 5_000_000;
const DAY: u64 = 24 * 3600;

/// Prints the line.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let (place, tasks) = (Place::fresh(settings)?, settings.tasks(TASKS));
    let finished = settings.tasks(FINISHED);
    seed(&place, finished)?;
    Line { name: "end_to_end_history", by: "per_second" }.measure(settings, || {
        let before = kept(&place)?;
        let server = Server::start(settings, &place)?;
        let ready_ms = server.ready_ms;
        let servers = [server];
        let sample = Job { place: &place, servers: &servers, tasks, spread: Spread::NONE }.queue_then_work()?;
        servers.into_iter().try_for_each(|server| server.stop().map(drop))?;
        let swept = before + tasks as u64 - kept(&place)?;
        Ok(sample.with(sample! { "finished_before": before, "swept_meanwhile": swept, "ready_ms": ready_ms }))
    })?;
    Ok(())
}

/// How many succeeded tasks are kept.
fn kept(place: &Place) -> Result<u64, Failure> {
    let bare = Bare::open(place, 1)?;
    let counts = bare.stats()?.counts;
    bare.close();
    Ok(counts.of(State::Succeeded))
}

fn seed(place: &Place, finished: usize) -> Result<(), Failure> {
    let mut bare = Bare::open_in_the_past(place, 8 * DAY)?;
    finish(&mut bare, finished / 5)?;
    bare.asks.clock().set_back(DAY);
    finish(&mut bare, finished)?;
    bare.close();
    Ok(())
}

fn finish(bare: &mut Bare, tasks: usize) -> Result<(), Failure> {
    let (mut settle, rounds) = (Vec::new(), tasks / BATCH);
    for round in 0..rounds {
        let (accept, lease) = (vec![bare.asks.submission(BATCH)], vec![bare.asks.wish(BATCH)]);
        let mut answers = bare.commit(Batch { settle, accept, lease, ..Batch::default() })?;
        settle = succeeded(answers.lease.swap_remove(0));
        if round % 500 == 0 {
            say(&format!("end_to_end_history: {} of {tasks} rows made", round * BATCH));
        }
    }
    bare.commit(Batch { settle, ..Batch::default() })?;
    Ok(())
}
