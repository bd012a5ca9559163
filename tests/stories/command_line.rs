//! Every command against a real server: data on stdout, the rest on stderr, and the exit code that scripts rely on.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_testkit::process::{self, Signal, until};
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions, binary, port};

/// What a command said and how it ended.
struct Said {
    exit: i32,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn exit(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {}", self.out))
    }
}

/// Runs a command against the server at `url`, with this on its stdin.
fn run(url: &str, arguments: &[&str], input: &str) -> Said {
    let mut command = Command::new(binary::tasklane());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = clean(&mut command).env("TASKLANE_URL", url).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { exit: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn say(server: &Server, arguments: &[&str]) -> Said {
    run(&server.url(), arguments, "")
}

#[test]
fn submit_prints_an_id_and_waiting_prints_the_result() {
    story("command_line::submit", || {
        let server = ServerOptions::default().start();
        let said = say(&server, &["submit", "data_processing", "processing_time=0.1", "record_count=3"]).exit(0);
        let id = said.out.trim();
        assert_eq!(id.len(), 36, "stdout is the id alone: {:?}", said.out);
        assert_eq!(server.task(id)["payload"], json!({ "processing_time": 0.1, "record_count": 3 }));
        let said = say(&server, &["result", id, "--wait"]).exit(0);
        assert_eq!(said.json()["processed_records"], 3);

        let said = say(&server, &["submit", "data_processing", "processing_time=0", "--wait"]).exit(0);
        assert_eq!(said.json()["processed_records"], 1000);
        let said =
            run(&server.url(), &["submit", "demo", "-", "--delay", "1h", "-o", "json"], r#"{"a":[1, 2.50]}"#).exit(0);
        assert_eq!(said.json()["state"], "scheduled");
        assert!(server.get(&format!("/v1/tasks/{}", said.json()["id"].as_str().unwrap())).text().contains("[1, 2.50]"));

        let file = server.dir().join("payload.json");
        std::fs::write(&file, "[1]").unwrap();
        say(&server, &["submit", "demo", "-f", file.to_str().unwrap(), "--delay", "1h"]).exit(0);
        std::fs::write(&file, "[1").unwrap();
        assert_eq!(say(&server, &["submit", "demo", "-f", file.to_str().unwrap()]).exit(65).out, "");
        let said = say(&server, &["submit", "data_processing", "processing_time=soon", "--wait"]).exit(3);
        assert!(said.err.contains("failed"), "{}", said.err);
        say(&server, &["submit", "data_processing", "processing_time=600", "--wait=200ms"]).exit(6);
    });
}

#[test]
fn reading_and_acting() {
    story("command_line::acting", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo", "queue": "mail" }));
        let said = say(&server, &["get", &id]).exit(0);
        assert!(said.out.contains(&id) && said.out.contains("queued"), "{}", said.out);
        assert_eq!(say(&server, &["get", &id, "-o", "json"]).exit(0).json()["queue"], "mail");
        let said = say(&server, &["ls", "-o", "ndjson"]).exit(0);
        assert_eq!(said.out.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["id"], id.as_str());
        assert!(say(&server, &["ls"]).exit(0).out.contains(&id));
        assert_eq!(say(&server, &["ls", "--state", "failed"]).exit(0).out, "", "no data is no word on stdout");
        let said = say(&server, &["why", &id]).exit(0);
        assert!(said.out.contains("worker"), "{}", said.out);

        assert!(say(&server, &["queue", "pause", "mail"]).exit(0).out.contains("paused"));
        assert!(say(&server, &["queue", "ls"]).exit(0).out.contains("mail"));
        say(&server, &["queue", "resume", "mail"]).exit(0);
        say(&server, &["queue", "drain", "mail"]).exit(0);
        assert_eq!(say(&server, &["submit", "demo", "--queue", "mail"]).exit(7).out, "");

        say(&server, &["result", &id]).exit(7);
        assert!(say(&server, &["cancel", &id]).exit(0).out.contains("cancelled"));
        let said = say(&server, &["cancel", &id]).exit(7);
        assert!(said.err.contains("invalid_transition") && said.err.contains("cancelled"), "{}", said.err);
        assert!(say(&server, &["retry", &id]).exit(0).out.contains("queued"));
        for command in ["get", "why", "cancel", "retry", "result"] {
            let said = say(&server, &[command, "0190b6a0-0000-7000-8000-000000000000"]).exit(5);
            assert!(said.out.is_empty() && said.err.contains("task_not_found"), "{command}: {}", said.err);
        }
    });
}

#[test]
fn wrong_words_and_no_server() {
    story("command_line::wrong", || {
        let nobody = format!("http://127.0.0.1:{}", port::free());
        for arguments in
            [&["ls"][..], &["submit", "demo"], &["get", "0190b6a0-0000-7000-8000-000000000000"], &["queue", "ls"]]
        {
            let said = run(&nobody, arguments, "").exit(69);
            assert!(said.out.is_empty() && said.err.contains(&nobody), "{}", said.err);
        }
        let wrong = [
            &["explode"][..],
            &["submit"],
            &["get", "not-an-id"],
            &["submit", "demo", "--wait=soon"],
            &["submit", "demo", "--label", "x"],
            &["ls", "-o", "xml"],
            &["db", "explode"],
        ];
        for arguments in wrong {
            let said = run(&nobody, arguments, "").exit(2);
            assert!(said.out.is_empty() && !said.err.is_empty(), "{arguments:?}");
        }
        assert!(run(&nobody, &["--help"], "").exit(0).out.contains("submit"));
        assert!(run(&nobody, &["--version"], "").exit(0).out.starts_with("tasklane "));
    });
}

#[test]
fn data_files_are_checked_copied_and_put_back() {
    story("command_line::db", || {
        let mut server = ServerOptions::without_executors().start();
        let kept = server.submit(&json!({ "type": "demo", "payload": "kept-abc" }));
        let backup = server.dir().join("tasks.backup");
        let backup = backup.to_str().unwrap();
        let dir = server.data_dir().to_str().unwrap().to_owned();
        let db =
            |arguments: &[&str]| run("http://127.0.0.1:1", &[&["db", "--data-dir", &dir][..], arguments].concat(), "");

        db(&["backup", backup]).exit(0);
        let forgotten = server.submit(&json!({ "type": "demo" }));
        db(&["restore", backup]).exit(7);
        assert_eq!(server.stop().code(), Some(0));
        db(&["check"]).exit(0);
        let stats = db(&["stats", "-o", "json"]).exit(0).json();
        assert!(stats["bytes"].as_u64().is_some_and(|it| it > 0), "{stats}");
        db(&["restore", backup]).exit(0);
        server.start();
        assert_eq!(server.task(&kept)["payload"], "kept-abc");
        server.get(&format!("/v1/tasks/{forgotten}")).problem(404, "task_not_found");
        assert_eq!(server.stop().code(), Some(0));

        // One letter of a payload: only the checksums of the rows know.
        let file = server.data_dir().join("tasklane.db");
        let mut bytes = std::fs::read(&file).unwrap();
        let place = bytes.windows(8).position(|it| it == b"kept-abc").expect("the payload is there");
        bytes[place + 7] = b'd';
        std::fs::write(&file, bytes).unwrap();
        assert!(!db(&["check"]).exit(65).err.is_empty());
    });
}

#[test]
fn bench_measures_a_server() {
    story("command_line::bench", || {
        let server = ServerOptions::without_executors().start();
        let said = say(&server, &["bench", "--tasks", "2000", "-o", "ndjson"]).exit(0);
        let lines: Vec<Value> = said.out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        assert!(lines.len() >= 3, "{}", said.out);
        for line in &lines {
            assert!(line["bench"].is_string() && (line["per_second"].is_f64() || line["p50_ms"].is_f64()), "{line}");
        }
    });
}

/// `tasklane dev` as a person starts it: its words and the URL it tells.
struct Dev {
    child: Child,
    url: String,
    words: Vec<String>,
}

impl Dev {
    fn start(port: u16, dir: &std::path::Path) -> Self {
        let mut command = Command::new(binary::tasklane());
        command.args(["dev", "--port", &port.to_string()]).current_dir(dir).stdin(Stdio::null());
        let mut child = clean(&mut command).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut words = Vec::new();
        while !words.last().is_some_and(|it: &String| it.contains("Ctrl-C")) {
            words.push(lines.next().expect("it greets before it ends").unwrap());
        }
        // Somebody has to read on, or the server would wait for its own log.
        std::thread::spawn(move || lines.for_each(drop));
        let url = words.iter().flat_map(|it| it.split_whitespace()).find(|it| it.starts_with("http://"));
        let url = url.expect("it tells a URL").to_owned();
        Self { child, url, words }
    }

    fn stop(mut self) {
        process::signal(self.child.id(), Signal::Term);
        let status = until("dev to end", Duration::from_secs(20), || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn dev_serves_what_it_says_and_takes_the_next_port() {
    story("command_line::dev", || {
        let dir = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind(("127.0.0.1", port::free())).unwrap();
        let port = taken.local_addr().unwrap().port();
        let dev = Dev::start(port, dir.path());
        assert!(dev.words.iter().any(|it| it.contains(&port.to_string()) && it.contains("taken")), "{:?}", dev.words);
        let said = run(&dev.url, &["submit", "data_processing", "processing_time=0.1", "--wait"], "").exit(0);
        assert_eq!(said.json()["processed_records"], 1000);
        let commands = dev.words.iter().filter(|it| it.trim_start().starts_with("tasklane ")).count();
        assert_eq!(commands, 3, "three commands to try: {:?}", dev.words);
        assert!(dir.path().join(".tasklane").is_dir(), "data is kept in ./.tasklane");
        let url = dev.url.clone();
        dev.stop();
        run(&url, &["ls"], "").exit(69);
        let again = Dev::start(port, dir.path());
        assert_eq!(run(&again.url, &["ls", "-o", "ndjson"], "").exit(0).out.lines().count(), 1, "the task was kept");
        again.stop();
    });
}
