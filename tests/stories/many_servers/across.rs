//! What is asked of one server holds at the other.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tasklane_testkit::postgres::{self, Scratch};
use tasklane_testkit::process::until;
use tasklane_testkit::service::{Held, HoldingService};
use tasklane_testkit::story::story;
use tasklane_testkit::{Connection, Server, WorkerProcess};

use tasklane_stories::harness::ground::on as server;
use tasklane_stories::harness::{PATIENCE, say};

fn two(name: &str) -> (Scratch, Server, Server) {
    let database = postgres::shared().scratch(name);
    let (a, b) = (server(database.url()).start(), server(database.url()).start());
    (database, a, b)
}

fn succeed(server: &Server, leased: &Value, result: &Value) {
    let done = json!({ "id": leased["id"], "lease": leased["lease"], "result": result });
    assert_eq!(server.report(&json!({ "worker": "w", "succeed": [done] }))["lost"], json!([]));
}

#[test]
fn waits_pauses_and_cancellations_cross_servers() {
    story("many_servers::across", || {
        let (_database, a, b) = two("across");
        let id = a.submit(&json!({ "type": "waited" }));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| b.get(&format!("/v1/tasks/{id}/result?wait=30s")));
            let leased = a.lease("w", "waited", 1, "30s");
            thread::sleep(Duration::from_millis(100));
            let start = Instant::now();
            succeed(&a, &leased[0], &json!("by a"));
            assert_eq!(waiting.join().unwrap().expect(200).json(), "by a");
            say(&format!("many_servers::across: a wait at the other server ended after {:?}", start.elapsed()));
        });

        a.submit(&json!({ "type": "held", "queue": "paused" }));
        a.act("/v1/queues/paused:pause").expect(200);
        assert!(b.lease_now("w", "held").is_empty(), "b gave what a had paused");
        b.act("/v1/queues/paused:resume").expect(200);
        assert_eq!(a.lease_now("w", "held").len(), 1);

        let service = HoldingService::start();
        let file =
            format!("[executors.http.called]\nurl = \"{}\"\n[outbound]\nallow = [\"127.0.0.1\"]\n", service.url());
        let _worker = WorkerProcess::start(&[a.url()], &[], &[], &file);
        let id = b.submit(&json!({ "type": "called" }));
        until("the task to run", PATIENCE, || service.calls().first().cloned());
        let start = Instant::now();
        b.act(&format!("/v1/tasks/{id}:cancel")).expect(200);
        until("the worker to hang up", Duration::from_secs(9), || {
            service.calls().first().filter(|it| it.held == Held::HungUp).cloned()
        });
        say(&format!("many_servers::across: a cancellation reached the other's worker after {:?}", start.elapsed()));
        assert_eq!(a.finished(&id)["state"], "cancelled");
    });
}

#[test]
fn a_cancellation_reaches_a_worker_wherever_it_is_and_however_busy() {
    story("many_servers::cancelled", || {
        let (_database, mut a, b) = two("cancelled");
        let service = HoldingService::start();
        let file =
            format!("[executors.http.called]\nurl = \"{}\"\n[outbound]\nallow = [\"127.0.0.1\"]\n", service.url());
        // Leases so long that no renewal would say it in time; every slot is taken.
        let arguments = ["--lease-seconds", "60", "--slots", "1"];
        let worker = WorkerProcess::start(&[a.url()], &arguments, &[], &file);
        let nth_call = |nth: usize| until("the task to run", PATIENCE, || service.calls().get(nth).cloned());
        let cancelled = |server: &Server, id: &str, nth: usize| {
            let start = Instant::now();
            server.act(&format!("/v1/tasks/{id}:cancel")).expect(200);
            until("the worker to hang up", Duration::from_secs(9), || {
                service.calls().get(nth).filter(|it| it.held == Held::HungUp).cloned()
            });
            say(&format!("many_servers::cancelled: a worker with no free slot heard after {:?}", start.elapsed()));
        };
        let id = b.submit(&json!({ "type": "called" }));
        nth_call(0);
        thread::sleep(Duration::from_secs(1));
        cancelled(&b, &id, 0);
        drop(worker);

        // Its server goes, and it listens at another, which has not heard of what it runs.
        let id = b.submit(&json!({ "type": "called" }));
        let leased = a.lease("w", "called", 1, "60s");
        assert_eq!(leased[0]["id"], id.as_str());
        a.kill();
        let body = json!({ "worker": "w", "lanes": [{ "types": ["called"] }], "limit": 0, "wait": "20s" });
        thread::scope(|scope| {
            let listening = scope.spawn(|| b.post("/v1/leases", &body));
            thread::sleep(Duration::from_millis(300));
            let start = Instant::now();
            b.act(&format!("/v1/tasks/{id}:cancel")).expect(200);
            assert_eq!(listening.join().unwrap().expect(200).json()["cancel"], json!([id]));
            let told = start.elapsed();
            assert!(told < Duration::from_secs(9), "not when its wait was over: {told:?}");
            say(&format!("many_servers::cancelled: a worker that had changed its server heard after {told:?}"));
        });
    });
}

/// Reads events from the stream of a server until `enough`.
fn events(stream: &mut Connection, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    use std::io::Read;
    let (mut text, mut bytes) = (String::new(), [0; 4096]);
    stream.socket().set_read_timeout(Some(PATIENCE)).unwrap();
    loop {
        let mut socket = stream.socket();
        let count = socket.read(&mut bytes).expect("the stream tells");
        assert!(count > 0, "the stream ended: {text}");
        text += &String::from_utf8_lossy(&bytes[..count]);
        let told: Vec<Value> =
            text.lines().filter_map(|it| serde_json::from_str(it.strip_prefix("data:")?.trim()).ok()).collect();
        if enough(&told) {
            return told;
        }
    }
}

fn follow(server: &Server) -> Connection {
    let mut stream = server.connect();
    let head = format!("GET /v1/events HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", server.address());
    stream.send(head.as_bytes()).unwrap();
    stream
}

#[test]
fn streams_tell_what_happens_elsewhere_without_gaps_also_beside_an_open_transaction() {
    story("many_servers::streams", || {
        let (database, a, b) = two("streams");
        let mut stream = follow(&b);
        // Told of one, it follows.
        until("the stream to begin", PATIENCE, || {
            a.submit(&json!({ "type": "first" }));
            Some(events(&mut stream, |told| !told.is_empty()))
        });
        thread::scope(|scope| {
            let long = "BEGIN; SELECT pg_current_xact_id(); SELECT pg_sleep(3); COMMIT";
            let open = scope.spawn(|| postgres::shared().sql_in(database.url(), long).unwrap());
            let is_open = "query LIKE '%pg_sleep(3)%' AND state = 'active' AND backend_xid IS NOT NULL";
            until("the long transaction", PATIENCE, || {
                (!postgres::shared().sessions(is_open).is_empty()).then_some(())
            });
            let mut ids = Vec::new();
            for nth in 0..30 {
                let server = if nth % 3 == 0 { &b } else { &a };
                let id = server.submit(&json!({ "type": "told" }));
                let leased = a.lease("w", "told", 1, "30s");
                assert_eq!(leased[0]["id"], id.as_str());
                succeed(server, &leased[0], &json!(nth));
                ids.push(id);
            }
            let ends = |told: &[Value]| told.iter().filter(|it| it["to"] == "succeeded").count();
            let told = events(&mut stream, |told| ends(told) == ids.len());
            open.join().unwrap();
            let of =
                |id: &str| told.iter().filter(|it| it["task"] == id).map(|it| it["to"].clone()).collect::<Vec<_>>();
            for id in &ids {
                assert_eq!(of(id), ["queued", "running", "succeeded"], "{id}");
            }
            let order: Vec<_> = told.iter().filter(|it| it["to"] == "succeeded").map(|it| it["task"].clone()).collect();
            assert_eq!(order, ids, "in the order in which it happened");
        });
    });
}
