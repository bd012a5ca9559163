//! T01: servers are killed at random under load, and now and then a worker beside them. Whatever was acknowledged is there
//! and done once; a server that was killed serves again in time; no slot of a gate is held by what is over; and of every end a
//! webhook was told, though servers died over its deliveries.
//!
//! Seen red: with answers that are given before their commit is written, acknowledged tasks are gone (`lost`); with a store
//! that drops the deliveries of a commit now and then, ends are not told.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklane_stories::harness::fleet::Fleet;
use tasklane_stories::harness::ground::{Ground, Store};
use tasklane_stories::harness::load::{under_load, unfinished};
use tasklane_stories::harness::run::{Form, Run, chaos};
use tasklane_stories::harness::stuck::Stuck;
use tasklane_testkit::Receiver;
use tasklane_testkit::process::until;

const SERVING_AGAIN: Duration = Duration::from_secs(2);
const WORKERS: usize = 3;
/// After all is at rest.
const TOLD: Duration = Duration::from_secs(120);

#[test]
fn sqlite() {
    chaos("t01_server_killed::sqlite", Store::Sqlite, tell);
}

#[test]
fn postgres() {
    chaos("t01_server_killed::postgres", Store::Postgres, tell);
}

fn tell(run: &mut Run) {
    let fleet = Fleet::start(Ground::of(run.store), run.store.servers(), WORKERS);
    let receiver = Receiver::start();
    let webhook = json!({ "url": receiver.url("/told"), "max_running": 64 });
    let made = fleet.connect(0).unwrap().json("POST", "/v1/webhooks", &webhook).unwrap().expect(201).json();
    let gate = format!("/v1/gates/key:~webhook%2F{}", made["id"].as_str().unwrap());
    (0..fleet.servers.len()).for_each(|server| known(&fleet, server, &receiver));
    let (kills, acked) = run.form.of((12, 0), (200, 100_000));
    let mut slowest = Duration::ZERO;
    let figures = under_load(&fleet, 20 * kills, |_| {
        let mut stuck = Stuck::default();
        for nth in 0.. {
            if nth >= kills && fleet.ledger.of("acked").len() >= acked {
                break;
            }
            let moment = match run.form {
                Form::Short => run.choices.moment(500),
                Form::Long => run.choices.moment(1950),
            };
            // In its first breath, and well under way.
            thread::sleep(Duration::from_millis(50) + moment);
            slowest = slowest.max(strike(&fleet, run));
            stuck.look(&fleet, unfinished(&fleet));
        }
    });
    run.within("serving_again_ms", slowest, SERVING_AGAIN);
    run.figure("repeated", figures.repeated as f64);
    run.figure("crash_loops", figures.looped as f64);
    run.found(&figures);
    told(&fleet, run, &receiver);
    until("no slot to be held", TOLD, || fleet.ask_any(&gate).filter(|it| it["running"] == 0 && it["waiting"] == 0));
    // Leases whose answer was cut off look like crashes; three in a row of one task are rare.
    assert!(figures.looped * 50 <= figures.acked, "{figures:?}");
}

/// A server knows of the webhook once it tells what happens by way of it; the others have a second to hear of one.
fn known(fleet: &Fleet, server: usize, receiver: &Receiver) {
    until("a server to know the webhook", TOLD, || {
        let call = |path: &str, body: &Value| fleet.connect(server)?.json("POST", path, body).ok();
        let made = call("/v1/tasks", &json!({ "type": "nobody.does" }))?.json();
        let id = made["id"].as_str()?.to_owned();
        call(&format!("/v1/tasks/{id}:cancel"), &json!({}))?;
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_millis(200) {
            if receiver.told().contains(&id) {
                return Some(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    });
}

/// Every end is told, sooner or later; those that servers died over, twice.
fn told(fleet: &Fleet, run: &mut Run, receiver: &Receiver) {
    let ended: BTreeSet<String> =
        fleet.ledger.of("acked").iter().filter_map(|it| Some(it.split_once(' ')?.0.to_owned())).collect();
    let told = || receiver.told();
    until("every end to be told", TOLD, || ended.is_subset(&told()).then_some(()));
    let messages = receiver.at_path("/told").len();
    run.figure("told", ended.len() as f64);
    run.figure("told_again", (messages - told().len()) as f64);
}

/// Kills a server, at times all of them, at times a worker too, and starts them again; how long a server took to serve.
fn strike(fleet: &Fleet, run: &mut Run) -> Duration {
    let all = fleet.servers.len();
    let servers: Vec<_> =
        if run.choices.one_in(4) { (0..all).collect() } else { vec![run.choices.next(all as u64) as usize] };
    let worker = run.choices.one_in(4).then(|| run.choices.next(WORKERS as u64) as usize);
    servers.iter().for_each(|it| fleet.kill_server(*it));
    worker.iter().for_each(|it| fleet.kill_worker(*it));
    run.line.faults += (servers.len() + worker.iter().len()) as u64;
    thread::sleep(run.choices.moment(300));
    worker.iter().for_each(|it| fleet.start_worker(*it));
    let start = Instant::now();
    servers.iter().for_each(|it| fleet.spawn_server(*it));
    servers.iter().for_each(|it| fleet.wait_server(*it));
    start.elapsed()
}
