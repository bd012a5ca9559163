//! PostgreSQL goes away and comes back, and single connections of it are cut.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_testkit::postgres::End;
use tasklane_testkit::process::until;
use tasklane_testkit::story::story;

use super::fleet::Fleet;
use super::load::under_load;
use super::producer::Caller;
use super::{PATIENCE, say, setting};

/// What is promised is 5 s on a machine that has nothing else to do; past this it is stuck.
const RESUMED: Duration = Duration::from_secs(15);

#[test]
fn a_restarted_database_costs_nothing_but_the_while() {
    story("many_servers::restarted", || {
        let (fleet, mut slowest) = (Fleet::start(2, 2), Duration::ZERO);
        let restarts = if setting("TASKLANE_STORY_SECONDS").is_some() { 10 } else { 3 };
        let figures = under_load(&fleet, 50, |_| {
            for nth in 0..restarts {
                thread::sleep(Duration::from_millis(700));
                slowest = slowest.max(restart(&fleet, nth));
            }
        });
        say(&format!("many_servers::restarted: {restarts} restarts, resumed within {slowest:?}, {figures:?}"));
        assert_eq!(figures.interrupted, 0, "an outage ended leases: {figures:?}");
        assert!(figures.refused > 0, "{figures:?}");
    });
}

/// Restarts PostgreSQL; answers how long after its return every server took work and a worker did some.
fn restart(fleet: &Fleet, nth: u32) -> Duration {
    fleet.cluster.stop(if nth.is_multiple_of(2) { End::Immediate } else { End::Fast });
    for server in 0..fleet.servers.len() {
        let ready = || fleet.connect(server)?.call("GET", "/ready", &[], b"").ok();
        until("/ready to be red", PATIENCE, || ready().filter(|it| it.status == 503));
        let submit = json!({ "type": "story.unheard", "queue": "aside" });
        let reply = fleet.connect(server).unwrap().json("POST", "/v1/tasks", &submit).unwrap();
        let seconds = reply.clone().problem(503, "store_away").header("retry-after").map(str::to_owned);
        assert!(seconds.is_some_and(|it| it.parse::<u64>().is_ok()), "{reply:?}");
    }
    fleet.cluster.start_again();
    resumed(fleet)
}

/// How long it takes until every server takes tasks and workers do some.
pub fn resumed(fleet: &Fleet) -> Duration {
    let (back, effects) = (Instant::now(), fleet.ledger.of("effect").len());
    for server in 0..fleet.servers.len() {
        until("a server to take a task", RESUMED, || {
            let task = json!({ "type": "story.unheard", "queue": "aside" });
            fleet.connect(server)?.json("POST", "/v1/tasks", &task).ok().filter(|it| it.status == 201)
        });
        until("a server to be ready", RESUMED, || fleet.ask(server, "/ready"));
    }
    until("work to go on", RESUMED, || (fleet.ledger.of("effect").len() > effects).then_some(()));
    back.elapsed()
}

#[test]
fn a_listener_that_is_cut_off_listens_again() {
    story("many_servers::listener", || {
        let fleet = Fleet::start(2, 1);
        let figures = under_load(&fleet, 30, |over| {
            thread::sleep(Duration::from_secs(1));
            let listeners = "application_name = 'tasklane' AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify%')";
            for _ in 0..2 {
                let cut = until("both to listen", PATIENCE, || {
                    (fleet.cluster.sessions(listeners).len() >= 2).then(|| fleet.cluster.terminate(listeners))
                });
                assert!(cut >= 2, "{cut}");
                resumed(&fleet);
            }
            until("both to listen again", PATIENCE, || (fleet.cluster.sessions(listeners).len() >= 2).then_some(()));
            // Every other session, too: each is made anew.
            fleet.cluster.terminate("application_name = 'tasklane'");
            resumed(&fleet);
            assert!(!over.load(Ordering::Relaxed));
        });
        say(&format!("many_servers::listener: {figures:?}"));
        assert_eq!(figures.interrupted, 0, "{figures:?}");
        woken(&fleet);
    });
}

/// Hints cross again: a worker parked at one server gets what is submitted to the other.
fn woken(fleet: &Fleet) {
    let over = false.into();
    let wish = json!({ "worker": "w", "lanes": [{ "types": ["story.woken"] }], "limit": 1, "wait": "20s" });
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        thread::scope(|scope| {
            let parked = scope.spawn(|| Caller::new(fleet, &over, 0).insist("/v1/leases", &wish).unwrap());
            // It may be late: then it finds the task waiting for it.
            thread::sleep(Duration::from_millis(50));
            let start = Instant::now();
            let task = json!({ "type": "story.woken" });
            Caller::new(fleet, &over, 1).insist("/v1/tasks", &task).unwrap().expect(201);
            let leased = parked.join().unwrap().expect(200).json();
            slowest = slowest.max(start.elapsed());
            assert_eq!(leased["tasks"].as_array().unwrap().len(), 1);
        });
    }
    say(&format!("many_servers::listener: woken by the other server within {slowest:?}"));
}
