//! T24: ten thousand connections that wait for work or for events, and busy ones beside them: the server stays small, and a
//! lease takes hardly longer.
//!
//! Seen red: in its long form the program grows past its bound (35 KiB a connection).

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::need::can_open_many_files;
use tasklane_stories::harness::run::chaos;
use tasklane_testkit::http::Connection;
use tasklane_testkit::{Server, ServerOptions, process};

const NAME: &str = "t24_many_connections::sqlite";
const MEMORY: u64 = 300 << 20;

#[test]
fn sqlite() {
    if !can_open_many_files(NAME) {
        return;
    }
    chaos(NAME, Store::Sqlite, |run| {
        let (parked, streams) = run.form.of((3_600, 400), (9_000, 900));
        let options = ServerOptions::without_executors().with_env("TASKLANE_HTTP_MAX_CONNECTIONS", "15000");
        let server = options.start();
        let few = lease_p99(&server, run.form.of(300, 3000));
        let before = process::memory(server.pid());
        let wish = json!({ "worker": "idle", "lanes": [{ "types": ["idle"] }], "limit": 1, "wait": "30s" }).to_string();
        let head = format!("Host: {}\r\nContent-Type: application/json\r\n", server.address());
        let lease = format!("POST /v1/leases HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{wish}", wish.len());
        let follow = format!("GET /v1/events?type=idle HTTP/1.1\r\n{head}Accept: text/event-stream\r\n\r\n");
        let waiting: Vec<_> =
            (0..parked + streams).map(|nth| wait(&server, if nth < streams { &follow } else { &lease })).collect();
        run.line.faults = waiting.len() as u64;
        let many = lease_p99(&server, run.form.of(300, 3000));
        let after = process::memory(server.pid());
        run.figure("memory_mebibytes", (after >> 20) as f64);
        run.figure("kibibytes_each", ((after - before) >> 10) as f64 / waiting.len() as f64);
        run.figure("lease_p99_alone_ms", few.as_secs_f64() * 1000.0);
        assert!(after < MEMORY, "{after} bytes");
        run.within("lease_p99_ms", many, few * 2 + Duration::from_millis(1));
        drop(waiting);
    });
}

fn wait(server: &Server, request: &str) -> Connection {
    let connection = server.connect();
    connection.socket().write_all(request.as_bytes()).unwrap();
    connection
}

/// 99 of 100 leases, each of a task that was just submitted, take no longer.
fn lease_p99(server: &Server, many: usize) -> Duration {
    let mut connection = server.connect();
    let wish = json!({ "worker": "busy", "lanes": [{ "types": ["busy"] }], "limit": 1 });
    let mut took: Vec<_> = (0..many)
        .map(|_| {
            connection.json("POST", "/v1/tasks", &json!({ "type": "busy" })).unwrap().expect(201);
            let start = Instant::now();
            let reply = connection.json("POST", "/v1/leases", &wish).unwrap();
            assert_eq!(reply.status, 200);
            start.elapsed()
        })
        .collect();
    took.sort();
    took[took.len() * 99 / 100]
}
