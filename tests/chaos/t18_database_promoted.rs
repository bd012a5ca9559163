//! T18: the primary dies and its standby takes its place. A synchronous one has whatever was answered. One that is not, and
//! was behind, lacks the last of it; all else goes on, no lease is left of what is gone, and no id is given again.
//!
//! Seen red: with commits that do not wait for a standby that is behind, what was acknowledged last is gone (`behind`).

use std::thread;
use std::time::{Duration, Instant};

use tasklane_stories::harness::fleet::Fleet;
use tasklane_stories::harness::ground::{Ground, Store};
use tasklane_stories::harness::load::under_load;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::postgres::{Cluster, End, Options};

use crate::t17_database_restarted::resumed;

const RESUMED: Duration = Duration::from_secs(15);
/// What the standby misses where commits do not wait for it.
const BEHIND: Duration = Duration::from_millis(700);

#[test]
fn postgres() {
    chaos("t18_database_promoted::postgres", Store::Postgres, |run| {
        run.line.runs = run.form.of(1, 10);
        for _ in 0..run.line.runs {
            promote(run);
        }
    });
}

/// A fleet on a database whose standby is caught up. What is asked of its cluster is asked of the one that stays.
fn followed() -> (Cluster, Fleet) {
    let primary = Cluster::start(Options::full());
    let named = primary.database("fleet");
    let standby = primary.standby();
    let url = primary.url_with(&standby, named.rsplit_once('/').unwrap().1);
    let fleet = Fleet::start(Ground::Postgres(standby, url), 2, 2);
    (primary, fleet)
}

/// The primary dies and its standby takes its place; how long it took until work went on.
fn take_over(primary: &Cluster, fleet: &Fleet, run: &mut Run) -> Duration {
    let gone = Instant::now();
    run.line.faults += 1;
    fleet.without_store(|| {
        primary.stop(End::Immediate);
        fleet.cluster().promote();
        resumed(fleet);
    });
    gone.elapsed()
}

fn promote(run: &mut Run) {
    let (primary, fleet) = followed();
    let mut after = Duration::ZERO;
    let figures = under_load(&fleet, 50, |_| {
        thread::sleep(Duration::from_secs(2) + run.choices.moment(500));
        after = take_over(&primary, &fleet, run);
        thread::sleep(Duration::from_secs(1));
    });
    run.within("work_again_ms", after, RESUMED);
    run.found(&figures);
    assert_eq!(figures.interrupted, 0, "an outage ended leases: {figures:?}");
}

#[test]
#[ignore = "told by make chaos"]
fn behind() {
    chaos("t18_database_promoted::behind", Store::Postgres, |run| {
        run.line.runs = run.form.of(1, 10);
        for _ in 0..run.line.runs {
            promote_one_behind(run);
        }
    });
}

fn promote_one_behind(run: &mut Run) {
    let (primary, fleet) = followed();
    primary.without_standby();
    let mut figures = under_load(&fleet, 50, |_| {
        thread::sleep(Duration::from_secs(1) + run.choices.moment(500));
        // From now on it hears nothing any more.
        fleet.cluster().sql("ALTER SYSTEM SET primary_conninfo = ''");
        fleet.cluster().reload();
        thread::sleep(BEHIND);
        take_over(&primary, &fleet, run);
        thread::sleep(Duration::from_secs(1));
    });
    // What nobody else had is gone with the primary, completions too: those tasks are done again.
    let [gone, again] = [&mut figures.lost, &mut figures.doubled].map(|it| std::mem::take(it).len());
    run.figure("gone_with_the_primary", gone as f64);
    run.figure("done_again", again as f64);
    assert!(gone + again > 0, "the standby was not behind: {figures:?}");
    run.found(&figures);
}
