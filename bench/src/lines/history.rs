//! `end_to_end` on a store that keeps 5 000 000 finished rows while sweep runs. The rows are made through the store's own
//! verbs (accepted, leased, settled), most of them a day old; a fifth more are past their retention, so that sweep has
//! something to remove while the tasks run. Repetitions share one directory.

use std::path::Path;

use tasklane_core::ports::store::Batch;
use tasklane_core::state::State;

use crate::Failure;
use crate::lines::end_to_end::{TASKS, queue_then_work};
use crate::report::{Line, sample, say};
use crate::server::Server;
use crate::settings::Settings;
use crate::store::{BATCH, Bare, succeeded};

const FINISHED: usize = 5_000_000;
const DAY: u64 = 24 * 3600;

/// Prints the line.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let (dir, tasks) = (settings.fresh_dir()?, settings.tasks(TASKS));
    let finished = settings.tasks(FINISHED);
    let data = dir.path().join("data");
    seed(&data, finished)?;
    Line { name: "end_to_end_history", by: "per_second" }.measure(settings, || {
        let before = kept(&data)?;
        let server = Server::start(settings, dir.path())?;
        let ready_ms = server.ready_ms;
        let sample = queue_then_work(&server, dir.path(), tasks)?;
        server.stop()?;
        let swept = before + tasks as u64 - kept(&data)?;
        Ok(sample.with(sample! { "finished_before": before, "swept_meanwhile": swept, "ready_ms": ready_ms }))
    })?;
    Ok(())
}

/// How many succeeded tasks are kept.
fn kept(data: &Path) -> Result<u64, Failure> {
    let bare = Bare::open(data, 1)?;
    let counts = bare.stats()?.counts;
    bare.close();
    Ok(counts.of(State::Succeeded))
}

fn seed(data: &Path, finished: usize) -> Result<(), Failure> {
    let mut bare = Bare::open_in_the_past(data, 8 * DAY)?;
    finish(&mut bare, finished / 5)?;
    bare.clock().set_back(DAY);
    finish(&mut bare, finished)?;
    bare.close();
    Ok(())
}

fn finish(bare: &mut Bare, tasks: usize) -> Result<(), Failure> {
    let (mut settle, rounds) = (Vec::new(), tasks / BATCH);
    for round in 0..rounds {
        let (accept, lease) = (vec![bare.submission(BATCH)], vec![bare.wish(BATCH)]);
        let mut answers = bare.commit(Batch { settle, accept, lease, ..Batch::default() })?;
        settle = succeeded(answers.lease.swap_remove(0));
        if round % 500 == 0 {
            say(&format!("end_to_end_history: {} of {tasks} rows made", round * BATCH));
        }
    }
    bare.commit(Batch { settle, ..Batch::default() })?;
    Ok(())
}
