//! T23: two thousand workers come back to a server that was away: spread over the span of their back-off, none refused, all
//! of them soon. And a few tasks wake as many of those that wait as there are tasks, not all of them.
//!
//! Seen red: with a back-off without jitter, most of them come in one moment.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_client::{Client, HandlerError, TaskContext};
use tasklane_stories::harness::PATIENCE;
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::need::can_open_many_files;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::process::until;
use tasklane_testkit::{Server, ServerOptions};
use tokio::runtime::Runtime;

const NAME: &str = "t23_herd::sqlite";
const WORKERS: u64 = 2_000;
const ALL_BACK: Duration = Duration::from_secs(60);
/// The span of a back-off at its longest.
const SPAN: Duration = Duration::from_secs(3);
const MOMENT: Duration = Duration::from_millis(250);
/// So many times the average may come in one moment.
const PEAK: f64 = 2.0;
/// Few against the herd.
const TASKS: u64 = 100;

#[test]
fn sqlite() {
    if !can_open_many_files(NAME) {
        return;
    }
    chaos(NAME, Store::Sqlite, |run| {
        let mut server = ServerOptions::without_executors().start();
        let _herd = herd(&server);
        until("all of them to wait", PATIENCE, || (parked(&server) >= Some(WORKERS)).then_some(()));
        for _ in 0..run.form.of(1, 10) {
            server.kill();
            knock(&server, run);
            server.start();
            come_back(&server, run);
        }
        wake(&server, run);
    });
}

/// Workers of the Rust SDK. Each that waits has a connection of its own.
fn herd(server: &Server) -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let client = Client::builder().url(server.url()).build().unwrap();
    for nth in 0..WORKERS {
        let work = |_: TaskContext, (): ()| async { Ok::<_, HandlerError>(()) };
        let worker = client.worker().name(&format!("herd-{nth}")).slots(1).handle("herd", work);
        runtime.spawn(worker.run_until(std::future::pending()));
    }
    runtime
}

/// Counts who comes to the door of a server that is away, moment by moment.
fn knock(server: &Server, run: &mut Run) {
    let door = TcpListener::bind(server.address()).unwrap();
    door.set_nonblocking(true).unwrap();
    // Until then they have failed so often that their back-off is as long as it ever is.
    let (settled, end) = (SPAN * 2, SPAN * 4);
    let (start, mut knocks) = (Instant::now(), BTreeMap::<u128, u64>::new());
    while start.elapsed() < end {
        match door.accept() {
            Ok(_) if start.elapsed() < settled => {}
            Ok(_) => *knocks.entry(start.elapsed().as_millis() / MOMENT.as_millis()).or_default() += 1,
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    let all: u64 = knocks.values().sum();
    run.line.faults += all;
    assert!(all >= WORKERS, "only {all} came: that was no herd");
    let average = all as f64 / ((end - settled).as_millis() / MOMENT.as_millis()) as f64;
    let of_average = *knocks.values().max().unwrap() as f64 / average;
    run.figure("peak_of_average", of_average);
    assert!(of_average <= PEAK, "in one moment {of_average} times as many came as on average: {knocks:?}");
}

/// How long it takes until all are there.
fn come_back(server: &Server, run: &mut Run) {
    let start = Instant::now();
    until("all of them to be back", ALL_BACK, || (parked(server) >= Some(WORKERS)).then_some(()));
    run.within("all_back_ms", start.elapsed(), ALL_BACK);
    let refused = metric(server, "tasklane_http_connections_turned_away").unwrap_or(0);
    assert_eq!((refused, server.get("/metrics").text().contains("tasklane_http_limits{")), (0, false));
}

/// Some tasks, and how many requests for work were answered meanwhile.
fn wake(server: &Server, run: &mut Run) {
    let answered = || {
        let text = server.get("/metrics").expect(200).text();
        let lines = text.lines().filter(|it| it.starts_with("tasklane_http_requests") && it.contains("/v1/leases"));
        lines.filter_map(value).sum::<u64>()
    };
    let before = answered();
    let tasks = json!(vec![json!({ "type": "herd", "payload": null }); TASKS as usize]);
    let reply = server.post("/v1/tasks:batch", &tasks).expect(201).json();
    for task in reply["tasks"].as_array().unwrap() {
        let task = server.finished(task["id"].as_str().unwrap());
        run.line.acked += 1;
        run.line.succeeded += usize::from(task["state"] == "succeeded");
    }
    let woken = answered() - before;
    run.figure("woken_for_each_task", woken as f64 / TASKS as f64);
    assert_eq!(run.line.acked, run.line.succeeded);
    assert!(woken < WORKERS / 2, "{woken} requests were answered for {TASKS} tasks");
}

fn parked(server: &Server) -> Option<u64> {
    metric(server, "tasklane_leases_parked")
}

fn metric(server: &Server, name: &str) -> Option<u64> {
    let text = server.connect_if_it_listens()?.call("GET", "/metrics", &[], b"").ok()?.text();
    text.lines().find(|it| it.split(' ').next() == Some(name)).and_then(value)
}

fn value(line: &str) -> Option<u64> {
    line.rsplit(' ').next()?.parse::<f64>().ok().map(|it| it as u64)
}
