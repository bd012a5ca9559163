//! The server is killed under load, twenty times. Whatever it acknowledged is there afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklane_testkit::http::Connection;
use tasklane_testkit::story::story;
use tasklane_testkit::{Ledger, Reply, ServerOptions};

const KILLS: u32 = 20;
const SERVING_AGAIN: Duration = Duration::from_secs(2);

/// Calls until it is answered, over any number of broken connections; `None` when the story is over.
struct Stubborn<'a> {
    address: SocketAddr,
    over: &'a AtomicBool,
    connection: Option<Connection>,
}

impl Stubborn<'_> {
    fn call(&mut self, path: &str, body: &Value, again: Again) -> Option<Reply> {
        while !self.over.load(Ordering::Relaxed) {
            if self.connection.is_none() {
                self.connection = Connection::open(self.address).ok();
            }
            let Some(connection) = &mut self.connection else {
                thread::sleep(Duration::from_millis(2));
                continue;
            };
            match connection.json("POST", path, body) {
                Ok(reply) if reply.status < 500 => return Some(reply),
                Ok(_) => thread::sleep(Duration::from_millis(2)),
                Err(_) => {
                    self.connection = None;
                    if again == Again::Never {
                        return None;
                    }
                }
            }
        }
        None
    }
}

/// Whether a call whose answer was lost is made again.
#[derive(Clone, Copy, PartialEq)]
enum Again {
    Always,
    Never,
}

/// Submits until it is over; what was answered goes into the ledger, what was not is forgotten, as a careless caller does.
fn produce(mut server: Stubborn, ledger: &Mutex<Ledger>, producer: usize) {
    for nth in 0_u64.. {
        if server.over.load(Ordering::Relaxed) {
            return;
        }
        let task = json!({ "type": "load", "payload": { "producer": producer, "nth": nth }, "max_attempts": 1000 });
        let (path, body) = if producer == 0 { ("/v1/tasks:batch", json!(vec![task; 20])) } else { ("/v1/tasks", task) };
        let Some(reply) = server.call(path, &body, Again::Never) else { continue };
        let answer = reply.expect(201).json();
        let ids = answer["tasks"]
            .as_array()
            .map_or_else(|| vec![answer["id"].clone()], |it| it.iter().map(|it| it["id"].clone()).collect());
        let ledger = ledger.lock().unwrap();
        for id in ids {
            ledger.write(&format!("acked {}", id.as_str().unwrap()));
        }
    }
}

/// Works until it is over. A report whose answer was lost is repeated; accepted completions go into the ledger.
fn work(mut server: Stubborn, ledger: &Mutex<Ledger>, worker: &str) {
    let wish =
        json!({ "worker": worker, "lanes": [{ "types": ["load"] }], "limit": 20, "lease": "2s", "wait": "200ms" });
    while !server.over.load(Ordering::Relaxed) {
        let Some(reply) = server.call("/v1/leases", &wish, Again::Always) else { return };
        if reply.status == 204 {
            continue;
        }
        let tasks = reply.expect(200).json()["tasks"].as_array().unwrap().clone();
        let done: Vec<_> =
            tasks.iter().map(|it| json!({ "id": it["id"], "lease": it["lease"], "result": it["attempt"] })).collect();
        let Some(reply) = server.call("/v1/reports", &json!({ "worker": worker, "succeed": done }), Again::Always)
        else {
            return;
        };
        let lost: BTreeSet<_> =
            reply.expect(200).json()["lost"].as_array().unwrap().iter().map(ToString::to_string).collect();
        let ledger = ledger.lock().unwrap();
        for task in tasks.iter().filter(|it| !lost.contains(&it["id"].to_string())) {
            ledger.write(&format!("completed {} {}", task["id"].as_str().unwrap(), task["attempt"]));
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_completed_twice() {
    story("server_killed", || {
        let mut server = ServerOptions::without_executors().start();
        let ledger = Mutex::new(Ledger::open(&server.dir().join("ledger")));
        let (producing, working) = (AtomicBool::new(false), AtomicBool::new(false));
        let slowest = AtomicU64::new(0);
        let address = server.address();
        let stubborn = |over| Stubborn { address, over, connection: None };
        thread::scope(|scope| {
            for producer in 0..4 {
                let (server, ledger) = (stubborn(&producing), &ledger);
                scope.spawn(move || produce(server, ledger, producer));
            }
            for worker in ["w1", "w2"] {
                let (server, ledger) = (stubborn(&working), &ledger);
                scope.spawn(move || work(server, ledger, worker));
            }
            for kill in 0..KILLS {
                // Moments spread over the life of a server: in its first breath, and well under way.
                thread::sleep(Duration::from_millis(u64::from(20 + (kill * 97) % 400)));
                server.kill();
                let start = Instant::now();
                server.start();
                slowest.fetch_max(start.elapsed().as_millis() as u64, Ordering::Relaxed);
            }
            producing.store(true, Ordering::Relaxed);
            let start = Instant::now();
            while unfinished(&server.get("/v1/queues/default").json()) > 0 && start.elapsed() < Duration::from_secs(60)
            {
                thread::sleep(Duration::from_millis(50));
            }
            working.store(true, Ordering::Relaxed);
        });
        let slowest = Duration::from_millis(slowest.into_inner());
        assert!(slowest < SERVING_AGAIN, "serving again after {slowest:?}");
        check(&server, &ledger.into_inner().unwrap());
        assert_eq!(server.stop().code(), Some(0));
    });
}

fn unfinished(queue: &Value) -> u64 {
    queue["counts"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
}

fn check(server: &tasklane_testkit::Server, ledger: &Ledger) {
    let acked = ledger.of("acked");
    assert!(acked.len() > 1000, "only {} tasks were acknowledged: that was no load", acked.len());
    let mut completed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in ledger.of("completed") {
        let (id, attempt) = line.split_once(' ').unwrap();
        completed.entry(id.into()).or_default().insert(attempt.into());
    }
    for (id, attempts) in &completed {
        assert_eq!(attempts.len(), 1, "{id} has accepted completions of attempts {attempts:?}");
    }
    let mut connection = server.connect();
    for id in &acked {
        let reply = connection.call("GET", &format!("/v1/tasks/{id}"), &[], b"").unwrap();
        assert_eq!(reply.status, 200, "{id} was acknowledged and is lost");
        let task = reply.json();
        // Three attempts in a row whose lease answer was cut off look like a crash loop; that is a rule, not a loss.
        let looped = task["state"] == "failed" && task["reason"] == "crash_loop";
        assert!(task["state"] == "succeeded" || looped, "{task}");
        if let Some(attempts) = completed.get(id) {
            assert_eq!(task["state"], "succeeded", "its completion was accepted: {task}");
            assert!(attempts.contains(&task["result"].to_string()), "accepted {attempts:?}, kept {task}");
        }
    }
}

#[test]
fn an_outage_expires_no_lease() {
    story("server_killed::outage", || {
        let mut server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo" }));
        let leased = server.lease("w", "demo", 1, "2s");
        server.kill();
        // Longer than the lease: its worker could not renew it, and must not be punished for that.
        thread::sleep(Duration::from_millis(2500));
        server.start();
        let other = json!({ "worker": "v", "lanes": [{ "types": ["demo"] }], "limit": 1, "wait": "500ms" });
        assert!(server.tasks_of(&other).is_empty(), "the lease ended with the outage");
        let done = json!({ "worker": "w", "succeed": [{ "id": id, "lease": leased[0]["lease"], "result": 1 }] });
        assert_eq!(server.report(&done)["lost"], json!([]));
        let task = server.task(&id);
        assert_eq!((&task["state"], &task["attempt"]), (&json!("succeeded"), &json!(1)), "{task}");

        // A worker that died with the server is found out all the same: its lease counts anew, and then it is over.
        let id = server.submit(&json!({ "type": "demo" }));
        server.lease("w", "demo", 1, "1s");
        server.kill();
        server.start();
        let again = server.lease("v", "demo", 1, "30s");
        assert_eq!((&again[0]["id"], &again[0]["attempt"]), (&json!(id), &json!(2)));
    });
}
