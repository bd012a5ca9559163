//! Seeds of `make test`. More of them: `make simulate SEEDS=10000`.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use tasklane_simulation::{Lines, Passed, Tally, run};

/// Seeds that broke a law once, and which. They stay.
const REGRESSIONS: &[u64] = &[];

/// How many others are run.
const SEEDS: u64 = 200;

#[test]
fn every_law_holds_whatever_fails() {
    let all: Vec<u64> = REGRESSIONS.iter().copied().chain(0..SEEDS).collect();
    let (next, threads) = (AtomicU64::new(0), std::thread::available_parallelism().map_or(1, usize::from));
    let work = || {
        let mut passed = Vec::new();
        while let Some(seed) = all.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            match run(*seed, Lines::Hashed) {
                Ok(run) => passed.push(run),
                Err(broken) => panic!("{broken}"),
            }
        }
        passed
    };
    let passed: Vec<Passed> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().flat_map(|it| it.join().expect("a seed broke a law; it is printed above")).collect()
    });
    enough_happened(passed.iter().map(|it| it.tally).collect());
}

/// A storm in which nothing is lost, late or repeated proves nothing.
fn enough_happened(tallies: Vec<Tally>) {
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let runs = tallies.len() as u64;
    for (what, happened, least) in [
        ("tasks succeeded", sum(|it| it.succeeded), 40 * runs),
        ("leases were lost", sum(|it| it.leases_lost), 2 * runs),
        ("outcomes came too late", sum(|it| it.late), runs),
        ("outcomes were repeated", sum(|it| it.repeated), runs / 2),
        ("running tasks were cancelled", sum(|it| it.cancelled), runs / 4),
        ("submits were repeated", sum(|it| it.found), runs),
    ] {
        assert!(happened >= least, "in {runs} runs {happened} {what}, expected {least} at least");
    }
}

#[test]
fn a_seed_is_the_same_run_again() {
    for seed in 0..10 {
        let runs: Vec<_> = (0..2).map(|_| std::thread::spawn(move || run(seed, Lines::Hashed))).collect();
        let runs: Vec<_> = runs.into_iter().map(|it| it.join().unwrap()).collect();
        assert_eq!(runs[0], runs[1], "seed {seed}");
    }
    let (one, other) = (run(1, Lines::Hashed).unwrap(), run(2, Lines::Hashed).unwrap());
    assert_ne!(one.trace, other.trace, "the trace says nothing");
}
