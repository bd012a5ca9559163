//! The kit itself: a test that stands on it must not pass because it does not look.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::panic::catch_unwind;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tasklane_testkit::process::{self, Signal, until};
use tasklane_testkit::story::story_within;
use tasklane_testkit::{Connection, Ledger, Reply, port};

/// What the client reads where a server says this and hangs up.
fn answer(said: &'static str) -> std::io::Result<Reply> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(said.as_bytes()).unwrap();
        });
        Connection::open(address).unwrap().call("GET", "/", &[], b"")
    })
}

#[test]
fn answers_are_read_whole_or_not_at_all() {
    let reply = answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A:  b\r\n\r\nhi").unwrap();
    assert_eq!((reply.status, reply.text().as_str(), reply.header("x-a")), (200, "hi", Some("b")));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;x=y\r\n yo\r\n0\r\n\r\n";
    assert_eq!(answer(chunked).unwrap().text(), "hi yo");
    assert_eq!(answer("HTTP/1.1 204 No Content\r\n\r\n").unwrap().body, b"");
    for broken in ["", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "hello\r\n\r\n", "HTTP/1.1 200 OK\r\nConte"] {
        assert!(answer(broken).is_err(), "{broken:?} was taken for an answer");
    }
}

#[test]
fn a_problem_is_a_problem_with_everything_it_needs() {
    let reply = |body: &str| Reply {
        status: 422,
        headers: vec![("content-type".into(), "application/problem+json".into())],
        body: body.into(),
    };
    let good = r#"{"type":"/t","title":"t","detail":"d","instance":"i","status":422,"code":"invalid"}"#;
    reply(good).problem(422, "invalid");
    for (from, to) in [("\"invalid\"", "\"other\""), ("422", "400"), ("\"instance\":\"i\",", ""), ("\"d\"", "5")] {
        let bad = good.replace(from, to);
        assert!(catch_unwind(|| reply(&bad).problem(422, "invalid")).is_err(), "{bad} passed");
    }
}

#[test]
fn a_ledger_keeps_lines_and_finds_them_by_their_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    Ledger::open(&path).write("acked 1");
    let again = Ledger::open(&path);
    again.write("acked 2");
    again.write("ackedish 3");
    assert_eq!(again.of("acked"), ["1", "2"]);
    assert_eq!(again.lines().len(), 3);
}

#[test]
fn ports_are_never_given_twice() {
    let ports: std::collections::BTreeSet<_> = (0..100).map(|_| port::free()).collect();
    assert_eq!(ports.len(), 100);
}

#[test]
fn processes_are_stopped_continued_and_seen() {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = child.id();
    let patience = Duration::from_secs(10);
    process::signal(pid, Signal::Stop);
    until("it to stand still", patience, || (process::state(pid) == Some('T')).then_some(()));
    process::signal(pid, Signal::Cont);
    until("it to go on", patience, || (process::state(pid) != Some('T')).then_some(()));
    process::signal(pid, Signal::Kill);
    child.wait().unwrap();
    assert_eq!(process::state(pid), None);
    assert!(catch_unwind(|| until("nothing", Duration::from_millis(20), || None::<()>)).is_err());
}

#[test]
fn a_story_that_hangs_is_named_and_ends_with_what_it_started() {
    const HANGS: &str = "TASKLANE_TESTKIT_HANGS";
    if std::env::var_os(HANGS).is_some() {
        return story_within(Duration::from_millis(100), "endless", || drop(Command::new("sleep").arg("600").status()));
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again
        .args(["--exact", "a_story_that_hangs_is_named_and_ends_with_what_it_started"])
        .env(HANGS, "yes")
        .env_remove("TASKLANE_STORY_REPORT");
    // All of its output: it has an end when nothing is left that holds it open.
    let ended = again.output().unwrap();
    assert_eq!(ended.status.code(), Some(101));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("endless"), "{ended:?}");
}
