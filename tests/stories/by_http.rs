//! The worker on the page about workers in any language does what the page says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tasklane_testkit::process::{self, until};
use tasklane_testkit::server::clean;
use tasklane_testkit::story::{skip, story};
use tasklane_testkit::{Server, ServerOptions, Signal, binary};

use crate::pages::blocks;

/// Where it stands.
pub const PAGE: &str = "docs/how-to/write-a-worker-by-http.md";
/// What the page's worker may be long.
const LINES: usize = 60;

/// The worker as the page has it.
fn worker(server: &Server) -> PathBuf {
    let page = fs::read_to_string(binary::root().join(PAGE)).unwrap();
    let (_, text) = blocks(&page).into_iter().find(|(word, _)| word == "bash").unwrap();
    assert!(text.lines().count() <= LINES, "the worker has {} lines, at most {LINES}", text.lines().count());
    let file = server.dir().join("upper-worker");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn start(server: &Server, lease: &str) -> Child {
    let mut command = Command::new(worker(server));
    clean(&mut command).env("TASKLANE_URL", server.url()).env("LEASE", lease).env("TMPDIR", server.dir());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn submit(server: &Server, payload: serde_json::Value) -> String {
    server.submit(&json!({ "type": "text.upper", "payload": payload, "max_attempts": 1 }))
}

#[test]
fn bash_and_curl_are_a_worker() {
    if ["curl", "jq"].iter().any(|it| Command::new(it).arg("--version").output().is_err()) {
        return skip("by_http", "curl or jq is not installed");
    }
    story("by_http", || {
        let server = ServerOptions::without_executors().start();
        let mut worker = start(&server, "6");

        // Longer than its lease of 6 s, and with one attempt: it was renewed.
        let long = submit(&server, json!({ "text": "long", "seconds": 8 }));
        assert_eq!(server.finished(&long)["result"], "LONG");

        let failed = server.finished(&submit(&server, json!({ "text": 7 })));
        assert_eq!((&failed["state"], &failed["failure"]["kind"]), (&json!("failed"), &json!("error")));

        let endless = submit(&server, json!({ "text": "endless", "seconds": 86399 }));
        until("the task to run", Duration::from_secs(20), || {
            (server.task(&endless)["state"] == "running").then_some(())
        });
        server.act(&format!("/v1/tasks/{endless}:cancel")).expect(200);
        assert_eq!(server.finished(&endless)["state"], "cancelled");
        let works = |work: &str| Command::new("pgrep").args(["-f", work]).output().is_ok_and(|it| it.status.success());
        until("the work to be gone", Duration::from_secs(10), || (!works("^sleep 86399$")).then_some(()));

        // What runs when it is asked to end is finished.
        let last = submit(&server, json!({ "text": "last", "seconds": 2.125 }));
        until("the work to begin", Duration::from_secs(20), || works("^sleep 2.125$").then_some(()));
        process::signal(worker.id(), Signal::Term);
        assert!(worker.wait().unwrap().success());
        assert_eq!(server.finished(&last)["result"], "LAST");
    });
}
