//! Clients of an Atropos task service find Tasklane in its place: the lines of its README as people type them, on
//! Tasklane's own port and alone.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tasklane_testkit::process::until;
use tasklane_testkit::server::clean;
use tasklane_testkit::story::{skip, story};
use tasklane_testkit::{Server, ServerOptions, binary, port};

const PATIENCE: Duration = Duration::from_secs(20);

/// What `curl` gets.
fn curl(arguments: &[&str]) -> Value {
    let output = Command::new("curl").args(["--silent", "--fail-with-body"]).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"))
}

fn status(server: &Server, id: &str) -> Value {
    server.get(&format!("/tasks/{id}/status")).expect(200).json()
}

fn ended(server: &Server, id: &str) -> Value {
    until("the task to end", PATIENCE, || Some(status(server, id)).filter(|it| it["completed_at"].is_string()))
}

fn create(server: &Server, body: &Value) -> String {
    server.post("/tasks", body).expect(200).json()["id"].as_str().unwrap().to_owned()
}

fn delete(server: &Server, id: &str) -> tasklane_testkit::http::Reply {
    server.connect().call("DELETE", &format!("/tasks/{id}"), &[], b"").unwrap()
}

#[test]
fn the_lines_of_its_readme() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skip("atropos::readme", "curl is not installed");
    }
    story("atropos::readme", || {
        for server in [ServerOptions::default().start(), ServerOptions::alone("atropos").start()] {
            let url = server.url().replace("127.0.0.1", "localhost");
            let body = r#"{
                "task_type": "data_processing",
                "parameters": {"processing_time": 0.2, "record_count": 1000}
            }"#;
            let header = "Content-Type: application/json";
            let task = curl(&["-X", "POST", &format!("{url}/tasks"), "-H", header, "-d", body]);
            assert_eq!((&task["task_type"], &task["status"]), (&json!("data_processing"), &json!("pending")));
            let id = task["id"].as_str().unwrap();
            until("the task to be completed", PATIENCE, || {
                let status = curl(&[&format!("{url}/tasks/{id}/status")]);
                Some(status).filter(|it| it["status"] == "completed")
            });
            let result = curl(&[&format!("{url}/tasks/{id}/result")]);
            assert_eq!(result["result"]["processed_records"], 1000);
            assert!(result["result"]["output_file"].as_str().unwrap().starts_with("processed_data_"));
            let list = curl(&[&format!("{url}/tasks")]);
            assert_eq!((&list["total_tasks"], &list["tasks"][0]), (&json!(1), &result));
        }
    });
}

#[test]
fn its_types_run_and_fail_as_they_did() {
    story("atropos::types", || {
        let server = ServerOptions::default().start();
        let ended = |task_type: &str, parameters: Value| {
            ended(&server, &create(&server, &json!({ "task_type": task_type, "parameters": parameters })))
        };
        for (task_type, parameters, member) in [
            ("report_generation", json!({ "processing_time": 0 }), "report_url"),
            ("video_processing", json!({ "video_length": 0, "processing_time": 600 }), "video_url"),
            ("default", json!({ "processing_time": 0 }), "message"),
            ("nobody.serves.this", json!({ "processing_time": 0 }), "message"),
        ] {
            let task = ended(task_type, parameters.clone());
            assert_eq!((&task["status"], &task["task_type"]), (&json!("completed"), &json!(task_type)), "{task}");
            assert_eq!((&task["parameters"], &task["error"]), (&parameters, &Value::Null));
            assert!(task["result"][member].is_string(), "{task}");
        }
        let failed = ended("data_processing", json!({ "processing_time": "soon" }));
        assert_eq!((&failed["status"], &failed["result"]), (&json!("failed"), &Value::Null));
        assert!(failed["error"].as_str().unwrap().contains("processing_time"), "{failed}");
    });
}

#[test]
fn deleted_tasks_stay_deleted_over_a_restart() {
    story("atropos::deleted", || {
        let mut server = ServerOptions::alone("atropos").start();
        let slow = create(&server, &json!({ "task_type": "default", "parameters": { "processing_time": 600 } }));
        let quick = create(&server, &json!({ "task_type": "default", "parameters": { "processing_time": 0 } }));
        ended(&server, &quick);
        assert!(delete(&server, &slow).expect(400).json()["detail"].as_str().unwrap().contains("Cannot delete"));
        delete(&server, &quick).expect(200);
        server.kill();
        server.start();
        server.get(&format!("/tasks/{quick}/status")).expect(404);
        let ids = |query: &str| {
            let list = server.get(&format!("/tasks{query}")).expect(200).json();
            let tasks = list["tasks"].as_array().unwrap();
            assert_eq!(list["total_tasks"], tasks.len());
            tasks.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(ids(""), std::slice::from_ref(&slow));
        assert_eq!(ids("?include_deleted=true"), [quick.clone(), slow]);
        assert_eq!(ids("?status=deleted&include_deleted=true"), [quick]);
    });
}

#[test]
fn alone_it_answers_as_its_root_did() {
    story("atropos::alone", || {
        let mut server = ServerOptions::alone("atropos")
            .with_env("REDIS_URL", "redis://:canary@localhost:6379/0")
            .with_env("DEBUG", "false")
            .start();
        let about = server.get("/").expect(200).json();
        assert_eq!(about["message"], "Atropos Task Service is running");
        let workers = |it: &Value| it["celery_workers"] == 1;
        until("the executors to be heard of", PATIENCE, || Some(server.get("/health").json()).filter(workers));
        assert!(server.get("/docs").expect(200).text().contains("swagger-ui"));
        assert_eq!(server.get("/openapi.json").expect(200).json()["info"]["title"], "Atropos Task Service");
        // Workers and commands use the same port.
        let id = server.submit(&json!({ "type": "default", "payload": { "processing_time": 0 } }));
        assert_eq!(server.finished(&id)["state"], "succeeded");
        assert_eq!(server.get("/tasks").json()["total_tasks"], 0, "it shows only what it accepted");
        assert_eq!(server.stop().code(), Some(0));
        let log = server.log();
        assert_eq!(log.matches("REDIS_URL, DEBUG").count(), 1, "said once: {log}");
        assert!(!log.contains("canary"), "{log}");
    });
}

#[test]
fn a_page_of_this_machine_may_call_it() {
    story("atropos::page", || {
        let server = ServerOptions::default().with_env("TASKLANE_CORS_ORIGINS", "https://app.example").start();
        let ask = |path: &str, origin: &str| {
            let headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
            server.connect().call("OPTIONS", path, &headers, b"").unwrap()
        };
        let allowed = |path, origin| ask(path, origin).header("access-control-allow-origin").map(str::to_owned);
        let page = "http://localhost:3000";
        assert_eq!(allowed("/tasks", page).as_deref(), Some(page));
        assert_eq!(allowed("/v1/tasks", page), None);
        for path in ["/tasks", "/v1/tasks"] {
            assert_eq!(allowed(path, "https://app.example").as_deref(), Some("https://app.example"));
            assert_eq!(ask(path, "https://evil.example").status, 403);
        }
    });
}

#[test]
fn what_it_cannot_do_yet_ends_the_start() {
    story("atropos::refused", || {
        let refused = |variable: &str, value: &str| {
            let listen = format!("127.0.0.1:{}", port::free());
            let mut command = Command::new(binary::tasklane());
            command.args(["atropos", "--listen", &listen, "--data-dir", "/proc/nowhere"]).stdin(Stdio::null());
            let output = clean(&mut command).env(variable, value).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains(variable) && !said.contains("canary"), "{said}");
        };
        refused("DATABASE_URL", "mysql://atropos:canary@localhost:3306/atropos_tasks");
        refused("TASKLANE_CORS_ORIGINS", "*");
    });
}
