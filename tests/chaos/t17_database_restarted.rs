//! T17: PostgreSQL goes away and comes back, single connections of it are cut, and it has none to spare.
//!
//! Seen red: with leases that end with an outage (`RescueWithoutGrace`) attempts under way are interrupted, and what was held
//! over an outage is lost, also where others had taken all sessions.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_stories::harness::PATIENCE;
use tasklane_stories::harness::fleet::Fleet;
use tasklane_stories::harness::ground::{Ground, Store};
use tasklane_stories::harness::load::under_load;
use tasklane_stories::harness::producer::Caller;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::postgres::{Cluster, End, Hungry, Options};
use tasklane_testkit::process::until;

/// How soon work goes on after the database is back.
const RESUMED: Duration = Duration::from_secs(5);
/// As many as the database has where others take them.
const CONNECTIONS: u32 = 40;
/// For how long they leave none to the servers: longer than leases last.
const HUNGER: Duration = Duration::from_secs(5);
/// Past this it is stuck.
const STUCK: Duration = Duration::from_secs(30);

#[test]
fn postgres() {
    chaos("t17_database_restarted::postgres", Store::Postgres, |run| {
        let (fleet, mut slowest) = (Fleet::start(Ground::postgres(), 2, 2), Duration::ZERO);
        let restarts = run.form.of(3, 50);
        let figures = under_load(&fleet, 50, |_| {
            for nth in 0..restarts {
                thread::sleep(Duration::from_millis(500) + run.choices.moment(400));
                slowest = slowest.max(restart(&fleet, nth));
                run.line.faults += 1;
            }
        });
        run.within("work_again_ms", slowest, RESUMED);
        run.found(&figures);
        assert_eq!(figures.interrupted, 0, "an outage ended leases: {figures:?}");
        assert!(figures.refused > 0, "{figures:?}");
    });
}

/// Restarts PostgreSQL; answers how long after its return every server took work and a worker did some.
fn restart(fleet: &Fleet, nth: u32) -> Duration {
    let held = (nth == 1).then(|| hold(fleet));
    fleet.cluster().stop(if nth.is_multiple_of(2) { End::Immediate } else { End::Fast });
    for server in 0..fleet.servers.len() {
        let ready = || fleet.connect(server)?.call("GET", "/ready", &[], b"").ok();
        until("/ready to be red", PATIENCE, || ready().filter(|it| it.status == 503));
        let submit = json!({ "type": "story.unheard", "queue": "aside" });
        let reply = fleet.connect(server).unwrap().json("POST", "/v1/tasks", &submit).unwrap();
        let seconds = reply.clone().problem(503, "store_away").header("retry-after").map(str::to_owned);
        assert!(seconds.is_some_and(|it| it.parse::<u64>().is_ok()), "{reply:?}");
    }
    if nth == 1 {
        // Longer than leases last.
        thread::sleep(Duration::from_secs(6));
    }
    fleet.cluster().start_again();
    let took = resumed(fleet);
    if let Some(done) = held {
        still_held(fleet, &done);
    }
    took
}

/// Takes a task with a lease that is shorter than the outage; what is to be reported of it afterwards.
fn hold(fleet: &Fleet) -> serde_json::Value {
    let ask = |path: &str, body: &serde_json::Value| fleet.connect(0).unwrap().json("POST", path, body).unwrap();
    ask("/v1/tasks", &json!({ "type": "story.held", "queue": "aside" })).expect(201);
    let wish =
        json!({ "worker": "w", "lanes": [{ "types": ["story.held"] }], "limit": 1, "lease": "4s", "wait": "5s" });
    let leased = ask("/v1/leases", &wish).expect(200).json()["tasks"][0].clone();
    json!({ "worker": "w", "succeed": [{ "id": leased["id"], "lease": leased["lease"], "result": 1 }] })
}

/// Reports what was held over an outage.
fn still_held(fleet: &Fleet, done: &serde_json::Value) {
    // Long enough for a rescue that should not be, and shorter than the lease that counts anew.
    thread::sleep(Duration::from_secs(2));
    let reply = fleet.connect(0).unwrap().json("POST", "/v1/reports", done).unwrap().expect(200);
    assert_eq!(reply.json()["lost"], json!([]), "the lease ended with the outage");
}

/// How long it takes until every server takes tasks and workers do some.
pub fn resumed(fleet: &Fleet) -> Duration {
    let (back, effects) = (Instant::now(), fleet.ledger.of("effect").len());
    for server in 0..fleet.servers.len() {
        until("a server to take a task", STUCK, || {
            let task = json!({ "type": "story.unheard", "queue": "aside" });
            fleet.connect(server)?.json("POST", "/v1/tasks", &task).ok().filter(|it| it.status == 201)
        });
        until("a server to be ready", STUCK, || fleet.ask(server, "/ready"));
    }
    until("work to go on", STUCK, || (fleet.ledger.of("effect").len() > effects).then_some(()));
    back.elapsed()
}

#[test]
fn listener() {
    chaos("t17_database_restarted::listener", Store::Postgres, |run| {
        let fleet = Fleet::start(Ground::postgres(), 2, 1);
        let figures = under_load(&fleet, 30, |over| {
            let listeners = "application_name = 'tasklane' AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify%')";
            for _ in 0..run.form.of(2, 50) {
                thread::sleep(Duration::from_millis(500) + run.choices.moment(500));
                let cut = until("both to listen", PATIENCE, || {
                    (fleet.cluster().sessions(listeners).len() >= 2).then(|| fleet.cluster().terminate(listeners))
                });
                assert!(cut >= 2, "{cut}");
                run.line.faults += 1;
                resumed(&fleet);
            }
            until("both to listen again", PATIENCE, || (fleet.cluster().sessions(listeners).len() >= 2).then_some(()));
            // Every other session, too: each is made anew.
            fleet.cluster().terminate("application_name = 'tasklane'");
            resumed(&fleet);
            assert!(!over.load(Ordering::Relaxed));
        });
        run.found(&figures);
        assert_eq!(figures.interrupted, 0, "{figures:?}");
        woken(&fleet, run);
    });
}

/// Others take every connection that there is, and the servers' are cut: they refuse until there are some again.
#[test]
fn connections() {
    chaos("t17_database_restarted::connections", Store::Postgres, |run| {
        let cluster = Cluster::start(Options::full().with("max_connections", &CONNECTIONS.to_string()));
        let url = cluster.database("fleet");
        let fleet = Fleet::start(Ground::Postgres(cluster, url.clone()), 2, 2);
        let mut slowest = Duration::ZERO;
        let figures = under_load(&fleet, 50, |_| {
            for _ in 0..run.form.of(1, 10) {
                thread::sleep(Duration::from_millis(500) + run.choices.moment(500));
                let (held, hungry) = (hold(&fleet), Hungry::start(&url, CONNECTIONS, "tasklane"));
                let mut since = Instant::now();
                until("servers to be without sessions for long", PATIENCE, || {
                    let task = json!({ "type": "story.unheard", "queue": "aside" });
                    let submit = |server| fleet.connect(server)?.json("POST", "/v1/tasks", &task).ok();
                    let refuses = |server| submit(server).is_some_and(|it| it.status == 503);
                    since = if (0..fleet.servers.len()).all(refuses) { since } else { Instant::now() };
                    (since.elapsed() > HUNGER).then_some(())
                });
                drop(hungry);
                run.line.faults += 1;
                slowest = slowest.max(resumed(&fleet));
                still_held(&fleet, &held);
            }
        });
        run.within("work_again_ms", slowest, RESUMED);
        run.found(&figures);
        assert_eq!(figures.interrupted, 0, "an outage ended leases: {figures:?}");
    });
}

/// Hints cross again: a worker parked at one server gets what is submitted to the other.
fn woken(fleet: &Fleet, run: &mut Run) {
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
    run.figure("woken_by_the_other_ms", slowest.as_secs_f64() * 1000.0);
}
