//! From files to a database: everything goes along, what runs goes on, and until the command has ended the files are true,
//! however often it is killed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_testkit::process::until;
use tasklane_testkit::server::clean;
use tasklane_testkit::service::{Held, HoldingService};
use tasklane_testkit::story::story;
use tasklane_testkit::{Server, ServerOptions, WorkerProcess, binary, postgres};

const PATIENCE: Duration = Duration::from_secs(15);
/// So many that a promotion can be killed in the middle.
const MANY: usize = 20_000;

fn db(server: &Server, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary::tasklane());
    command.arg("db").args(arguments).env_clear().current_dir(server.dir());
    clean(&mut command).env("TASKLANE_DATABASE_URL", url);
    command
}

fn promote(server: &Server, url: &str, more: &[&str]) -> Command {
    let mut command = db(server, url, &["promote", "-o", "json"]);
    command.arg("--data-dir").arg(server.data_dir()).args(more);
    command
}

fn exits(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(code) && said.contains(words), "{:?}: {said}", output.status);
}

/// A task in every state, by hand, and what a worker holds.
fn fill(server: &Server) -> Value {
    let many: Vec<Value> = (0..MANY / 2).map(|n| json!({ "type": "many", "payload": n })).collect();
    for _ in 0..2 {
        server.post("/v1/tasks:batch", &json!(many)).expect(201);
    }
    for how in ["succeed", "fail", "run"] {
        for n in 0..3 {
            server.submit(&json!({ "type": how, "payload": { "n": n }, "max_attempts": 1 }));
        }
    }
    let report = |how: &str, more: &Value| {
        let leased = server.lease("w", how, 3, "60s");
        let one = |it: &Value| {
            let mut one = json!({ "id": it["id"], "lease": it["lease"] });
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            one
        };
        server.report(&json!({ "worker": "w", how: leased.iter().map(one).collect::<Vec<_>>() }));
    };
    report("succeed", &json!({ "result": { "sum": 3 } }));
    report("fail", &json!({ "message": "no" }));
    let cancelled = server.submit(&json!({ "type": "later", "delay": "1h" }));
    server.act(&format!("/v1/tasks/{cancelled}:cancel")).expect(200);
    server.submit(&json!({ "type": "later", "delay": "1h", "unique": { "key": "k", "policy": "reject" } }));
    server.act("/v1/queues/default:pause").expect(200);
    server.act("/v1/queues/default:resume").expect(200);
    json!(server.lease("w", "run", 3, "60s"))
}

/// What does not change by moving: a running task counts its lease anew.
fn tasks(server: &Server) -> Vec<Value> {
    let page = |kind: &str| server.get(&format!("/v1/tasks?type={kind}&limit=100")).expect(200).json();
    let mut tasks = Vec::new();
    for kind in ["succeed", "fail", "run", "later", "many"] {
        tasks.extend(page(kind)["items"].as_array().expect("a list").clone());
    }
    let full = tasks.iter().map(|it| server.task(it["id"].as_str().expect("an id")));
    full.map(|mut task| {
        let task_ = task.as_object_mut().expect("a task");
        task_.retain(|name, _| !name.starts_with("lease") && name != "heartbeat_at" && name != "waited");
        task
    })
    .collect()
}

fn counts(server: &Server) -> Value {
    server.get("/v1/stats").expect(200).json()["tasks"].clone()
}

/// At once, and when it says how far it is.
fn kill_promotions(files: &Server, url: &str) {
    for moment in ["", "copied", "reading everything back"].into_iter().cycle().take(9) {
        let mut child = promote(files, url, &["--replace"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(moment.is_empty() || said.any(|line| line.starts_with(moment)), "it did not say {moment:?}");
        let _ = child.kill();
        let ended = child.wait().unwrap();
        assert_eq!(ended.code(), None, "the kill at {moment:?} came too late: {ended:?}");
    }
}

#[test]
fn everything_goes_along_and_a_killed_promotion_leaves_the_files_true() {
    story("promoted::moved", || {
        let database = postgres::shared().scratch("promoted");
        let url = database.url();
        let (mut files, service) = (ServerOptions::without_executors().prepare(), HoldingService::start());
        let mut shared = ServerOptions::without_executors().with_env("TASKLANE_DATABASE_URL", url).prepare();
        files.start();
        let file = format!("[executors.http.held]\nurl = \"{}\"\n[outbound]\nallow = [\"127.0.0.1\"]\n", service.url());
        let worker = WorkerProcess::start(&[files.url(), shared.url()], &["--lease-seconds", "20"], &[], &file);
        worker.until_says("\"ready\"");
        let held = files.submit(&json!({ "type": "held" }));
        until("the task to run", PATIENCE, || (service.calls().len() == 1).then_some(()));
        let leased = fill(&files);
        exits(&promote(&files, url, &[]).output().unwrap(), 7, "in use by another server");
        let before = tasks(&files);
        let counted = counts(&files);
        assert_eq!(files.stop().code(), Some(0));

        kill_promotions(&files, url);
        exits(&shared_start(&shared, url), 7, "incomplete");
        files.start();
        assert_eq!((tasks(&files), counts(&files)), (before.clone(), counted.clone()), "the files are still true");
        assert_eq!(files.stop().code(), Some(0));

        let done = promote(&files, url, &["--replace"]).output().unwrap();
        exits(&done, 0, "verified");
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(said["tasks"], json!(MANY + 12), "{said}");
        exits(&promote(&files, url, &["--replace"]).output().unwrap(), 7, "was promoted before");
        files.spawn();
        assert_eq!(files.wait_end().code(), Some(7), "{}", files.log());

        shared.start();
        assert_eq!((tasks(&shared), counts(&shared)), (before, counted));
        service.answer();
        let task = shared.finished(&held);
        assert_eq!((&task["state"], &task["attempt"]), (&json!("succeeded"), &json!(1)), "{task}");
        assert_eq!(service.calls().iter().map(|it| it.held).collect::<Vec<_>>(), [Held::Answered]);
        for _ in 0..2 {
            // The token holds, and so does the memory of the report.
            let one = |it: &Value| json!({ "id": it["id"], "lease": it["lease"], "result": 1 });
            let all: Vec<Value> = leased.as_array().unwrap().iter().map(one).collect();
            let said = shared.report(&json!({ "worker": "w", "succeed": all }));
            assert_eq!(said["lost"].as_array().map_or(0, Vec::len), 0, "{said}");
        }
        let again = json!({ "type": "later", "unique": { "key": "k", "policy": "reject" } });
        shared.post("/v1/tasks", &again).problem(409, "unique_held");
        exits(&db(&shared, url, &["check"]).output().unwrap(), 0, "all is well");
        let stats: Value =
            serde_json::from_slice(&db(&shared, url, &["stats", "-o", "json"]).output().unwrap().stdout).unwrap();
        assert_eq!((&stats["tasks"]["queued"], &stats["servers"]), (&json!(MANY), &json!(1)), "{stats}");
        exits(&db(&shared, url, &["backup", "f"]).output().unwrap(), 2, "pg_dump");
        exits(&promote(&files, url, &["--undo"]).output().unwrap(), 0, "can be served from again");
        files.start();
    });
}

fn shared_start(shared: &Server, url: &str) -> Output {
    let mut command = Command::new(binary::tasklane());
    command.args(["serve", "--listen", &shared.address().to_string()]).current_dir(shared.dir());
    clean(&mut command).env("TASKLANE_DATABASE_URL", url).output().unwrap()
}
