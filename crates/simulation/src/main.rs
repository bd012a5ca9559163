//! Runs seeds: `simulate SEEDS [FIRST]` runs many and ends at the first that breaks a law; `simulate --seed SEED` runs one
//! and prints its trace.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tasklane_simulation::{Broken, Lines, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |nth: usize| arguments.get(nth).and_then(|it| it.parse::<u64>().ok());
    match (arguments.first().map(String::as_str), number(0), number(1)) {
        (Some("--seed"), _, Some(seed)) => one(seed),
        (Some(_), Some(seeds), first) => many(first.unwrap_or(0), seeds),
        _ => {
            eprintln!("usage: simulate SEEDS [FIRST] | simulate --seed SEED");
            ExitCode::from(2)
        }
    }
}

fn one(seed: u64) -> ExitCode {
    match run(seed, Lines::Kept) {
        Ok(passed) => {
            passed.lines.iter().for_each(|line| println!("{line}"));
            println!("seed {seed}: {:?}", passed.tally);
            ExitCode::SUCCESS
        }
        Err(broken) => {
            broken.lines.iter().for_each(|line| println!("{line}"));
            println!("{broken}");
            ExitCode::FAILURE
        }
    }
}

fn many(first: u64, seeds: u64) -> ExitCode {
    let (next, started) = (AtomicU64::new(first), Instant::now());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let worst = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(|| some(&next, first + seeds))).collect();
        let broken = all.into_iter().filter_map(|it| it.join().ok().flatten());
        broken.min_by_key(|it| it.seed)
    });
    let ran = (next.load(Ordering::Relaxed).min(first + seeds) - first) as f64;
    println!("{ran} seeds, {:.1} a second", ran / started.elapsed().as_secs_f64());
    worst.map_or(ExitCode::SUCCESS, |broken| {
        println!("{broken}");
        ExitCode::FAILURE
    })
}

/// Runs seeds until one breaks a law, or another thread found one.
fn some(next: &AtomicU64, end: u64) -> Option<Box<Broken>> {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return None;
        }
        if let Err(broken) = run(seed, Lines::Hashed) {
            next.fetch_max(end, Ordering::Relaxed);
            return Some(broken);
        }
    }
}
