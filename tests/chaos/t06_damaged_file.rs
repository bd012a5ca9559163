//! T06: the database file is damaged in many ways: the server refuses it with exit code 65 and a cause, or serves what is whole
//! and says of the rest that it is damaged. It never serves a changed payload and never panics.
//!
//! Seen red: with checksums that are not compared, a changed payload is served.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tasklane_stories::harness::ground::Store;
use tasklane_stories::harness::run::{Run, chaos};
use tasklane_testkit::http::Connection;
use tasklane_testkit::process::until;
use tasklane_testkit::server::clean;
use tasklane_testkit::{ServerOptions, binary, port};

const FILE: &str = "tasklane.db";
const PATIENCE: Duration = Duration::from_secs(20);
const TASKS: usize = 200;
const PAGE: usize = 8192;

#[test]
fn sqlite() {
    chaos("t06_damaged_file::sqlite", Store::Sqlite, |run| {
        let mut server = ServerOptions::without_executors().start();
        // So long that it has pages of its own, and so even that any change shows.
        let batch = json!(vec![json!({ "type": "demo", "payload": "x".repeat(3000) }); TASKS]);
        server.post("/v1/tasks:batch", &batch).expect(201);
        assert_eq!(server.stop().code(), Some(0));
        let whole = fs::read(server.data_dir().join(FILE)).unwrap();
        let mut refused = 0;
        for (what, bytes) in corpus(&whole, run) {
            run.line.faults += 1;
            refused += u64::from(is_refused(&what, &bytes, server.dir()));
        }
        run.figure("refused", refused as f64);
        run.figure("served_in_part", (run.line.faults - refused) as f64);
        assert!(refused >= 10, "the coarse ones are refused");
    });
}

/// Files with something wrong, each with what it is.
fn corpus(whole: &[u8], run: &mut Run) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.to_vec();
        change(&mut bytes);
        files.push((what, bytes));
    };
    add("nothing but zeros".into(), &|it| it.fill(0));
    add("a header of zeros".into(), &|it| it[..100].fill(0));
    add("another kind of file".into(), &|it| it[..16].copy_from_slice(b"not a database!\n"));
    add("another program's database".into(), &|it| it[68..72].copy_from_slice(b"Cars"));
    add("a newer schema".into(), &|it| it[60..64].copy_from_slice(&9999_u32.to_be_bytes()));
    add("noise in the schema".into(), &|it| it[100..PAGE].fill(0xa5));
    add("an odd page size".into(), &|it| it[16..18].copy_from_slice(&[3, 3]));
    for part in [1, 10, 50, 90, 99] {
        add(format!("{part} % of it"), &|it| it.truncate(it.len() * part / 100));
    }
    for bytes in [1, 50, 99, 512] {
        add(format!("its first {bytes} bytes"), &|it| it.truncate(bytes));
    }
    let pages = whole.len() / PAGE;
    for _ in 0..run.form.of(12, 120) {
        let page = 1 + run.choices.next(pages as u64 - 1) as usize;
        add(format!("page {page} of zeros"), &|it| it[page * PAGE..(page + 1) * PAGE].fill(0));
        let place = run.choices.next(whole.len() as u64) as usize;
        let bit = 1 << run.choices.next(8);
        add(format!("another bit at {place}"), &|it| it[place] ^= bit);
        let from = run.choices.next((whole.len() - PAGE) as u64) as usize;
        add(format!("page {page} from elsewhere"), &|it| it.copy_within(from..from + PAGE, page * PAGE));
    }
    files
}

/// Whether a server refuses the file; where it serves, nothing that it serves is changed.
fn is_refused(what: &str, bytes: &[u8], dir: &Path) -> bool {
    let data = dir.join("damaged");
    let _ = fs::remove_dir_all(&data);
    fs::create_dir(&data).unwrap();
    fs::write(data.join(FILE), bytes).unwrap();
    let log = dir.join("damaged.log");
    let port = port::free();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut command = Command::new(binary::tasklane());
    command.args(["serve", "--no-executors", "--listen", &address.to_string(), "--data-dir"]).arg(&data);
    clean(&mut command).stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let status = until(what, PATIENCE, || {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(Some(status));
        }
        let ready = Connection::open(address).and_then(|mut it| it.call("GET", "/health", &[], b""));
        ready.is_ok().then_some(None)
    });
    let said = || fs::read_to_string(&log).unwrap();
    if let Some(status) = status {
        assert_eq!(status.code(), Some(65), "{what}: {}", said());
        assert!(said().contains("damaged") || said().contains("newer"), "{what}: {}", said());
        assert!(!said().contains("panicked"), "{what}: {}", said());
        return true;
    }
    let leased = serve(address);
    let _ = child.kill();
    let _ = child.wait();
    assert!(!said().contains("panicked"), "{what}: {}", said());
    let payload = format!("\"{}\"", "x".repeat(3000));
    for task in leased {
        assert_eq!(task["payload"].to_string(), payload, "{what}: a changed payload was served");
    }
    false
}

/// What a server gives of its tasks, by leases and by reads.
fn serve(address: std::net::SocketAddr) -> Vec<serde_json::Value> {
    let mut connection = Connection::open(address).unwrap();
    let mut tasks = Vec::new();
    if let Ok(reply) = connection.call("GET", "/v1/tasks?limit=200", &[], b"")
        && reply.status == 200
    {
        tasks.extend(reply.json()["items"].as_array().unwrap().clone());
    }
    let wish = json!({ "worker": "w", "lanes": [{ "types": ["demo"] }], "limit": 200 });
    if let Ok(reply) = connection.json("POST", "/v1/leases", &wish)
        && reply.status == 200
    {
        tasks.extend(reply.json()["tasks"].as_array().unwrap().clone());
    }
    tasks
}
