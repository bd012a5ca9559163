//! `tasklane worker`: the server's executors in processes of their own, while servers are killed, away or were never there.
//! What they really do is seen from outside, by the service that a type is bound to.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklane_testkit::process::{Signal, until};
use tasklane_testkit::service::{Held, HoldingService};
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions, WorkerProcess, port};

const PATIENCE: Duration = Duration::from_secs(15);
const TASKS: usize = 20;

fn worker(servers: &[String], service: &HoldingService, arguments: &[&str]) -> WorkerProcess {
    let file = format!("[executors.http.held]\nurl = \"{}\"\n[outbound]\nallow = [\"127.0.0.1\"]\n", service.url());
    let worker = WorkerProcess::start(servers, arguments, &[], &file);
    worker.until_says("\"ready\"");
    worker
}

fn submit(server: &Server, tasks: usize) -> Vec<String> {
    (0..tasks).map(|_| server.submit(&json!({ "type": "held" }))).collect()
}

fn until_waiting(service: &HoldingService, calls: usize) {
    let waiting = || service.calls().iter().filter(|it| it.held == Held::Waiting).count();
    until("the tasks to run", PATIENCE, || (waiting() == calls).then_some(()));
}

fn settled_once(task: &Value) {
    assert_eq!(
        (&task["state"], &task["attempt"], &task["spent"]),
        (&json!("succeeded"), &json!(1), &json!(1)),
        "{task}"
    );
}

#[test]
fn a_killed_server_interrupts_nothing() {
    story("workers_elsewhere::server_killed", || {
        let (mut server, service) = (ServerOptions::without_executors().start(), HoldingService::start());
        let arguments = ["--lease-seconds", "6", "--slots", "15"];
        // Each has a queue of its own, so that some slots of each stay free and it asks for work all the time.
        let own = [("zone=a", "a"), ("zone=b", "b")].map(|(label, queue)| ["--label", label, "--queue", queue]);
        let workers = own.map(|own| worker(&[server.url()], &service, &[&arguments[..], &own].concat()));
        let queue = |n: usize| if n % 2 == 0 { "a" } else { "b" };
        let ids: Vec<_> = (0..TASKS).map(|n| server.submit(&json!({ "type": "held", "queue": queue(n) }))).collect();
        until_waiting(&service, TASKS);
        server.kill();
        thread::sleep(Duration::from_secs(1));
        server.start();
        // Longer than a lease, so they are renewed at the new server. What it did not hear of is not run again.
        thread::sleep(Duration::from_secs(7));
        service.answer();
        let tasks: Vec<_> = ids.iter().map(|id| server.finished(id)).collect();
        tasks.iter().for_each(settled_once);
        let calls = service.calls();
        assert!(
            calls.len() == TASKS && calls.iter().all(|it| (it.attempt, it.held) == (1, Held::Answered)),
            "{calls:?}"
        );
        let names: BTreeSet<_> = tasks.iter().map(|it| it["worker"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.iter().all(|it| it.contains(" zone=")), "labels stand behind the name: {names:?}");
        for worker in &workers {
            let said = ["no server answers", "a server answers again"].map(|it| worker.said(it));
            assert_eq!(said, [1, 1], "once for each change:\n{}", worker.log());
        }
    });
}

#[test]
fn work_stops_where_its_lease_cannot_be_renewed_and_is_done_again() {
    story("workers_elsewhere::server_away", || {
        let (mut server, service) = (ServerOptions::without_executors().start(), HoldingService::start());
        let worker = worker(&[server.url()], &service, &["--lease-seconds", "3"]);
        let id = submit(&server, 1).remove(0);
        until_waiting(&service, 1);
        // It has been renewed, and the lease from the last renewal is what counts.
        thread::sleep(Duration::from_secs(2));
        server.kill();
        let away = Instant::now();
        until("the worker to hang up", PATIENCE, || (service.calls()[0].held == Held::HungUp).then_some(()));
        assert!(away.elapsed() <= Duration::from_millis(3100), "within the lease: {:?}", away.elapsed());
        assert_eq!(worker.said("no server renewed these leases"), 1);
        service.answer();
        server.start();
        let task = server.finished(&id);
        assert_eq!((&task["state"], &task["attempt"]), (&json!("succeeded"), &json!(2)), "{task}");
        let calls: Vec<_> = service.calls().iter().map(|it| (it.attempt, it.held)).collect();
        assert_eq!(calls, [(1, Held::HungUp), (2, Held::Answered)]);
    });
}

#[test]
fn asked_to_end_it_drains_and_asked_twice_it_ends() {
    story("workers_elsewhere::drained", || {
        let (server, service) = (ServerOptions::without_executors().start(), HoldingService::start());
        let mut first = worker(&[server.url()], &service, &["--drain-seconds", "2"]);
        let done = submit(&server, 1).remove(0);
        until_waiting(&service, 1);
        first.signal(Signal::Term);
        first.until_says("once more stops at once");
        let later = submit(&server, 1).remove(0);
        service.answer();
        assert_eq!(first.wait_end().code(), Some(0));
        settled_once(&server.task(&done));

        // What is not done in time is given back, and costs nothing.
        service.hold();
        let mut second = worker(&[server.url()], &service, &["--drain-seconds", "1"]);
        until_waiting(&service, 1);
        second.signal(Signal::Term);
        assert_eq!(second.wait_end().code(), Some(0));
        assert_eq!((second.said("\"given_back\":1"), second.said("\"unreported\":0")), (1, 1));
        let task = server.task(&later);
        assert_eq!((&task["state"], &task["spent"]), (&json!("queued"), &json!(0)), "{task}");

        let mut third = worker(&[server.url()], &service, &["--drain-seconds", "60"]);
        until_waiting(&service, 1);
        third.signal(Signal::Term);
        third.until_says("once more stops at once");
        third.signal(Signal::Term);
        assert_eq!(third.wait_end().code(), Some(130));
    });
}

/// Which of `servers` the worker says it works for.
fn worked_for(worker: &WorkerProcess, servers: &[&Server]) -> usize {
    let log = worker.log();
    let says = |it: &&str| it.contains("\"ready\"") || it.contains("another server is worked for");
    let last: Value = serde_json::from_str(log.lines().rfind(says).unwrap()).unwrap();
    servers.iter().position(|it| last["server"] == it.url().as_str()).unwrap()
}

#[test]
fn of_several_servers_one_that_answers_is_worked_for() {
    story("workers_elsewhere::several", || {
        let mut servers = [0, 1].map(|_| ServerOptions::without_executors().start());
        let service = HoldingService::start();
        service.answer();
        let dead = format!("http://127.0.0.1:{}", port::free());
        let worker = worker(&[dead, servers[0].url(), servers[1].url()], &service, &[]);
        let [a, b] = &servers;
        let nth = worked_for(&worker, &[a, b]);
        let id = submit(&servers[nth], 1).remove(0);
        settled_once(&servers[nth].finished(&id));
        assert_eq!(worker.said("no server answers"), 0, "another one did:\n{}", worker.log());
        servers[nth].kill();
        let id = submit(&servers[1 - nth], 1).remove(0);
        settled_once(&servers[1 - nth].finished(&id));
        assert_eq!(worker.said("another server is worked for"), 1, "{}", worker.log());
    });
}

#[test]
fn an_idle_worker_soon_leaves_a_server_that_goes_without_a_word() {
    story("workers_elsewhere::silent", || {
        let servers = [0, 1].map(|_| ServerOptions::without_executors().start());
        let service = HoldingService::start();
        service.answer();
        // A wish waits for two thirds of a lease at most.
        let urls = servers.each_ref().map(Server::url);
        let worker = worker(&urls, &service, &["--lease-seconds", "3"]);
        let [a, b] = &servers;
        let nth = worked_for(&worker, &[a, b]);
        thread::sleep(Duration::from_millis(500));
        servers[nth].signal(Signal::Stop);
        let id = submit(&servers[1 - nth], 1).remove(0);
        // Two seconds of waiting, three more for the answer; the rest is for a busy machine.
        settled_once(&servers[1 - nth].finished(&id));
        assert_eq!(worker.said("another server is worked for"), 1, "{}", worker.log());
        servers[nth].signal(Signal::Cont);
    });
}

#[test]
fn the_outbound_guard_holds_in_a_worker_too() {
    story("workers_elsewhere::guarded", || {
        let (server, service) = (ServerOptions::without_executors().start(), HoldingService::start());
        let bound = format!("[executors.http.held]\nurl = \"{}\"\n", service.url());
        let mut worker = WorkerProcess::start(&[server.url()], &[], &[], &bound);
        assert_eq!(worker.wait_end().code(), Some(2), "{}", worker.log());
        assert!(worker.log().contains("outbound.allow"), "{}", worker.log());
    });
}
