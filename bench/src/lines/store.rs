//! The store alone through core's port, batches of 1000 a commit: accept, then lease and settle.

use tasklane_core::ports::store::Batch;

use crate::Failure;
use crate::machine::monotonic_ns;
use crate::report::{Line, Sample, rate_since, sample};
use crate::settings::Settings;
use crate::store::{BATCH, Bare, succeeded};

const TASKS: usize = 200_000;

/// Prints the line `store_accept`.
pub fn accept(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    Line { name: "store_accept", by: "per_second" }.measure(settings, || measure_accept(settings, tasks)).map(drop)
}

fn measure_accept(settings: &Settings, tasks: usize) -> Result<Sample, Failure> {
    let dir = settings.fresh_dir()?;
    let mut bare = Bare::open(dir.path(), 1)?;
    let submissions: Vec<_> = (0..tasks / BATCH).map(|_| bare.submission(BATCH)).collect();
    let began = monotonic_ns();
    for submission in submissions {
        bare.commit(Batch { accept: vec![submission], ..Batch::default() })?;
    }
    let sample = rate_since(tasks, began).with(sample! { "batch": BATCH });
    bare.close();
    Ok(sample)
}

/// Prints the line `store_drain`.
pub fn drain(settings: &Settings) -> Result<(), Failure> {
    let tasks = settings.tasks(TASKS);
    Line { name: "store_drain", by: "per_second" }.measure(settings, || measure_drain(settings, tasks)).map(drop)
}

fn measure_drain(settings: &Settings, tasks: usize) -> Result<Sample, Failure> {
    let dir = settings.fresh_dir()?;
    let mut bare = Bare::open(dir.path(), 1)?;
    bare.fill(tasks)?;
    let began = monotonic_ns();
    let (mut settle, mut settled) = (Vec::new(), 0);
    while settled < tasks {
        settled += settle.len();
        let lease = vec![bare.wish(BATCH)];
        let mut answers = bare.commit(Batch { settle, lease, ..Batch::default() })?;
        settle = succeeded(answers.lease.swap_remove(0));
        if settle.is_empty() && settled < tasks {
            return Err(format!("nothing to lease after {settled} of {tasks}").into());
        }
    }
    let sample = rate_since(tasks, began).with(sample! { "batch": BATCH });
    bare.close();
    Ok(sample)
}
