//! How long the store takes to lease 500 tasks, commit included: with a short queue, a long one, and many lanes. On PostgreSQL
//! once more while somebody holds an old snapshot, so that no row that ended can be cleared away: then it is the rate that
//! counts, of leasing, settling and queuing as many again.

use std::time::Duration;

use tasklane_core::ports::store::Batch;

use crate::Failure;
use crate::machine::{monotonic_ns, quantile, seconds_since};
use crate::place::Place;
use crate::postgres::Snapshot;
use crate::report::{Line, Sample, sample};
use crate::settings::{Settings, Store};
use crate::store::{Bare, succeeded};

const LEASE: usize = 500;
const CALLS: usize = 200;
const LONG: usize = 1_000_000;
const LANES: usize = 1000;
const LINE: Line = Line { name: "lease_time", by: "p50_us" };

/// Tasks that are queued, and the lanes they are spread over.
struct Case {
    queued: usize,
    lanes: usize,
}

/// Prints a line for each; `ratio` is the median against that of the short queue. Repetitions share one store: the queue is
/// as long after a call as before it.
pub fn run(settings: &Settings) -> Result<(), Failure> {
    let mut short = f64::NAN;
    for case in cases(settings) {
        let place = Place::fresh(settings)?;
        let mut bare = Bare::open(&place, case.lanes)?;
        bare.fill(case.queued)?;
        let median = LINE.measure(settings, || {
            let mut sample = measure(&mut bare, &case, Until::Calls(CALLS))?;
            if short.is_finite() {
                sample.put("ratio", sample.number("p50_us") / short);
            }
            Ok(sample)
        })?;
        if !short.is_finite() {
            short = median.number("p50_us");
        }
        if let Some(url) = place.url() {
            let free = median.number("per_second");
            LINE.measure(&settings.once(), || held(&mut bare, &case, url, settings.hold, free))?;
        }
        bare.close();
    }
    Ok(())
}

fn cases(settings: &Settings) -> Vec<Case> {
    let long = settings.tasks(LONG);
    let cases: &[(usize, usize)] = match settings.store {
        Store::Sqlite => &[(1000, 1), (long, 1), (long, LANES)],
        Store::Postgres => &[(10_000, 1), (long, 1)],
    };
    cases.iter().map(|&(queued, lanes)| Case { queued, lanes }).collect()
}

/// When to stop.
enum Until {
    Calls(usize),
    Passed(Duration),
}

fn measure(bare: &mut Bare, case: &Case, until: Until) -> Result<Sample, Failure> {
    let (began, mut times, mut ends) = (monotonic_ns(), Vec::new(), Vec::new());
    while match until {
        Until::Calls(calls) => times.len() < calls,
        Until::Passed(time) => seconds_since(began) < time.as_secs_f64(),
    } {
        times.push(lease_once(bare)?);
        ends.push(seconds_since(began));
    }
    times.sort_by(f64::total_cmp);
    let seconds = seconds_since(began);
    // What the last tenth of the time saw: a rate that sinks shows there.
    let late = ends.iter().filter(|end| **end > seconds * 0.9).count();
    Ok(sample! {
        "queued": case.queued, "lanes": case.lanes, "leased": LEASE, "calls": times.len(),
        "p50_us": quantile(&times, 0.5), "p99_us": quantile(&times, 0.99),
        "per_second": (times.len() * LEASE) as f64 / seconds,
        "last_per_second": (late * LEASE) as f64 / (seconds * 0.1),
    })
}

/// The same while a snapshot is held; `free` is the rate without.
fn held(bare: &mut Bare, case: &Case, url: &str, hold: Duration, free: f64) -> Result<Sample, Failure> {
    let snapshot = Snapshot::hold(url)?;
    let sample = measure(bare, case, Until::Passed(hold))?;
    drop(snapshot);
    let to_free = |name: &str| sample.number(name) / free;
    let ratios = sample! { "held_to_free": to_free("per_second"), "last_to_free": to_free("last_per_second") };
    Ok(sample! { "snapshot_held_seconds": hold.as_secs() }.with(sample).with(ratios))
}

/// Microseconds of one lease commit. Beside it, untimed, the tasks are settled and as many are queued again.
fn lease_once(bare: &mut Bare) -> Result<f64, Failure> {
    let lease = vec![bare.asks.wish(LEASE)];
    let began = monotonic_ns();
    let mut answers = bare.commit(Batch { lease, ..Batch::default() })?;
    let micros = (monotonic_ns() - began) as f64 / 1e3;
    let leased = answers.lease.swap_remove(0);
    if leased.len() != LEASE {
        return Err(format!("{} leased instead of {LEASE}", leased.len()).into());
    }
    let (settle, accept) = (succeeded(leased), vec![bare.asks.submission(LEASE)]);
    bare.commit(Batch { settle, accept, ..Batch::default() })?;
    Ok(micros)
}
