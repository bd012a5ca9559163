//! A type bound to a URL in a file: its tasks are posted there, tried again as the service wants, and its answer is the
//! result.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};
use tasklane_testkit::ServerOptions;
use tasklane_testkit::story::story;

const BUSY: &str = "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{\"pages\": 7}";

/// A service that answers so, one connection after the other; tells the head and body of each request.
fn service(answers: &'static [&'static str]) -> (String, thread::JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/run", listener.local_addr().unwrap());
    let serving = thread::spawn(move || {
        let one = |answer: &&str| {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let head = head.to_lowercase();
            let length = head.split_once("content-length: ").unwrap().1.split_once('\r').unwrap().0;
            let mut body = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            (&stream).write_all(answer.as_bytes()).unwrap();
            (head, serde_json::from_slice(&body).unwrap())
        };
        answers.iter().map(one).collect()
    });
    (url, serving)
}

#[test]
fn tasks_of_a_bound_type_are_done_by_a_service() {
    story("http_target::bound", || {
        let (url, serving) = service(&[BUSY, DONE]);
        let options = ServerOptions::default().with_env("TASKLANE_OUTBOUND_ALLOW", "127.0.0.1");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasklane.toml");
        let text =
            format!("[executors.http.\"report.make\"]\nurl = \"{url}\"\nheaders.Authorization = \"Bearer s3cret\"\n");
        fs::write(&file, text).unwrap();
        let server = options.with_env("TASKLANE_CONFIG", file).start();
        let task = json!({ "type": "report.make", "payload": { "month": 7 } });
        let task = server.post("/v1/tasks?wait=30s", &task).expect(201).json();
        assert_eq!(
            (&task["state"], &task["result"], &task["attempt"]),
            (&json!("succeeded"), &json!({ "pages": 7 }), &json!(2))
        );
        let requests = serving.join().unwrap();
        let key = format!("idempotency-key: {}\r\n", task["id"].as_str().unwrap());
        for (nth, (head, body)) in requests.iter().enumerate() {
            assert!(head.starts_with("post /run http/1.1\r\n") && head.contains(&key), "{head}");
            assert!(head.contains("authorization: bearer s3cret\r\n"), "{head}");
            assert_eq!((&body["payload"], &body["attempt"]), (&json!({ "month": 7 }), &json!(nth + 1)));
        }
    });
}

#[test]
fn a_service_inside_is_not_called_unless_the_operator_says_so() {
    story("http_target::guard", || {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tasklane.toml");
        fs::write(&file, "[executors.http.a]\nurl = \"http://localhost:9/\"\n").unwrap();
        let server = ServerOptions::default().with_env("TASKLANE_CONFIG", file).start();
        let task = server.post("/v1/tasks?wait=30s", &json!({ "type": "a" })).expect(201).json();
        assert_eq!((&task["state"], &task["failure"]["kind"]), (&json!("failed"), &json!("permanent")));
        assert!(task["failure"]["message"].as_str().unwrap().contains("TASKLANE_OUTBOUND_ALLOW"), "{task}");
    });
}
