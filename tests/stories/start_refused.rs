//! A server that cannot serve safely does not start, and says why and what to do.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::json;
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions, binary, port};

/// Starts a server that is expected to end by itself, with these arguments and variables.
fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary::tasklane());
    command.arg("serve").args(arguments).stdin(Stdio::null());
    clean(&mut command).envs(environment.iter().copied()).output().unwrap()
}

/// It failed with this exit code, and said all of these words on stderr.
#[track_caller]
fn assert_refused(output: &Output, exit: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert_eq!(output.status.code(), Some(exit), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(output.stdout.is_empty(), "reasons belong on stderr");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

/// Starts a second server on the data of `server`.
fn start_on(server: &Server) -> Output {
    let listen = format!("127.0.0.1:{}", port::free());
    start(&["--listen", &listen, "--data-dir", server.data_dir().to_str().unwrap()], &[])
}

/// A stopped server that kept a task.
fn stopped() -> (Server, String) {
    let mut server = ServerOptions::without_executors().start();
    let id = server.submit(&json!({ "type": "demo", "payload": "x".repeat(5000) }));
    assert_eq!(server.stop().code(), Some(0));
    (server, id)
}

/// The file tasks are kept in: the largest of the data directory.
fn main_file(server: &Server) -> std::path::PathBuf {
    let files = fs::read_dir(server.data_dir()).unwrap().map(|it| it.unwrap().path());
    files
        .filter(|it| it.extension().is_some_and(|it| it == "db"))
        .max_by_key(|it| it.metadata().unwrap().len())
        .unwrap()
}

#[test]
fn a_second_server_on_the_same_data() {
    story("start_refused::second", || {
        let server = ServerOptions::without_executors().start();
        assert_refused(&start_on(&server), 7, &["data"]);
        server.submit(&json!({ "type": "demo" }));
    });
}

#[test]
fn a_taken_port() {
    story("start_refused::port", || {
        let server = ServerOptions::without_executors().start();
        let dir = server.dir().join("other");
        let output = start(&["--listen", &server.address().to_string(), "--data-dir", dir.to_str().unwrap()], &[]);
        assert_refused(&output, 7, &["taken", "--listen"]);
    });
}

#[test]
fn damaged_data() {
    story("start_refused::damaged", || {
        type Damage = fn(&mut Vec<u8>);
        let damages: &[(&str, Damage)] = &[
            ("a header of zeros", |it| it[..100].fill(0)),
            ("another kind of file", |it| it[..16].copy_from_slice(b"not a database!\n")),
            ("half of it", |it| it.truncate(it.len() / 2)),
            ("noise in the schema", |it| it[100..400].fill(0xa5)),
        ];
        for (what, damage) in damages {
            let (server, _) = stopped();
            let file = main_file(&server);
            let mut bytes = fs::read(&file).unwrap();
            damage(&mut bytes);
            fs::write(&file, bytes).unwrap();
            let output = start_on(&server);
            assert_eq!(output.status.code(), Some(65), "{what}: {}", String::from_utf8_lossy(&output.stderr));
            assert_refused(&output, 65, &["damaged"]);
        }
    });
}

#[test]
fn a_changed_payload_is_never_served() {
    story("start_refused::changed_payload", || {
        let (mut server, id) = stopped();
        let file = main_file(&server);
        let mut bytes = fs::read(&file).unwrap();
        let place =
            bytes.windows(1000).position(|it| it.iter().all(|byte| *byte == b'x')).expect("the payload is there");
        bytes[place + 500] = b'y';
        fs::write(&file, bytes).unwrap();
        server.start();
        let reply = server.get(&format!("/v1/tasks/{id}"));
        assert!(!reply.text().contains("xyx"), "a changed payload was served");
        let leased = server.lease_now("w", "demo");
        assert!(leased.is_empty(), "a changed payload was handed to a worker: {leased:?}");
    });
}

#[test]
fn a_newer_schema() {
    story("start_refused::newer", || {
        let (server, _) = stopped();
        let file = main_file(&server);
        let mut bytes = fs::read(&file).unwrap();
        // SQLite keeps `user_version` in the header, big-endian, at byte 60 (sqlite.org/fileformat2.html, 1.3).
        bytes[60..64].copy_from_slice(&9999_u32.to_be_bytes());
        fs::write(&file, bytes).unwrap();
        assert_refused(&start_on(&server), 65, &["newer", "9999"]);
    });
}

#[test]
fn settings_that_cannot_be_honoured() {
    story("start_refused::settings", || {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().to_str().unwrap();
        let listen = format!("127.0.0.1:{}", port::free());
        let here = ["--listen", &listen, "--data-dir", dir];
        assert_refused(
            &start(&here, &[("TASKLANE_ADMIN_KEY", "too short")]),
            2,
            &["tasklane_admin_key", "32 characters"],
        );
        assert_refused(&start(&here, &[("DATABASE_URL", "mysql://localhost/x")]), 2, &["database_url"]);
        let url = [&here[..], &["--database-url", "mysql://localhost/x"]].concat();
        assert_refused(&start(&url, &[]), 2, &["database-url"]);
        let everywhere = format!("0.0.0.0:{}", port::free());
        assert_refused(&start(&["--listen", &everywhere, "--data-dir", dir], &[]), 2, &["--insecure"]);
        assert_refused(&start(&["--listen", "nonsense", "--data-dir", dir], &[]), 2, &["nonsense"]);
        assert_refused(&start(&["--no-such-flag"], &[]), 2, &["--no-such-flag"]);
        assert_refused(&start(&["--listen", &listen, "--data-dir", "/proc/nowhere"], &[]), 74, &["/proc/nowhere"]);
    });
}
