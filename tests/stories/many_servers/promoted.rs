//! The primary dies and its synchronous standby takes its place: whatever was answered is there.

use std::thread;
use std::time::{Duration, Instant};

use tasklane_testkit::postgres::{Cluster, End, Options};
use tasklane_testkit::story::story;

use super::away::resumed;
use super::fleet::Fleet;
use super::load::under_load;
use super::{say, seconds};

#[test]
fn a_promoted_standby_has_everything_that_was_answered() {
    story("many_servers::promoted", || {
        let primary = Cluster::start(Options::full());
        let named = primary.database("fleet");
        let database = named.rsplit_once('/').unwrap().1;
        let standby = primary.standby();
        let url = primary.url_with(&standby, database);
        // What is asked of the cluster is asked of the one that stays.
        let fleet = Fleet::on(standby, &url, 2, 2);
        let mut after = Duration::ZERO;
        let figures = under_load(&fleet, 50, |_| {
            thread::sleep(seconds(2));
            primary.stop(End::Immediate);
            let gone = Instant::now();
            fleet.cluster.promote();
            resumed(&fleet);
            after = gone.elapsed();
            thread::sleep(Duration::from_secs(1));
        });
        say(&format!("many_servers::promoted: work went on {after:?} after the primary died, {figures:?}"));
        assert_eq!(figures.interrupted, 0, "an outage ended leases: {figures:?}");
    });
}
