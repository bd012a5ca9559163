//! T18: the primary dies and its synchronous standby takes its place: whatever was answered is there.
//!
//! Not seen red yet: that takes commits that do not wait for the standby.

use std::thread;
use std::time::{Duration, Instant};

use tasklane_stories::harness::fleet::Fleet;
use tasklane_stories::harness::ground::{Ground, Store};
use tasklane_stories::harness::load::under_load;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::postgres::{Cluster, End, Options};

use crate::t17_database_restarted::resumed;

const RESUMED: Duration = Duration::from_secs(15);

#[test]
fn postgres() {
    chaos("t18_database_promoted::postgres", Store::Postgres, |run| {
        run.line.runs = run.form.of(1, 10);
        for _ in 0..run.line.runs {
            promote(run);
        }
    });
}

fn promote(run: &mut Run) {
    let primary = Cluster::start(Options::full());
    let named = primary.database("fleet");
    let database = named.rsplit_once('/').unwrap().1;
    let standby = primary.standby();
    let url = primary.url_with(&standby, database);
    // What is asked of the cluster is asked of the one that stays.
    let fleet = Fleet::start(Ground::Postgres(standby, url), 2, 2);
    let mut after = Duration::ZERO;
    let figures = under_load(&fleet, 50, |_| {
        thread::sleep(Duration::from_secs(2) + run.choices.moment(500));
        let gone = Instant::now();
        run.line.faults += 1;
        fleet.without_store(|| {
            primary.stop(End::Immediate);
            fleet.cluster().promote();
            resumed(&fleet);
        });
        after = gone.elapsed();
        thread::sleep(Duration::from_secs(1));
    });
    run.within("work_again_ms", after, RESUMED);
    run.found(&figures);
    assert_eq!(figures.interrupted, 0, "an outage ended leases: {figures:?}");
}
