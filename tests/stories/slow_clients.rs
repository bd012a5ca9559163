//! Clients that are slow, half there or gone cost nobody else anything, and what they would have got is not lost.

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::json;
use tasklane_testkit::process::memory;
use tasklane_testkit::story::story;
use tasklane_testkit::{Connection, ServerOptions};

/// Longest time a server may bear with a silent client: its limits are 30 s.
const CUT: Duration = Duration::from_secs(40);

/// Whether the server has closed the connection, read until then.
fn until_cut(connection: &Connection) -> bool {
    connection.socket().set_read_timeout(Some(CUT)).unwrap();
    let mut rest = Vec::new();
    match (&mut connection.socket()).read_to_end(&mut rest) {
        Ok(_) => true,
        Err(why) => why.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn slow_clients_are_cut_and_others_served() {
    story("slow_clients::cut", || {
        let server = ServerOptions::without_executors().start();
        let before = memory(server.pid());
        let open = |bytes: &[u8]| {
            let mut connection = server.connect();
            connection.send(bytes).unwrap();
            connection
        };
        let half_head = b"POST /v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-";
        let half_body = b"POST /v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"type\":";
        let mut slow: Vec<_> = (0..300).map(|_| open(half_head)).collect();
        slow.extend((0..300).map(|_| open(half_body)));
        slow.extend((0..100).map(|_| open(b"")));
        let start = Instant::now();
        for _ in 0..200 {
            server.submit(&json!({ "type": "demo" }));
        }
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "700 slow clients held 200 submits for {:?}",
            start.elapsed()
        );
        let grown = memory(server.pid()).saturating_sub(before);
        assert!(grown < 64 << 20, "700 slow clients cost {grown} bytes");
        for connection in &slow {
            assert!(until_cut(connection), "a slow client is still served after {:?}", start.elapsed());
        }
        server.get("/ready").expect(200);
    });
}

#[test]
fn a_worker_that_hangs_up_while_parked_takes_nothing_with_it() {
    story("slow_clients::hang_up", || {
        let server = ServerOptions::without_executors().start();
        let wish =
            json!({ "worker": "gone", "lanes": [{ "types": ["demo"] }], "limit": 100, "lease": "1h", "wait": "30s" })
                .to_string();
        let head = format!(
            "POST /v1/leases HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{wish}",
            wish.len()
        );
        for how in [Shutdown::Both, Shutdown::Write] {
            for _ in 0..20 {
                let mut gone = server.connect();
                gone.send(head.as_bytes()).unwrap();
                gone.socket().shutdown(how).unwrap();
            }
        }
        let id = server.submit(&json!({ "type": "demo" }));
        let start = Instant::now();
        let leased = server.lease("here", "demo", 1, "30s");
        assert_eq!(leased[0]["id"], id.as_str(), "a worker that hung up holds the task");
        assert!(start.elapsed() < Duration::from_secs(10), "it came back after {:?}", start.elapsed());
        assert_eq!(server.task(&id)["spent"], 0, "an attempt nobody saw was charged");
    });
}
