//! T15: servers and workers are asked to end and started again, one after the other, under load: they finish what they have
//! or give it back unspent, and nothing is done twice. Where TASKLANE_PREVIOUS_BIN names the program of the version before,
//! the servers are that one at first, and are upgraded one after the other.
//!
//! Seen red: with workers that end at once, attempts are interrupted and done again.

use std::env;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use tasklane_stories::harness::fleet::Fleet;
use tasklane_stories::harness::ground::{Ground, Store};
use tasklane_stories::harness::load::under_load;
use tasklane_stories::harness::run::{Run, chaos};

/// From SIGTERM to the end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

#[test]
fn sqlite() {
    chaos("t15_rolling::sqlite", Store::Sqlite, tell);
}

#[test]
fn postgres() {
    chaos("t15_rolling::postgres", Store::Postgres, tell);
}

fn tell(run: &mut Run) {
    let previous = env::var_os("TASKLANE_PREVIOUS_BIN").map(PathBuf::from);
    run.figure("upgraded", previous.iter().len() as f64);
    let fleet = Fleet::start_as(previous, Ground::of(run.store), run.store.servers(), 2);
    let length = Duration::from_secs(run.form.of(6, 900));
    let pause = run.form.of(300, 20_000);
    let mut slowest = Duration::ZERO;
    let figures = under_load(&fleet, 100, |_| {
        let start = Instant::now();
        for nth in 0.. {
            if start.elapsed() > length {
                return;
            }
            thread::sleep(Duration::from_millis(pause / 2) + run.choices.moment(pause));
            let asked = Instant::now();
            if nth % 2 == 0 {
                fleet.stop_server(nth / 2 % fleet.servers.len())
            } else {
                fleet.stop_worker(nth / 2 % 2)
            }
            slowest = slowest.max(asked.elapsed());
            run.line.faults += 1;
            if nth % 2 == 0 {
                fleet.upgrade_server(nth / 2 % fleet.servers.len());
                fleet.spawn_server(nth / 2 % fleet.servers.len());
                fleet.wait_server(nth / 2 % fleet.servers.len());
            } else {
                fleet.start_worker(nth / 2 % 2);
            }
        }
    });
    run.within("ends_ms", slowest, ENDS_WITHIN);
    run.found(&figures);
    assert_eq!((figures.interrupted, figures.repeated), (0, 0), "{figures:?}");
}
