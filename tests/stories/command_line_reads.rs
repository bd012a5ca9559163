//! Commands that look at a server, and those that need none: what they print, in every form, and how they end.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tasklane_testkit::server::clean;
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions, binary, port};

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

/// Runs a command in an empty directory against the server at `url`.
fn run(url: &str, arguments: &[&str]) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary::tasklane());
    command.args(arguments).current_dir(dir.path()).stdin(Stdio::null());
    let output = clean(&mut command).env("TASKLANE_URL", url).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { exit: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn say(server: &Server, arguments: &[&str]) -> Said {
    run(&server.url(), arguments)
}

fn nobody() -> String {
    format!("http://127.0.0.1:{}", port::free())
}

#[test]
fn the_same_task_in_every_form() {
    story("command_line_reads::forms", || {
        let server = ServerOptions::without_executors().start();
        let id = server.submit(&json!({ "type": "demo", "payload": { "amount": 1.5 }, "labels": { "a": "b c" } }));
        assert_eq!(say(&server, &["ls", "-o", "id"]).exit(0).out, format!("{id}\n"));
        assert_eq!(
            say(&server, &["get", &id, "--field", "state,labels.a,payload.amount,nope"]).exit(0).out,
            "queued\tb c\t1.5\t\n"
        );
        let yaml = say(&server, &["get", &id, "-o", "yaml"]).exit(0).out;
        assert!(yaml.contains("state: queued\n") && yaml.contains("payload:\n  amount: 1.5\n"), "{yaml}");
        let yaml = say(&server, &["queue", "ls", "-o", "yaml"]).exit(0).out;
        assert!(yaml.starts_with("items:\n  - name: default\n"), "{yaml}");
        assert_eq!(say(&server, &["ls", "--label", "a=b c", "-o", "id"]).exit(0).out.trim(), id);
        assert_eq!(say(&server, &["ls", "--search", "nobody", "-o", "id"]).exit(0).out, "");
        let said = say(&server, &["ls", "--state", "qeued"]).exit(2);
        assert!(said.err.contains("queued"), "{}", said.err);
        assert!(say(&server, &["qeue", "ls"]).exit(2).err.contains("queue"));
    });
}

#[test]
fn a_server_is_told_in_lists_and_numbers() {
    story("command_line_reads::lists", || {
        let server = ServerOptions::default().start();
        let id =
            say(&server, &["submit", "data_processing", "processing_time=0", "--wait", "--field", "id"]).exit(0).out;
        assert!(say(&server, &["type", "ls"]).exit(0).out.contains("data_processing"));
        assert!(say(&server, &["worker", "ls", "--field", "name"]).exit(0).out.contains("server-"));
        assert!(say(&server, &["stats"]).exit(0).out.contains("tasks succeeded"));
        assert_eq!(say(&server, &["stats", "--field", "tasks.succeeded"]).exit(0).out, "1\n");
        let picture = say(&server, &["top"]).exit(0).out;
        assert!(picture.contains("QUEUE") && picture.contains("WORKER") && !picture.contains('\x1b'), "{picture}");
        assert_eq!(
            say(&server, &["top", "--count", "2", "--every", "200ms", "-o", "ndjson"]).exit(0).out.lines().count(),
            2
        );

        let again = say(&server, &["rerun", id.trim()]).exit(0).out;
        assert_eq!(server.task(again.trim())["rerun_of"], id.trim());
        say(&server, &["rerun", "0190b6a0-0000-7000-8000-000000000000"]).exit(5);

        server.submit(&json!({ "type": "mail", "queue": "mail", "delay": "1h" }));
        say(&server, &["queue", "purge", "mail"]).exit(0);
        say(&server, &["queue", "purge", "nothing-ever"]).exit(5);
    });
}

#[test]
fn a_doctor_names_what_is_wrong_and_what_to_do() {
    story("command_line_reads::doctor", || {
        let server = ServerOptions::without_executors().start();
        let told = |server: &Server| -> Vec<Value> {
            let said = say(server, &["doctor", "-o", "ndjson"]);
            said.out.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
        };
        let verdict = |checks: &[Value], name: &str| {
            let found = checks.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name}: {checks:?}"));
            found["verdict"].as_str().unwrap().to_owned()
        };
        let checks = told(&server);
        for name in ["settings", "server", "version", "clock", "store", "queues"] {
            assert_eq!(verdict(&checks, name), "good", "{checks:?}");
        }
        assert_eq!(verdict(&checks, "workers"), "worth_a_look");
        say(&server, &["doctor"]).exit(0);

        server.submit(&json!({ "type": "nobody.serves", "queue": "stuck" }));
        assert_eq!(verdict(&told(&server), "queues"), "bad");
        let said = say(&server, &["doctor"]).exit(1);
        assert!(said.out.contains("stuck") && said.out.contains("fix:"), "{}", said.out);
        server.act("/v1/queues/stuck:pause").expect(200);
        assert_eq!(verdict(&told(&server), "queues"), "worth_a_look");
        run(&nobody(), &["doctor"]).exit(69);
    });
}

#[test]
fn a_health_check_needs_no_argument() {
    story("command_line_reads::healthcheck", || {
        let server = ServerOptions::without_executors().start();
        assert_eq!(say(&server, &["healthcheck"]).exit(0).out, "");
        let mut command = Command::new(binary::tasklane());
        command.arg("healthcheck").stdin(Stdio::null());
        let status = clean(&mut command).env("TASKLANE_LISTEN", server.address().to_string()).status().unwrap();
        assert_eq!(status.code(), Some(0), "the server of the same settings is asked");
        run(&nobody(), &["healthcheck"]).exit(69);
    });
}

#[test]
fn what_this_program_knows_by_itself() {
    story("command_line_reads::offline", || {
        let nobody = nobody();
        let said = run(&nobody, &["explain", "unique_held"]).exit(0).out;
        assert!(said.contains("cause:") && said.contains("remedy:") && said.contains("409"), "{said}");
        assert!(run(&nobody, &["explain", "-o", "ndjson"]).exit(0).out.lines().count() > 20);
        let said = run(&nobody, &["explain", "unique_hold"]).exit(5);
        assert!(said.err.contains("unique_held"), "{}", said.err);
        for shell in ["bash", "zsh", "fish"] {
            assert!(run(&nobody, &["completion", shell]).exit(0).out.contains("tasklane"), "{shell}");
        }
        let command = run(&nobody, &["explain", "task_not_found", "-o", "json"]).exit(0).json();
        assert_eq!((&command["status"], &command["exit_code"]), (&json!(404), &json!(5)));
    });
}
