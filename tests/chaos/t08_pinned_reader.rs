//! T08: another program reads an old state of the database and does not end, so the write-ahead log cannot be moved into it:
//! that is told of, nothing stops, and the log is short again soon after the reader has gone.
//!
//! Seen red: without the alarm nothing is said; with a log that is never moved it stays long.

use std::fs;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::run::chaos;
use tasklane_testkit::process::until;
use tasklane_testkit::{Server, ServerOptions};

const ALARM: u64 = 256 << 20;
const SHORT: u64 = 64 << 20;
const TOLD: Duration = Duration::from_secs(60);
const SHORT_AGAIN: Duration = Duration::from_secs(60);

fn wal(server: &Server) -> u64 {
    fs::metadata(server.data_dir().join("tasklane.db-wal")).map_or(0, |it| it.len())
}

#[test]
fn sqlite() {
    chaos("t08_pinned_reader::sqlite", Store::Sqlite, |run| {
        let server = ServerOptions::without_executors().start();
        server.submit(&json!({ "type": "first" }));
        let reader = Connection::open(server.data_dir().join("tasklane.db")).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM tasks").unwrap();
        let seen = |reader: &Connection| -> i64 {
            reader.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(seen(&reader), 1);
        run.line.faults = 1;
        let batch = json!(vec![json!({ "type": "large", "payload": "x".repeat(100_000) }); 50]);
        while wal(&server) <= ALARM {
            server.post("/v1/tasks:batch", &batch).expect(201);
            run.line.acked += 50;
        }
        let grown = Instant::now();
        until("the alarm in the log", TOLD, || {
            server.submit(&json!({ "type": "small" }));
            server.log().contains("the write-ahead log grows").then_some(())
        });
        let ready = server.get("/ready").expect(200).json();
        assert!(ready["wal"]["bytes"].as_u64().is_some_and(|it| it > ALARM), "{ready}");
        run.within("told_ms", grown.elapsed(), TOLD);
        run.figure("wal_mebibytes", (wal(&server) >> 20) as f64);
        assert_eq!(seen(&reader), 1, "it reads what it began with");

        drop(reader);
        let gone = Instant::now();
        until("the log to be short again", SHORT_AGAIN * 3, || {
            server.submit(&json!({ "type": "small" }));
            (wal(&server) <= SHORT).then_some(())
        });
        run.within("short_again_ms", gone.elapsed(), SHORT_AGAIN);
        let ready = server.get("/ready").expect(200).json();
        assert!(ready.get("wal").is_none(), "{ready}");
    });
}
