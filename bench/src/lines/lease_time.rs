//! How long the store takes to lease 500 tasks, commit included: with a short queue, a long one, and many lanes.

use tasklane_core::ports::store::Batch;

use crate::Failure;
use crate::machine::{monotonic_ns, quantile};
use crate::report::{Line, Sample, sample};
use crate::settings::Settings;
use crate::store::{Bare, succeeded};

const LEASE: usize = 500;
const CALLS: usize = 200;
const SHORT: usize = 1000;
const LONG: usize = 1_000_000;
const LANES: usize = 1000;

/// Prints a line for each; `ratio` is the median against that of the short queue.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let mut short = f64::NAN;
    for (queued, lanes) in [(SHORT, 1), (settings.tasks(LONG), 1), (settings.tasks(LONG), LANES)] {
        let median = Line { name: "lease_time", by: "p50_us" }.measure(settings, || {
            let mut sample = measure(settings, queued, lanes)?;
            if short.is_finite() {
                sample.put("ratio", sample.number("p50_us") / short);
            }
            Ok(sample)
        })?;
        if !short.is_finite() {
            short = median.number("p50_us");
        }
    }
    Ok(())
}

fn measure(settings: &Settings, queued: usize, lanes: usize) -> Result<Sample, Failure> {
    let dir = settings.fresh_dir()?;
    let mut bare = Bare::open(dir.path(), lanes)?;
    bare.fill(queued)?;
    let mut times = Vec::new();
    for _ in 0..CALLS {
        times.push(lease_once(&mut bare)?);
    }
    times.sort_by(f64::total_cmp);
    bare.close();
    Ok(sample! {
        "queued": queued, "lanes": lanes, "leased": LEASE, "calls": CALLS,
        "p50_us": quantile(&times, 0.5), "p99_us": quantile(&times, 0.99),
    })
}

/// Microseconds of one lease commit. Beside it, untimed, the tasks are settled and as many are queued again.
fn lease_once(bare: &mut Bare) -> Result<f64, Failure> {
    let lease = vec![bare.wish(LEASE)];
    let began = monotonic_ns();
    let mut answers = bare.commit(Batch { lease, ..Batch::default() })?;
    let micros = (monotonic_ns() - began) as f64 / 1e3;
    let leased = answers.lease.swap_remove(0);
    if leased.len() != LEASE {
        return Err(format!("{} leased instead of {LEASE}", leased.len()).into());
    }
    let (settle, accept) = (succeeded(leased), vec![bare.submission(LEASE)]);
    bare.commit(Batch { settle, accept, ..Batch::default() })?;
    Ok(micros)
}
