//! A server is frozen for longer than leases last, and goes on.

use std::thread;
use std::time::Duration;

use tasklane_testkit::Signal;
use tasklane_testkit::process::until;
use tasklane_testkit::story::story;

use tasklane_stories::harness::fleet::Fleet;
use tasklane_stories::harness::ground::Ground;
use tasklane_stories::harness::load::under_load;
use tasklane_stories::harness::{PATIENCE, say};

#[test]
fn a_frozen_server_holds_up_nobody_and_harms_nothing_when_it_goes_on() {
    story("many_servers::frozen", || {
        let fleet = Fleet::start(Ground::postgres(), 2, 2);
        let figures = under_load(&fleet, 50, |_| {
            thread::sleep(Duration::from_millis(800));
            fleet.servers[0].read().unwrap().signal(Signal::Stop);
            let effects = fleet.ledger.of("effect").len();
            // Longer than a lease.
            thread::sleep(Duration::from_secs(6));
            until("work to go on meanwhile", PATIENCE, || {
                (fleet.ledger.of("effect").len() > effects + 20).then_some(())
            });
            fleet.servers[0].read().unwrap().signal(Signal::Cont);
            thread::sleep(Duration::from_secs(1));
        });
        say(&format!("many_servers::frozen: {figures:?}"));
        figures.assert_sound();
    });
}
