//! Commands that go on: events and log lines as they come, over a server that comes back, to the end of the task.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions, binary};

/// A command that goes on.
struct Going {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Going {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary::tasklane());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = clean(&mut command).env("TASKLANE_URL", server.url()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The first line that holds `part`.
    fn line(&mut self, part: &str) -> String {
        let found = self.lines.by_ref().map(|it| it.unwrap()).find(|it| it.contains(part));
        found.unwrap_or_else(|| panic!("the command ended without {part:?}"))
    }

    fn exit(mut self) -> i32 {
        self.lines.by_ref().for_each(drop);
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A task that runs with worker `w`: its id and its lease.
fn running(server: &Server) -> (String, Value) {
    let id = server.submit(&json!({ "type": "demo", "max_attempts": 1 }));
    let leased = server.lease("w", "demo", 1, "30s");
    assert_eq!(leased[0]["id"], id.as_str());
    (id, leased[0]["lease"].clone())
}

fn say(server: &Server, id: &str, lease: &Value, n: u64, message: &str) {
    let line = json!({ "id": id, "lease": lease, "n": n, "level": "info", "message": message, "after": "0s" });
    server.report(&json!({ "worker": "w", "logs": [line] }));
}

#[test]
fn a_task_is_watched_to_its_end() {
    story("command_line_streams::watch", || {
        let server = ServerOptions::without_executors().start();
        let (id, lease) = running(&server);
        let mut watch = Going::start(&server, &["watch", &id]);
        watch.line("running");
        say(&server, &id, &lease, 0, "half of it");
        watch.line("half of it");
        server.report(&json!({ "worker": "w", "fail": [{ "id": id, "lease": lease, "message": "no" }] }));
        watch.line("failed");
        assert_eq!(watch.exit(), 3);
        assert_eq!(Going::start(&server, &["watch", &id]).exit(), 3, "one that has ended already");
        assert_eq!(Going::start(&server, &["watch", "0190b6a0-0000-7000-8000-000000000000"]).exit(), 5);
    });
}

#[test]
fn log_lines_come_as_they_are_said_and_stay() {
    story("command_line_streams::logs", || {
        let server = ServerOptions::without_executors().start();
        let (id, lease) = running(&server);
        let mut follow = Going::start(&server, &["logs", &id, "--follow"]);
        say(&server, &id, &lease, 0, "first words");
        follow.line("first words");
        say(&server, &id, &lease, 1, "last words");
        server.report(&json!({ "worker": "w", "succeed": [{ "id": id, "lease": lease, "result": 1 }] }));
        follow.line("last words");
        assert_eq!(follow.exit(), 0);
        let mut kept = Going::start(&server, &["logs", &id, "-o", "ndjson"]);
        let lines: Vec<Value> = kept.lines.by_ref().map(|it| serde_json::from_str(&it.unwrap()).unwrap()).collect();
        assert_eq!(
            lines.iter().map(|it| it["message"].as_str().unwrap()).collect::<Vec<_>>(),
            ["first words", "last words"]
        );
        assert_eq!(kept.exit(), 0);
    });
}

#[test]
fn following_outlives_a_restart_and_prints_the_result() {
    story("command_line_streams::restart", || {
        let mut server = ServerOptions::default().start();
        let words = [
            "submit",
            "data_processing",
            "processing_time=0.2",
            "--delay",
            "3s",
            "--follow",
            "--field",
            "result.status",
        ];
        let follow = Going::start(&server, &words);
        // The submit has answered when the task is there.
        tasklane_testkit::process::until("the task", std::time::Duration::from_secs(20), || {
            let page = server.get("/v1/tasks").expect(200).json();
            (!page["items"].as_array().unwrap().is_empty()).then_some(())
        });
        assert_eq!(server.stop().code(), Some(0));
        server.start();
        assert_eq!(follow.exit(), 0);
    });
}

#[test]
fn everything_is_watched_by_queue() {
    story("command_line_streams::all", || {
        let server = ServerOptions::without_executors().start();
        let mut watch = Going::start(&server, &["watch", "--queue", "mail", "--count", "2", "-o", "ndjson"]);
        // Until the stream is open, events pass unseen: the first that is seen tells that it is.
        let line = std::thread::scope(|scope| {
            let first = scope.spawn(|| watch.line("mail"));
            while !first.is_finished() {
                server.submit(&json!({ "type": "demo", "queue": "other" }));
                server.submit(&json!({ "type": "demo", "queue": "mail" }));
            }
            first.join().unwrap()
        });
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&event["queue"], &event["to"]), (&json!("mail"), &json!("queued")));
        server.submit(&json!({ "type": "demo", "queue": "mail" }));
        assert_eq!(watch.exit(), 0);
    });
}
